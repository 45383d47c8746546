"""The frame under fan-out: its record, and the events made of it for those who take events."""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint16_t, uint32_t

from subcore._events cimport KIND_ORDERBOOK, Event, Record, make_event
from subcore._images cimport ImageTable
from subcore._routes cimport CUT_MASK


@cython.final
cdef class Frame:
    """The frame under fan-out, and the events made of it so far: one for each cut, with raw bytes or without."""

    def __cinit__(self, ImageTable images not None):
        self.images = images

    cdef void start(self, int32_t stream, const Record* record, str venue, str channel, str symbol,
                    const Payload* payload) noexcept:
        self.stream = stream
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
        cdef Event event = None
        if self.event is not None:
            if self.others is None:
                self.others = {}
            self.others[self.event_key] = self.event
            event = self.others.get(key)
        self.event = self.new_event(key) if event is None else event
        self.event_key = key
        return 0

    cdef Event new_event(self, uint32_t key):
        cdef bytes raw = None
        cdef PyObject* renewed = NULL
        if key == 0:
            # The id alone tells too little of a symbol: it may be another text's by now.
            if self.images.has(self.stream) and (<Event>self.images.events[self.stream]).symbol is self.symbol:
                renewed = self.images.renewed(self.stream, self.record)
            if renewed != NULL:
                return <Event>renewed
        elif key >> RAW_SHIFT and self.payload != NULL:
            raw = self.payload.data[:self.payload.size]
        return make_event(self.record, self.venue, self.channel, self.symbol, raw, <uint16_t>(key & CUT_MASK))

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
        if cut == 0 or <int32_t>cut >= self.deepest:
            return self.record
        self.book = self.record.orderbook
        self.book.bid_count = min(self.book.bid_count, <int32_t>cut)
        self.book.ask_count = min(self.book.ask_count, <int32_t>cut)
        return <const Record*>&self.book
