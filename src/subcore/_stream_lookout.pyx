# cython: language_level=3
"""Looking ahead to all that delivering a frame of a stream touches: its key, its counters, its route, its symbol."""

cimport cython
from libc.stdint cimport int32_t

from _slots cimport subcore_home, subcore_prefetch, subcore_slot_guess
from subcore._streams cimport key_of, tag_of

cdef enum:
    CACHE_LINE = 64
    EVENT_LINES = 7         # of the largest that is copied as it is, a ticker


@cython.final
cdef class StreamLookout(Lookout):
    """Guesses the stream as well: that of channel and symbol without a variant, as nearly all are."""

    def __cinit__(self, interner, Ledger ledger not None, Meter meter not None, Router router not None):
        self.ledger = ledger
        self.meter = meter
        self.router = router
        self.stream = -1

    @cython.nonecheck(False)          # the check needs the GIL
    cdef void expect_symbol(self, int channel) noexcept nogil:
        cdef int32_t symbol = subcore_slot_guess(self.interner.slots, self.interner.slot_count, self.tag)
        self.symbol = symbol
        if symbol < 0:
            return
        subcore_prefetch(&self.interner.rows[symbol])
        self.stream_tag = tag_of(key_of(channel, symbol, 0), self.ledger.seed)
        subcore_prefetch(&self.ledger.slots[subcore_home(self.stream_tag, self.ledger.slot_count)])

    @cython.nonecheck(False)          # the check needs the GIL
    cdef void expect_stream(self) noexcept nogil:
        cdef int32_t stream
        cdef const char* row
        if self.symbol < 0:
            return
        subcore_prefetch(self.interner.rows[self.symbol].text)
        stream = subcore_slot_guess(self.ledger.slots, self.ledger.slot_count, self.stream_tag)
        self.stream = stream
        if stream < 0:
            return
        subcore_prefetch(&self.ledger.keys[stream])
        if stream < self.meter.used:
            row = <const char*>&self.meter.rows[stream]
            subcore_prefetch(row)
            subcore_prefetch(row + CACHE_LINE)
        if stream < self.router.route_room:
            subcore_prefetch(&self.router.routes[stream])
        if stream < self.router.images.room:
            subcore_prefetch(&self.router.images.events[stream])

    @cython.nonecheck(False)          # the check needs the GIL
    cdef void expect_event(self) noexcept nogil:
        cdef const char* event
        cdef int line
        if self.stream < self.router.images.room:
            event = <const char*>self.router.images.events[self.stream]
            if event != NULL:
                for line in range(EVENT_LINES):
                    subcore_prefetch(event + line * CACHE_LINE)
