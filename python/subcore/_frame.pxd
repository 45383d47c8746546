# cython: language_level=3
"""C face of the frame under fan-out, and of the events made of it so far."""

from libc.stdint cimport int32_t, uint32_t

from subcore._events cimport Event, OrderbookData, Record
from subcore._images cimport ImageTable

cdef enum:
    RAW_SHIFT = 16
    RAW_KEY = 0x1_0000         # all of the record, with its bytes
    NO_KEY = 0x2_0000          # beyond every cut | raw << 16

cdef struct Payload:          # the frame's own bytes, for who asked for them
    const char* data
    Py_ssize_t size

cdef class Frame:
    cdef ImageTable images    # whose events of before may serve again
    cdef int32_t stream
    cdef const Record* record
    cdef const Payload* payload
    cdef str venue
    cdef str channel
    cdef str symbol
    cdef int32_t deepest      # levels of the longer side of a book, else 0: a cut of so many or more cuts nothing
    cdef uint32_t event_key   # cut | raw << 16 of `event`
    cdef Event event
    cdef dict others          # {key: event} of the other keys met in this frame
    cdef OrderbookData book   # the book cut for a strategy

    cdef void start(self, int32_t stream, const Record* record, str venue, str channel, str symbol,
                    const Payload* payload) noexcept
    cdef void end(self) noexcept
    cdef int use(self, uint32_t key) except -1
    # Of the events made, one that nothing was cut from: without raw bytes, if there are two; None where all are cut.
    cdef Event whole(self)
    cdef Event new_event(self, uint32_t key)
    cdef const Record* cut_to(self, uint32_t cut) noexcept
