# cython: language_level=3
"""C face of the calls of handlers: who is being called, and how long calls take."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from subcore._changes cimport RouteChanges
from subcore._delays cimport DelayTable
from subcore._histogram cimport Histogram

cdef class CallMark:
    cdef readonly int32_t component       # whose call it is
    cdef readonly object sink_id          # -1 = of none
    cdef readonly object names            # (the component's, the handler's), to be read by any thread
    cdef bint is_its_own                  # timed, and its component told where it was long

cdef class RouteCalls(RouteChanges):
    cdef int32_t called                   # the sink whose call is under way, -1 = none; read by a watchdog's thread
    cdef readonly uint64_t calls          # of handlers so far, the one under way included
    cdef uint64_t timed_at                # the next call that is timed exactly
    cdef uint32_t chance
    cdef uint32_t all_timed               # frames for which every call is timed
    cdef Histogram frame_times
    cdef object long_calls                # deque of LongCall
    cdef public int64_t frame_budget_ns
    cdef readonly uint64_t fan_outs
    cdef public DelayTable delays         # how long events had waited when they were handed over; None = not measured
    cdef int64_t received_ns              # of the event in hand; 0 where nobody asks
    cdef CallMark mark                    # what runs outside of a fan-out, or of its handlers; None = nothing
    cdef uint64_t marked                  # how often that began

    cdef int64_t begin_timed(self) noexcept
    cdef uint32_t choose_timed(self) noexcept
    # After it: `began` as begin_call says, `ticked` as the coarse clock has it, for `together` calls of which it is
    # the last.
    cdef void judge(self, int32_t sink, int64_t began, int64_t ticked, uint32_t together) noexcept
    cdef void note_long(self, int32_t sink, int64_t ns) noexcept
    cdef void time_frame(self, int64_t ns) noexcept
    cdef void time_all(self) noexcept
    # What runs from now on, None = what ran before; what ran until now.
    cdef CallMark swap_mark(self, CallMark mark)
    # What was marked ran for so long.
    cdef void judge_mark(self, CallMark mark, int64_t ns) noexcept
