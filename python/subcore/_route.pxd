# cython: language_level=3
"""C face of the fan-out: one frame to every sink of its stream."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from subcore._events cimport Event, OrderbookData, Record
from subcore._changes cimport RouteChanges
from subcore._histogram cimport Histogram
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
    cdef int32_t called                   # the sink whose call is under way, -1 = none; read by a watchdog's thread
    cdef readonly uint64_t calls          # of handlers so far, the one under way included
    cdef uint64_t timed_at                # the next call that is timed exactly
    cdef uint32_t chance
    cdef uint32_t all_timed               # frames for which every call is timed
    cdef Histogram frame_times
    cdef object long_calls                # deque of LongCall
    cdef public int64_t frame_budget_ns
    cdef readonly uint64_t fan_outs

    # Deliver one record to every sink of the stream, in route order; `payload` may be NULL, `symbol` None.
    # RuntimeError when called from inside a fan-out; else nothing is raised, whatever handlers do: look at
    # take_fatal() after it.
    cdef int fan_out(self, int32_t stream, const Record* record, str venue, str channel, str symbol,
                     const Payload* payload) except -1
    cdef void deliver(self, const Entry* entries, uint32_t count, Frame frame) noexcept
    # Before each call; the time, if this one is timed exactly.
    cdef int64_t begin_call(self, int32_t sink) noexcept
    cdef int64_t begin_strategy(self, int32_t sink) noexcept
    cdef int64_t begin_timed(self) noexcept
    cdef uint32_t choose_timed(self) noexcept
    # After it: `began` as begin_call says, `ticked` as the coarse clock has it, for `together` calls of which it is
    # the last.
    cdef void judge(self, int32_t sink, int64_t began, int64_t ticked, uint32_t together) noexcept
    cdef void note_long(self, int32_t sink, int64_t ns) noexcept
    cdef void time_frame(self, int64_t ns) noexcept
    cdef void time_all(self) noexcept
    cdef void finish(self) noexcept
