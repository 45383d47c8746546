# cython: language_level=3
"""C face of the fan-out: one frame to every sink of its stream."""

from libc.stdint cimport int32_t, uint32_t

from subcore._events cimport Event, OrderbookData, Record
from subcore._changes cimport RouteChanges
from subcore._routes cimport Entry

cdef struct Payload:          # the frame's own bytes, for who asked for them
    const char* data
    Py_ssize_t size

cdef class Frame:
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

    cdef void start(self, const Record* record, str venue, str channel, str symbol, const Payload* payload) noexcept
    cdef void end(self) noexcept
    cdef int use(self, uint32_t key) except -1
    cdef const Record* cut_to(self, uint32_t cut) noexcept

cdef class Router(RouteChanges):
    cdef Frame frame

    # Deliver one record to every sink of the stream, in route order; `payload` may be NULL, `symbol` None.
    # RuntimeError when called from inside a fan-out; else nothing is raised, whatever handlers do: look at
    # take_fatal() after it.
    cdef int fan_out(self, int32_t stream, const Record* record, str venue, str channel, str symbol,
                     const Payload* payload) except -1
    cdef void deliver(self, const Entry* entries, uint32_t count, Frame frame) noexcept
    cdef void finish(self) noexcept
