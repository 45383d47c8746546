# cython: language_level=3
"""C face of delivery policies and of a component's bounded queue."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t

cdef enum Overflow:
    DROP_OLDEST = 0
    DROP_NEWEST = 1
    CLOSE = 2

cdef enum PutResult:
    PUT_KEPT = 0          # queued, nothing lost
    PUT_LOST = 1          # this event, or the oldest one in its place, is lost and counted
    PUT_REFUSED = 2       # the queue was closed by its owner: nobody is due this event

cdef class Delivery:
    pass

cdef class Callback(Delivery):
    pass

cdef class Queue(Delivery):
    cdef readonly uint32_t maxsize
    cdef readonly str overflow

cdef class Mark:          # what stands between two events: a status, or a gap where events were lost
    cdef uint64_t sequence        # it comes before the event of this number
    cdef uint64_t lost            # 0 = a status
    cdef object content           # the status; of a gap {topic: count}

cdef class WakeBatch:
    cdef object schedule
    cdef list ready
    cdef bint scheduled
    cdef readonly uint64_t failures

    cdef void add(self, EventQueue queue) noexcept

cdef class EventQueue:
    cdef PyObject** items         # one block: `room` items, then `room` topics; positions are sequence & (room - 1)
    cdef int32_t* topics
    cdef uint64_t head            # sequence number of the oldest event
    cdef uint64_t tail            # ... and of the next one to come
    cdef uint64_t next_mark       # sequence of the first mark; all ones where there is none
    cdef uint32_t room
    cdef uint32_t high
    cdef uint32_t low
    cdef Overflow overflow
    cdef readonly uint32_t maxsize
    cdef readonly uint64_t lost
    cdef readonly uint64_t statuses_lost
    cdef readonly bint closed
    cdef readonly bint overflowed
    cdef readonly bint is_high
    cdef bint told_high
    cdef bint told_overflow
    cdef bint scheduled
    cdef Py_ssize_t marks_ahead   # marks known to stand before the oldest event
    cdef Py_ssize_t status_count
    cdef list marks
    cdef dict lost_topics
    cdef object waiter
    cdef object on_loss
    cdef object on_change
    cdef WakeBatch wakes

    cdef PutResult push(self, PyObject* event, int32_t topic) noexcept
    cdef PutResult push_full(self, PyObject* event, int32_t topic) noexcept
    cdef void store(self, PyObject* event, int32_t topic) noexcept
    cdef bint grow(self) noexcept
    cdef bint resize(self, uint32_t room) noexcept
    cdef void count_loss(self, int32_t topic, bint oldest) noexcept
    cdef int mark_loss(self, int32_t topic, bint oldest) except -1
    cdef void notify(self) noexcept
    cdef int settle(self) except -1
    cdef int drop_status(self) except -1
    cdef bint has_something(self) noexcept nogil
    cdef list take_run(self, Py_ssize_t max)
    cdef object take_mark(self)
    cdef void after_take(self) noexcept
