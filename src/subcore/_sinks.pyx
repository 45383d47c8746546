"""Sinks: the places that events are delivered to, and what happens when one of them fails.

A sink is a callable, a bound method, a component's box or ring, or a Cython strategy. Its id carries a generation, so
that an id kept too long is refused. An exception of a handler ends here: counted, told, and nobody else's matter.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from types import MethodType
from typing import NamedTuple
from weakref import ref

cimport numpy as cnp
import numpy as np

from subcore._delivery cimport Box
from subcore._limits cimport LimitTable
from subcore._ring cimport RecordRing
from subcore._strategy cimport StrategyAbi1
from subcore._timing cimport CallClock, TimeTable

from subcore.errors import CapacityError

cnp.import_array()

cdef extern from "_call.h":
    int subcore_left_error() except -1

cdef Py_ssize_t ERROR_TEXT_LIMIT = 500


class HandlerError(NamedTuple):
    """The last exception of a sink, as text: keeping the exception would keep the handler's whole stack alive."""

    exception: str
    text: str
    where: str


class SinkInfo(NamedTuple):
    """Figures of one sink. `delivered` counts calls and puts, those that raised included, `calls` the calls alone.

    `errors_in_row`: since the last call that raised nothing. `withheld`: events that passed while it was `blocked`;
    `trying`: one call may go through all the same.
    """

    component: int
    interests: int
    delivered: int
    errors: int
    last_error: HandlerError | None
    calls: int = 0
    errors_in_row: int = 0
    withheld: int = 0
    blocked: bool = False
    trying: bool = False


class FailingSink(NamedTuple):
    """A sink whose last calls all raised."""

    component: int
    sink_id: int
    errors_in_row: int


cdef object describe(object error):
    trace = error.__traceback__
    where = ""
    while trace is not None:
        where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    try:
        text = str(error)[:ERROR_TEXT_LIMIT]
    except Exception:
        text = "(its text could not be made)"
    return HandlerError(type(error).__qualname__, text, where)


@cython.final
cdef class GoneNote:
    """What a weak reference calls when its object goes: it only notes the sink."""

    cdef object gone
    cdef object sink_id

    def __call__(self, reference):
        self.gone.append(self.sink_id)


cdef object weak_reference(object target, object gone, object sink_id):
    """None where the object knows no weak references; such a method is held strongly."""
    cdef GoneNote note = GoneNote()
    note.gone, note.sink_id = gone, sink_id
    try:
        return ref(target, note)
    except TypeError:
        return None


# A cleared table would leave pointers to what `owners` held; cycles through it are broken at their other ends.
@cython.no_gc_clear
cdef class SinkTable:
    def __cinit__(self, *args, gone=None, on_error=None, CallClock clock=None, **kwargs):
        if gone is None:
            raise TypeError("give gone=, a deque for the ids of sinks whose object went")
        self.gone = gone
        self.on_error = on_error
        self.free_sink = -1
        self.owners = []
        self.graveyard = []
        self.errors = {}
        self.failing = set()
        self.clock = CallClock() if clock is None else clock
        self.times = TimeTable()
        self.limits = LimitTable()

    def __dealloc__(self):
        PyMem_Free(self.sinks)

    def new_sink(self, int32_t component, target not None, *, bint raw=False):
        """Make a place to deliver to; returns its id. TypeError if `target` is nothing that events can go to.

        `target`: a Cython strategy, a box, a ring, or a callable of one event. A bound method is held through its
        object, weakly; everything else strongly. A `raw` sink gets events that carry the frame's bytes.
        """
        cdef int32_t sink
        self.times.open(component, self.clock.precise())
        sink = self.take_sink()
        try:
            self.aim(sink, target)
        except BaseException:
            self.sinks[sink].gate |= GATE_DEAD
            self.drop_use(sink, 1)
            raise
        self.sinks[sink].component = component
        self.sinks[sink].raw = raw
        self.set_gate(sink, GATE_LIMITED, self.limits.has(component))
        self.drop_use(sink, 1)
        return self.sink_id_of(sink)

    def set_handler(self, sink_id, target not None):
        """From now on this sink delivers to `target`; at once, even during a fan-out. TypeError as `new_sink`."""
        cdef int32_t sink = self.sink_at(sink_id)
        self.sinks[sink].uses += 1            # it stays whatever a destructor does while it is aimed anew
        _left = None
        try:
            self.aim(sink, target)
            self.recovered(sink)
        finally:
            if self.sinks[sink].gate & GATE_DEAD:
                _left = self.swap_owner(sink, None)
            self.drop_use(sink, 1)

    def mute_sink(self, sink_id, bint flag=True):
        """A muted sink gets nothing, at once, until it is unmuted; what passes meanwhile is not counted as lost."""
        self.set_gate(self.sink_at(sink_id), GATE_MUTED, flag)

    def block_sink(self, sink_id, bint on=True):
        """A blocked sink gets nothing, at once, until it is let off; what passes is counted as `withheld`. Idempotent.

        Apart from `mute_sink`: a sink gets events only where it is neither muted nor blocked.
        """
        cdef int32_t sink = self.sink_at(sink_id)
        self.set_gate(sink, GATE_BLOCKED, on)
        self.set_gate(sink, GATE_ONCE, False)

    def try_sink(self, sink_id):
        """Let the next event through to a blocked sink, one and no more; `errors_in_row` then tells how it went.

        Nothing for a sink that is not blocked.
        """
        cdef int32_t sink = self.sink_at(sink_id)
        self.set_gate(sink, GATE_ONCE, self.sinks[sink].gate & GATE_BLOCKED != 0)

    def failing_sinks(self, uint32_t limit=1):
        """[FailingSink] of those with at least `limit` errors in a row, released ones left out. O(those that fail)."""
        return [
            FailingSink(self.sinks[sink].component, self.sink_id_of(sink), self.sinks[sink].in_row)
            for sink in sorted(self.failing)
            if self.sinks[sink].in_row >= limit and not self.sinks[sink].gate & GATE_DEAD
        ]

    def handler_of(self, sink_id):
        """What a sink delivers to, to name it: a callable (of a bound method its function), a queue or a strategy."""
        return self.owners[self.sink_at(sink_id)][0]

    def release_sink(self, sink_id):
        """Nothing reaches the sink from now on. Its id is free again once its interests are disconnected too."""
        cdef int32_t sink = self.sink_at(sink_id)
        _released = self.swap_owner(sink, None)        # dies last: a destructor may call anything
        self.sinks[sink].gate |= GATE_DEAD
        self.sinks[sink].uses += 1
        self.drop_use(sink, 1)

    def is_idle(self, sink_id):
        """Whether no interest is delivered to a sink. KeyError for an id that was released. O(1)."""
        return self.sinks[self.sink_at(sink_id)].uses == 0

    def sink_info(self, sink_id):
        """SinkInfo of one sink. KeyError for an id that was released."""
        cdef int32_t sink = self.sink_at(sink_id)
        cdef Sink* row = &self.sinks[sink]
        cdef bint is_called = row.kind in (SINK_CALL, SINK_METHOD, SINK_STRATEGY)
        return SinkInfo(row.component, row.uses, row.delivered, row.errors, self.errors.get(sink),
                        row.delivered if is_called else 0, row.in_row, row.withheld,
                        row.gate & GATE_BLOCKED != 0, row.gate & GATE_ONCE != 0)

    def counts(self, Py_ssize_t components):
        """(delivered, calls, withheld, errors), as `SinkInfo` has them, summed by component: uint64 columns of that
        length. Of sinks that are there; what those released had counted is not in it. O(sinks)."""
        cdef cnp.ndarray rows = np.zeros((4, components), np.uint64)
        cdef uint64_t* column = <uint64_t*>cnp.PyArray_DATA(rows)
        cdef const Sink* row
        cdef int32_t sink
        for sink in range(self.sink_used):
            row = &self.sinks[sink]
            if row.kind == SINK_FREE or row.gate & GATE_DEAD or not 0 <= row.component < components:
                continue
            column[row.component] += row.delivered
            if row.kind in (SINK_CALL, SINK_METHOD, SINK_STRATEGY):
                column[components + row.component] += row.delivered
            column[2 * components + row.component] += row.withheld
            column[3 * components + row.component] += row.errors
        return tuple(rows)

    def call_failed(self, sink_id, error not None):
        """Count an exception of a call made elsewhere (an async handler's), as of one made by the fan-out.

        Raises KeyboardInterrupt or SystemExit where that was one, unless a fan-out is under way, which tells it at its
        end. KeyError for an id that was released.
        """
        self.report(self.sink_at(sink_id), error)
        if not self.running:
            fatal = self.take_fatal()
            if fatal is not None:
                raise fatal

    def count_failure(self):
        """Count an exception of a call made elsewhere that no sink stands for any more."""
        self.failures += 1

    def call_returned(self, sink_id):
        """A call made elsewhere raised nothing: errors in a row begin anew. KeyError for an id that was released."""
        cdef int32_t sink = self.sink_at(sink_id)
        if self.sinks[sink].in_row:
            self.recovered(sink)

    cdef object take_fatal(self):
        fatal, self.fatal = self.fatal, None
        return fatal

    cdef void handler_failed(self, int32_t sink) noexcept:
        try:
            subcore_left_error()
        except BaseException as error:
            self.report(sink, error)

    cdef void report(self, int32_t sink, object error) noexcept:
        self.failures += 1
        self.sinks[sink].errors += 1
        self.sinks[sink].in_row += 1
        if self.fatal is None and isinstance(error, (KeyboardInterrupt, SystemExit)):
            self.fatal = error
        self.tell(sink, error)

    cdef void tell(self, int32_t sink, object error) noexcept:
        """An error of the hook itself is unraisable: it may not stop the fan-out."""
        try:
            self.failing.add(sink)
            self.errors[sink] = describe(error)
            if self.on_error is not None:
                self.on_error(self.sinks[sink].component, self.sink_id_of(sink), error)
        except (KeyboardInterrupt, SystemExit) as raised:
            if self.fatal is None:
                self.fatal = raised

    cdef void recovered(self, int32_t sink) noexcept:
        self.sinks[sink].in_row = 0
        self.failing.discard(sink)

    cdef bint passes(self, int32_t sink) noexcept:
        cdef Sink* row = &self.sinks[sink]
        if row.gate & (GATE_DEAD | GATE_MUTED):
            return False
        if row.gate & GATE_BLOCKED:
            if not row.gate & GATE_ONCE:
                row.withheld += 1
                return False
            self.set_gate(sink, GATE_ONCE, False)
        return True

    cdef void set_gate(self, int32_t sink, uint8_t bit, bint on) noexcept:
        cdef uint8_t gate = self.sinks[sink].gate
        self.sinks[sink].gate = <uint8_t>(gate | bit if on else gate & ~bit)

    cdef int32_t sink_at(self, object sink_id) except -1:
        cdef int64_t wanted = sink_id
        cdef int64_t sink = wanted & (SINK_LIMIT - 1)
        if (
            wanted < 0
            or sink >= self.sink_used
            or self.sinks[sink].kind == SINK_FREE
            or self.sinks[sink].gate & GATE_DEAD
            or self.sinks[sink].generation != wanted >> SINK_BITS
        ):
            raise KeyError(f"no sink has id {sink_id}: it was never made, or has been released")
        return <int32_t>sink

    cdef object sink_id_of(self, int32_t sink):
        return (<int64_t>self.sinks[sink].generation << SINK_BITS) | sink

    cdef int32_t take_sink(self) except -1:
        """A sink with one use, so that it stays whatever a destructor does while it is set up."""
        cdef int32_t sink = self.free_sink
        cdef int32_t room
        cdef Sink* sinks
        if sink >= 0:
            self.free_sink = self.sinks[sink].component
        else:
            if self.sink_used >= SINK_LIMIT:
                raise CapacityError(f"all {SINK_LIMIT} sinks are in use")
            if self.sink_used == self.sink_room:
                room = min(self.sink_room + self.sink_room // 2 + 8, <int32_t>SINK_LIMIT)
                sinks = <Sink*>PyMem_Realloc(self.sinks, <size_t>room * sizeof(Sink))
                if sinks == NULL:
                    raise MemoryError("no memory for another sink")
                memset(sinks + self.sink_room, 0, <size_t>(room - self.sink_room) * sizeof(Sink))
                self.sinks, self.sink_room = sinks, room
            self.owners.append(None)
            sink = self.sink_used
            self.sink_used += 1
        self.sinks[sink].kind = SINK_CALL
        self.sinks[sink].uses = 1
        self.sink_count += 1
        return sink

    cdef void drop_use(self, int32_t sink, uint32_t uses) noexcept:
        """Fewer routes or changes name the sink; a released one becomes free with the last."""
        cdef Sink* row = &self.sinks[sink]
        cdef uint32_t generation = row.generation
        row.uses -= uses
        if row.uses or not row.gate & GATE_DEAD:
            return
        self.failing.discard(sink)
        self.errors.pop(sink, None)
        memset(row, 0, sizeof(Sink))
        row.generation = 0 if generation == <uint32_t>0x7FFF_FFFF else generation + 1
        row.component = self.free_sink
        self.free_sink = sink
        self.sink_count -= 1

    cdef int aim(self, int32_t sink, object target) except -1:
        """Point a sink at a target. What can fail comes first."""
        cdef int kind = SINK_CALL
        function, weak = target, None
        if isinstance(target, StrategyAbi1):
            kind = SINK_STRATEGY
        elif isinstance(target, Box):
            kind = SINK_QUEUE
        elif isinstance(target, RecordRing):
            kind = SINK_RING
        elif not callable(target):
            raise TypeError(f"a handler must be callable with one event; {type(target).__name__} is not")
        elif type(target) is MethodType:
            weak = weak_reference(target.__self__, self.gone, self.sink_id_of(sink))
            if weak is not None:
                kind, function = SINK_METHOD, target.__func__
        _replaced = self.swap_owner(sink, (function, weak))
        self.sinks[sink].kind = kind
        self.sinks[sink].target = <PyObject*>function
        self.sinks[sink].weak = NULL if weak is None else <PyObject*>weak
        return 0

    cdef object swap_owner(self, int32_t sink, object owner):
        """Give up a sink's target; during a fan-out it may be the one running, so it lives on until the end."""
        old = self.owners[sink]
        if self.running and old is not None:
            self.graveyard.append(old)
        self.owners[sink] = owner
        self.sinks[sink].target = self.sinks[sink].weak = NULL
        return old
