# cython: language_level=3
"""C face of the fan-out: one frame to every sink of its stream."""

from libc.stdint cimport int32_t, int64_t, uint32_t

from subcore._calls cimport RouteCalls
from subcore._events cimport Event, Record
from subcore._frame cimport Frame, Payload
from subcore._routes cimport Entry

cdef class Router(RouteCalls):
    cdef Frame frame
    cdef int64_t now_ns                   # when the fan-out under way began

    # Deliver one record to every sink of the stream, in route order; `payload` may be NULL, `symbol` None.
    # RuntimeError when called from inside a fan-out; else nothing is raised, whatever handlers do: look at
    # take_fatal() after it.
    cdef int fan_out(self, int32_t stream, const Record* record, str venue, str channel, str symbol,
                     const Payload* payload) except -1
    cdef void deliver(self, const Entry* entries, uint32_t count, Frame frame) noexcept
    cdef uint32_t call_strategies(self, const Entry* entries, uint32_t count, Frame frame, int64_t* ticked) noexcept
    # Before each call; the time, if this one is timed exactly.
    cdef int64_t begin_call(self, int32_t sink) noexcept
    cdef int64_t begin_strategy(self, int32_t sink) noexcept
    cdef void settle_call(self, int32_t sink, int status) noexcept
    # For a sink whose gate is not 0: whether the frame's event may go to it now.
    cdef bint admits(self, int32_t sink, Entry entry, Frame frame) noexcept
    cdef bint holds_back(self, int32_t sink, Entry entry, Frame frame) noexcept
    # Around deliveries outside of frames; what handlers ask for meanwhile is done after them, as for a frame.
    cdef int begin_alone(self) except -1
    cdef void end_alone(self) noexcept
    # Deliver an event of its own to one interest, outside of frames.
    cdef void give(self, int32_t component, int32_t topic, Event event) noexcept
    # With `limited`, a limit on the interest may hold it back.
    cdef void give_image(self, int32_t stream, int32_t component, int32_t topic, bint limited) noexcept
    cdef void keep_image(self, int32_t stream, Frame frame) noexcept
    # It is kept from this frame: if an image is due to it, it stays due.
    cdef void note_missed(self, int32_t sink, int32_t topic) noexcept
    # Those who joined before this frame are due no image any more.
    cdef void pass_joiners(self, int32_t stream) noexcept
    cdef void finish(self) noexcept
