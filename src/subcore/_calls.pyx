"""Calls of handlers: who is being called now, and how long calls take."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from collections import deque
from typing import NamedTuple

from subcore._histogram cimport Histogram, histogram_add, histogram_copy
from subcore._sinks cimport GATE_DEAD, SINK_STRATEGY
from subcore._timing cimport SAMPLE_EVERY

cdef enum:
    LONG_CALL_NS = 4_000_000   # a call that surely took so long is named each time
    COUNTED_TICKS = 4          # ... and after so many ticks of the coarse clock it is timed well enough by that
    LONG_CALLS_KEPT = 64
    FRAME_BUDGET_NS = 1_000_000
    ALL_TIMED = 32             # frames, after one that was over budget
    STRATEGY_SHARE = 8         # of the calls of strategies chosen to be timed, one is


class LongCall(NamedTuple):
    """A call of a handler that took several milliseconds. `component` is -1 where the handler closed its own, and for
    hooks.

    `duration_ns`: within a tick of the kernel's clock, mostly 4 ms. `at_ns`: when it ended, on the monotonic clock.
    `names`: the component's and the handler's, where the sink does not tell: a step of an async handler, a hook.
    """

    component: int
    sink_id: int
    duration_ns: int
    at_ns: int
    names: tuple[str, str] | None = None


cdef class CallMark:
    """What is called, but not by a fan-out: a step of an async handler, or a hook."""


@cython.no_gc_clear
cdef class RouteCalls(RouteChanges):
    """Routes whose handlers are called, and timed: 1 call in 32 exactly, all for 32 frames after a fan-out took over
    `frame_budget_ns` (1 ms), and each that took four ticks of the coarse clock or
    more. Those of several milliseconds are named each time."""

    def __cinit__(self, ledger, *, gone, on_error=None, clock=None):
        self.called = -1
        self.frame_budget_ns = FRAME_BUDGET_NS
        self.frame_times = Histogram()
        self.long_calls = deque(maxlen=LONG_CALLS_KEPT)

    @property
    def calling(self):
        """(component, sink_id) of the handler, step of one, or hook that is running now, (-1, -1) where none is; the
        sink is -1 for hooks. From any thread."""
        cdef int32_t sink = self.called
        cdef CallMark mark = self.mark
        if mark is not None:
            return mark.component, mark.sink_id
        if sink < 0:
            return -1, -1
        return self.sinks[sink].component, self.sink_id_of(sink)

    @property
    def called_names(self):
        """(component, handler), both str, of the step or hook that is running now; None where none is, or a handler
        that a fan-out called. From any thread."""
        cdef CallMark mark = self.mark
        return None if mark is None else mark.names

    @property
    def call_number(self):
        """How many handlers, steps of such, and hooks were called so far; so it tells each from the next. From any
        thread."""
        return self.calls + self.marked

    def take_long_calls(self):
        """[LongCall] since the last time, the latest 64, oldest first."""
        calls, self.long_calls = self.long_calls, deque(maxlen=LONG_CALLS_KEPT)
        return list(calls)

    def set_budget(self, int32_t component, int64_t budget_ns):
        """What a call of this component's handlers may take, 0 = anything. ValueError below 0. Kept until it closes."""
        if component < 0 or budget_ns < 0:
            raise ValueError(f"a component's budget is 0 or more ns a call, not {budget_ns} for {component}")
        self.times.open(component, self.clock.precise())
        self.times.rows[component].budget_ns = budget_ns

    def call_times(self, int32_t component):
        """CallTimes of a component's handlers since it was opened. From any thread."""
        return self.times.figures(component, self.clock.precise())

    def timed_so_far(self, int32_t component):
        """(calls, nanoseconds) that `call_times` is made of: only what they grow by is of late. From any thread."""
        if component < 0 or component >= self.times.room:
            return 0, 0
        return self.times.rows[component].count, self.times.rows[component].sum_ns

    def fan_out_times(self):
        """A copy of the histogram of whole fan-outs."""
        return histogram_copy(&self.frame_times.data)

    cdef int64_t begin_timed(self) noexcept:
        if not self.all_timed and self.choose_timed() % STRATEGY_SHARE:
            return 0
        return max(1, self.clock.precise())

    cdef uint32_t choose_timed(self) noexcept:
        """The next call to be timed is chosen by lot: any rhythm could be theirs."""
        self.chance = <uint32_t>(<uint64_t>self.chance * 1664525 + 1013904223)
        self.timed_at = self.calls + 1 + (self.chance >> 16) % (2 * SAMPLE_EVERY - 1)
        return self.chance >> 24

    cdef void judge(self, int32_t sink, int64_t began, int64_t ticked, uint32_t together) noexcept:
        cdef int64_t ns = ticked
        cdef int64_t least = ticked - self.clock.tick_ns
        # Alone and so long that a tick is little beside it: counted whether or not it was chosen to be timed.
        cdef bint counts = together == 1 and least >= max(LONG_CALL_NS, COUNTED_TICKS * self.clock.tick_ns)
        cdef uint32_t weight = counts
        cdef uint32_t sampled = 1     # calls that one chosen by lot stands for
        cdef bint is_long
        if began:
            ns = self.clock.precise() - began
            is_long = ns >= LONG_CALL_NS
            if not self.all_timed:
                self.choose_timed()
                sampled = SAMPLE_EVERY
                if self.sinks[sink].kind == SINK_STRATEGY:
                    sampled *= STRATEGY_SHARE
            if not counts:
                weight = sampled
        else:
            is_long = least >= LONG_CALL_NS
            if not is_long:
                return
            if together > 1:       # one of these: the next time it will be known which
                self.time_all()
                return
        if is_long:
            self.note_long(sink, ns)
        if not self.sinks[sink].gate & GATE_DEAD:
            self.times.add(self.sinks[sink].component, ns, weight)
            if began and self.delays is not None and self.received_ns:
                self.delays.add(self.sinks[sink].component, self.delays.wall_ns() - ns - self.received_ns, sampled)

    cdef void note_long(self, int32_t sink, int64_t ns) noexcept:
        component = -1 if self.sinks[sink].gate & GATE_DEAD else self.sinks[sink].component
        self.long_calls.append(LongCall(component, self.sink_id_of(sink), ns, self.clock.precise()))

    cdef void time_frame(self, int64_t ns) noexcept:
        self.fan_outs += 1
        histogram_add(&self.frame_times.data, ns)
        if ns > self.frame_budget_ns:
            self.time_all()
        elif self.all_timed:
            self.all_timed -= 1
            if not self.all_timed:
                self.choose_timed()

    cdef void time_all(self) noexcept:
        self.all_timed = ALL_TIMED
        self.timed_at = 0

    cdef CallMark swap_mark(self, CallMark mark):
        before, self.mark = self.mark, mark
        self.marked += mark is not None
        return before

    cdef void judge_mark(self, CallMark mark, int64_t ns) noexcept:
        if mark.is_its_own:
            self.times.add(mark.component, ns, 1)
        if ns >= LONG_CALL_NS:
            component = mark.component if mark.is_its_own else -1
            self.long_calls.append(LongCall(component, mark.sink_id, ns, self.clock.precise(), mark.names))
