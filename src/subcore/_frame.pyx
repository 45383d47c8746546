"""The frame under fan-out: its record, and the events made of it for those who take events."""

cimport cython
from libc.stdint cimport int32_t, uint16_t, uint32_t

from subcore._events cimport KIND_ORDERBOOK, Event, Record, make_event
from subcore._routes cimport CUT_MASK


@cython.final
cdef class Frame:
    """The frame under fan-out, and the events made of it so far: one for each cut, with raw bytes or without."""

    cdef void start(self, const Record* record, str venue, str channel, str symbol, const Payload* payload) noexcept:
        self.record = record
        self.payload = payload
        self.venue, self.channel, self.symbol = venue, channel, symbol
        self.event_key = NO_KEY
        self.deepest = 0
        if record.head.kind == KIND_ORDERBOOK:
            self.deepest = max(record.orderbook.bid_count, record.orderbook.ask_count)

    cdef void end(self) noexcept:
        self.event = self.others = None

    cdef int use(self, uint32_t key) except -1:
        """Make `event` the one for this key."""
        cdef bytes raw = None
        cdef Event event = None
        if self.event is not None:
            if self.others is None:
                self.others = {}
            self.others[self.event_key] = self.event
            event = self.others.get(key)
        if event is None:
            if key >> RAW_SHIFT and self.payload != NULL:
                raw = self.payload.data[:self.payload.size]
            event = make_event(self.record, self.venue, self.channel, self.symbol, raw, <uint16_t>(key & CUT_MASK))
        self.event = event
        self.event_key = key
        return 0

    cdef Event whole(self):
        if self.event_key == 0:
            return self.event
        if self.others is not None:
            event = self.others.get(0)
            if event is None and self.event_key != RAW_KEY:
                event = self.others.get(RAW_KEY)
            if event is not None:
                return event
        return self.event if self.event_key == RAW_KEY else None

    cdef const Record* cut_to(self, uint32_t cut) noexcept:
        """The record as a strategy or ring sees it: a book has at most `cut` levels a side, 0 = all."""
        if cut == 0:
            return self.record
        self.book = self.record.orderbook
        self.book.bid_count = min(self.book.bid_count, <int32_t>cut)
        self.book.ask_count = min(self.book.ask_count, <int32_t>cut)
        return <const Record*>&self.book
