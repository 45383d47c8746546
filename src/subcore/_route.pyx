"""Fan-out: one frame to every sink of its stream.

What handlers may do during a fan-out: everything. Changes of routes are made after it; a released sink gets nothing
more from the moment `release_sink` was called.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t

from collections import deque
from typing import NamedTuple

from subcore._delivery cimport Box
from subcore._events cimport KIND_ORDERBOOK, Event, Record, make_event, record_of
from subcore._histogram cimport Histogram, histogram_add, histogram_copy
from subcore._ring cimport RecordRing
from subcore._routes cimport CUT_MASK, Entry, Route, entries_of, sink_in, topic_in
from subcore._sinks cimport GATE_DEAD, SINK_METHOD, SINK_QUEUE, SINK_RING, SINK_STRATEGY, Sink
from subcore._timing cimport SAMPLE_EVERY

cdef extern from "_call.h":
    PyObject* subcore_weak_get(PyObject* reference) noexcept
    # -1 leaves an exception set, for handler_failed to take: so no call pays for a try block.
    int subcore_call_one(PyObject* callable, PyObject* argument) noexcept
    int subcore_call_two(PyObject* callable, PyObject* self, PyObject* argument) noexcept
    int subcore_call_strategy(PyObject* strategy, const void* record, unsigned int kind) noexcept
    void subcore_release "Py_DECREF"(PyObject* object) noexcept

cdef enum:
    RAW_SHIFT = 16
    NO_KEY = 0x2_0000          # beyond every cut | raw << 16
    LONG_CALL_NS = 4_000_000   # a call that surely took so long is named each time
    LONG_CALLS_KEPT = 64
    FRAME_BUDGET_NS = 1_000_000
    ALL_TIMED = 32             # frames, after one that was over budget
    STRATEGY_SHARE = 8         # of the calls of strategies chosen to be timed, one is
    STRATEGIES_TOGETHER = 16   # between two looks at the coarse clock, which costs more than a call of one


class LongCall(NamedTuple):
    """A call of a handler that took several milliseconds. `component` is -1 where the handler closed its own.

    `duration_ns`: within a tick of the kernel's clock, mostly 4 ms. `at_ns`: when it ended, on the monotonic clock.
    """

    component: int
    sink_id: int
    duration_ns: int
    at_ns: int


# The same function seen as one that leaves its exception set.
ctypedef int (*UseCall)(Frame, uint32_t) noexcept


cdef inline int call(Sink* sink, PyObject* event) noexcept:
    """Call a sink's function with the event. The row may move while it runs."""
    cdef PyObject* target
    cdef int status
    if sink.kind == SINK_METHOD:
        target = subcore_weak_get(sink.weak)
        if target == NULL:
            return 0
        sink.delivered += 1
        status = subcore_call_two(sink.target, target, event)
        subcore_release(target)
        return status
    sink.delivered += 1
    return subcore_call_one(sink.target, event)


cdef inline void keep(Sink* sink, PyObject* event, int32_t topic) noexcept:
    """Put the event where it is taken from later; nobody's code runs."""
    sink.delivered += 1
    (<Box>sink.target).push(event, topic)


cdef int use_key(Frame frame, uint32_t key) except -1:
    return frame.use(key)


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

    cdef const Record* cut_to(self, uint32_t cut) noexcept:
        """The record as a strategy or ring sees it: a book has at most `cut` levels a side, 0 = all."""
        if cut == 0:
            return self.record
        self.book = self.record.orderbook
        self.book.bid_count = min(self.book.bid_count, <int32_t>cut)
        self.book.ask_count = min(self.book.ask_count, <int32_t>cut)
        return <const Record*>&self.book


@cython.final
@cython.no_gc_clear
cdef class Router(RouteChanges):
    """Streams' routes, the sinks they lead to, and the fan-out. Belongs to the loop's thread.

    `gone` is a deque that gets the id of each sink whose bound method's object went. `on_error(component, sink_id,
    exception)` is called for each exception of a handler, inside the fan-out; it must not keep the exception, whose
    traceback holds the handler's frames. `clock`: a CallClock, for virtual time (the machine's).

    Calls of handlers are timed: 1 in 32 exactly, all for 32 frames after a fan-out took over `frame_budget_ns` (1 ms),
    and those of several milliseconds each time.
    """

    def __cinit__(self, ledger, *, gone, on_error=None, clock=None):
        self.frame = Frame()
        self.called = -1
        self.frame_budget_ns = FRAME_BUDGET_NS
        self.frame_times = Histogram()
        self.long_calls = deque(maxlen=LONG_CALLS_KEPT)

    @property
    def calling(self):
        """(component, sink_id) of the handler that is running now, (-1, -1) where none is. From any thread."""
        cdef int32_t sink = self.called
        if sink < 0:
            return -1, -1
        return self.sinks[sink].component, self.sink_id_of(sink)

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

    def fan_out_times(self):
        """A copy of the histogram of whole fan-outs."""
        return histogram_copy(&self.frame_times.data)

    cdef int fan_out(self, int32_t stream, const Record* record, str venue, str channel, str symbol,
                     const Payload* payload) except -1:
        cdef Route* route
        cdef int64_t began
        if self.running:
            raise RuntimeError("a fan-out is under way: a handler must not feed frames")
        if not self.has_route(stream):
            return 0
        route = &self.routes[stream]
        self.running = True
        began = self.clock.precise()
        self.frame.start(record, venue, channel, symbol, payload)
        self.deliver(entries_of(route), route.count, self.frame)
        self.called = -1
        self.time_frame(self.clock.precise() - began)
        self.frame.end()
        if self.change_count or self.graveyard:
            self.finish()
        self.running = False
        return 0

    cdef void deliver(self, const Entry* entries, uint32_t count, Frame frame) noexcept:
        """Changes of routes wait, so `entries` stays put; sinks may be added, so each is looked up anew."""
        cdef uint32_t i, cut, together = 0           # calls since the coarse clock was read
        cdef uint32_t most = 1
        cdef int32_t index = -1
        cdef int status
        cdef Sink* sink
        cdef const Record* record
        cdef int64_t began, now, ticked = self.clock.coarse()
        for i in range(count):
            sink = &self.sinks[sink_in(entries[i])]
            if together and sink.kind != SINK_STRATEGY:
                now = self.clock.coarse()
                self.judge(index, 0, now - ticked, together)
                ticked, together = now, 0
            index = sink_in(entries[i])
            if sink.gate and not self.passes(index):
                continue
            cut = <uint32_t>(entries[i] & CUT_MASK)
            if <int32_t>cut >= frame.deepest:
                cut = 0
            if sink.kind >= SINK_STRATEGY:
                record = frame.cut_to(cut) if cut else frame.record
                sink.delivered += 1
                if sink.kind == SINK_RING:
                    (<RecordRing>sink.target).put(record, topic_in(entries[i]))
                    continue
                began = self.begin_strategy(index)
                status = subcore_call_strategy(sink.target, record, record.head.kind)
                most = STRATEGIES_TOGETHER
            else:
                cut |= <uint32_t>sink.raw << RAW_SHIFT
                if cut != frame.event_key and (<UseCall>use_key)(frame, cut) < 0:
                    self.handler_failed(index)
                    continue
                if sink.kind == SINK_QUEUE:
                    keep(sink, <PyObject*>frame.event, topic_in(entries[i]))
                    continue
                began = self.begin_call(index)
                status = call(sink, <PyObject*>frame.event)
                most = 1
            together += 1
            if status < 0:
                self.handler_failed(index)
            elif self.sinks[index].in_row:
                self.recovered(index)
            if together >= most or began:
                now = self.clock.coarse()
                if now != ticked or began:
                    self.judge(index, began, now - ticked, together)
                    ticked = now
                together = 0
        if together:
            self.judge(index, 0, self.clock.coarse() - ticked, together)

    cdef inline int64_t begin_call(self, int32_t sink) noexcept:
        self.called = sink
        self.calls += 1
        return self.clock.precise() if self.calls >= self.timed_at else 0

    cdef inline int64_t begin_strategy(self, int32_t sink) noexcept:
        """As begin_call, and timed an eighth as often: the clock costs as much as ten calls of a strategy."""
        self.called = sink
        self.calls += 1
        return self.begin_timed() if self.calls >= self.timed_at else 0

    cdef int64_t begin_timed(self) noexcept:
        if not self.all_timed and self.choose_timed() % STRATEGY_SHARE:
            return 0
        return self.clock.precise()

    cdef uint32_t choose_timed(self) noexcept:
        """The next call to be timed is chosen by lot: any rhythm could be theirs."""
        self.chance = <uint32_t>(<uint64_t>self.chance * 1664525 + 1013904223)
        self.timed_at = self.calls + 1 + (self.chance >> 16) % (2 * SAMPLE_EVERY - 1)
        return self.chance >> 24

    cdef void judge(self, int32_t sink, int64_t began, int64_t ticked, uint32_t together) noexcept:
        cdef int64_t ns = ticked
        cdef uint32_t weight = 1
        cdef bint is_long
        if began:
            ns = self.clock.precise() - began
            if not self.all_timed:
                self.choose_timed()
            is_long = ns >= LONG_CALL_NS
            if not is_long and not self.all_timed:
                weight = SAMPLE_EVERY
                if self.sinks[sink].kind == SINK_STRATEGY:
                    weight *= STRATEGY_SHARE
        else:
            is_long = ticked - self.clock.tick_ns >= LONG_CALL_NS
            if not is_long:
                return
            if together > 1:       # one of these: the next time it will be known which
                self.time_all()
                return
        if is_long:
            self.note_long(sink, ns)
        if not self.sinks[sink].gate & GATE_DEAD:
            self.times.add(self.sinks[sink].component, ns, weight)

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

    cdef void time_all(self) noexcept:
        self.all_timed = ALL_TIMED
        self.timed_at = 0

    cdef void finish(self) noexcept:
        """Make the changes asked for during the fan-out, then let go of what was released."""
        self.make_changes()
        self.running = False
        graveyard, self.graveyard = self.graveyard, []
        graveyard.clear()         # destructors of users' objects run here, when all is in order

    def send(self, int32_t stream, Event event not None):
        """Deliver a record that no frame brought just now (an arbiter's choice, a test); `raw` holders get no bytes.

        Raises KeyboardInterrupt or SystemExit if a handler did, after everyone was served.
        """
        self.fan_out(stream, record_of(event), event.venue, event.channel, event.symbol, NULL)
        fatal = self.take_fatal()
        if fatal is not None:
            raise fatal
