# cython: language_level=3
"""C face of the table of sinks: the places that events are delivered to."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from subcore._limits cimport LimitTable
from subcore._timing cimport CallClock, TimeTable

cdef enum:
    SINK_BITS = 26
    SINK_LIMIT = 0x400_0000   # 26 bits

cdef enum SinkKind:
    SINK_FREE = 0
    SINK_CALL = 1             # target(event)
    SINK_METHOD = 2           # target(object behind `weak`, event)
    SINK_QUEUE = 3            # target is a Box
    SINK_STRATEGY = 4         # this and the next take the record; no event object is made for them
    SINK_RING = 5             # target is a RecordRing

cdef enum Gate:               # why an event may not simply go to a sink; 0 = it may
    GATE_DEAD = 1             # released: nothing reaches it any more
    GATE_MUTED = 2            # nothing reaches it for now
    GATE_BLOCKED = 4          # ... and what passes is counted
    GATE_ONCE = 8             # but for one call
    GATE_LIMITED = 16         # its component has rate caps: this interest may have one

cdef struct Sink:
    PyObject* target          # both borrowed from `owners`, where the garbage collector sees them
    PyObject* weak            # weak reference to a bound method's object, or NULL
    uint64_t delivered
    uint64_t errors
    uint64_t withheld         # passed while it was blocked
    int32_t component         # of a free sink: the next free one, -1 = none
    uint32_t generation
    uint32_t uses             # routes and queued changes that name it: its id is not reused before they are gone
    uint32_t in_row           # errors since the last call that raised nothing
    uint8_t kind
    uint8_t raw
    uint8_t gate

cdef class SinkTable:
    cdef readonly object gone
    cdef object on_error
    cdef Sink* sinks
    cdef int32_t sink_room
    cdef int32_t sink_used
    cdef int32_t free_sink
    cdef readonly int32_t sink_count      # made and not yet free again
    cdef readonly uint64_t failures       # calls of handlers that raised
    cdef readonly bint running            # a fan-out is under way
    cdef object fatal                     # KeyboardInterrupt or SystemExit out of a handler, until taken
    cdef list owners                      # per sink what its pointers borrow from
    cdef list graveyard                   # targets replaced or released during a fan-out
    cdef dict errors                      # {sink: HandlerError}
    cdef set failing                      # sinks whose last call raised
    cdef CallClock clock
    cdef TimeTable times
    cdef readonly LimitTable limits

    # KeyboardInterrupt or SystemExit that a handler raised, once; else None.
    cdef object take_fatal(self)
    # Takes the exception that a call of this sink left set: counts it, tells `on_error`.
    cdef void handler_failed(self, int32_t sink) noexcept
    # A call raised nothing: errors in a row begin anew.
    cdef void recovered(self, int32_t sink) noexcept
    # For a sink whose gate is not 0: whether this event may go to it.
    cdef bint passes(self, int32_t sink) noexcept

    cdef void set_gate(self, int32_t sink, uint8_t bit, bint on) noexcept
    cdef void report(self, int32_t sink, object error) noexcept
    cdef void tell(self, int32_t sink, object error) noexcept
    cdef int32_t sink_at(self, object sink_id) except -1
    cdef object sink_id_of(self, int32_t sink)
    cdef int32_t take_sink(self) except -1
    cdef void drop_use(self, int32_t sink, uint32_t uses) noexcept
    cdef int aim(self, int32_t sink, object target) except -1
    cdef object swap_owner(self, int32_t sink, object owner)
