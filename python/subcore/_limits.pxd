# cython: language_level=3
"""C face of rate caps: the interests that get at most one event an interval."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from subcore._events cimport Event

cdef class Limit:                 # of one interest
    cdef int64_t interval_ns      # 0 = lifted: what is held back goes, and nothing more is; INT64_MAX = nothing goes
    cdef int64_t last_ns          # when the last one went, INT64_MIN = none did
    cdef int64_t due_ns           # nothing goes before
    cdef uint64_t conflated       # events in whose place a newer one came
    cdef Event pending            # the newest one held back, or None
    cdef int32_t component
    cdef int32_t topic

cdef class LimitTable:
    cdef dict limits              # {component: {topic: Limit}}
    cdef dict past                # {component: {topic: conflated}}, of limits that are gone
    cdef list heap                # of (due_ns, number, Limit); what is not due any more is passed over
    cdef uint64_t number
    cdef object on_due            # called with the time, when something is due earlier than all before

    cdef bint has(self, int32_t component) noexcept
    cdef Limit find(self, int32_t component, int32_t topic)
    # Whether an event may go now, which is then the last one that went.
    cdef bint admit(self, Limit limit, int64_t now_ns) noexcept
    # Hold an event back that may not go now, in place of the one held back before.
    cdef int hold(self, Limit limit, Event event) except -1
    cdef int put(self, int32_t component, int32_t topic, int64_t interval_ns) except -1
    cdef int forget(self, int32_t component, int32_t topic) except -1
    cdef void forget_all(self, int32_t component) noexcept
    # The next one whose event is due, None = none; its event is in `pending`.
    cdef Limit take_due(self, int64_t now_ns)
    cdef int64_t next_due(self) noexcept

    cdef void replace(self, Limit limit, Event newer) noexcept
    cdef int set_interval(self, Limit limit, int64_t interval_ns) except -1
    cdef bint is_stale(self, tuple entry) noexcept
    cdef int queue(self, Limit limit) except -1
