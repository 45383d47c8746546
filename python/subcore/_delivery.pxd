# cython: language_level=3
"""C face of delivery policies and of the boxes in which events wait."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t

from subcore._delays cimport DelayTable
from subcore._duties cimport Duty, DutyTable

cdef enum Overflow:
    DROP_OLDEST = 0
    DROP_NEWEST = 1
    CLOSE = 2

cdef enum PutResult:
    PUT_KEPT = 0          # it waits, nothing lost
    PUT_LOST = 1          # this event, or the oldest one in its place, is lost and counted
    PUT_REFUSED = 2       # the box was closed by its owner: nobody is due this event

cdef class Delivery:
    pass

cdef class Callback(Delivery):
    pass

cdef class Queue(Delivery):
    cdef readonly uint32_t maxsize
    cdef readonly str overflow

cdef class Latest(Delivery):
    pass

cdef class Ring(Delivery):
    cdef readonly uint32_t size

cdef class WakeBatch:
    cdef object schedule
    cdef list ready
    cdef bint scheduled
    cdef readonly uint64_t failures

    cdef void add(self, Box box) noexcept

cdef class Arrivals:
    cdef uint64_t count           # numbers given so far

cdef class Box:
    cdef WakeBatch wakes
    cdef Arrivals arrivals        # None where nothing need be numbered: the box is alone in its inbox
    cdef object waiter
    cdef object on_change
    cdef readonly bint closed
    cdef bint scheduled
    cdef readonly bint calls_done         # taking an event is not doing it: `returned` says when
    cdef DutyTable table          # keeps alive what `duty` points to
    cdef Duty duty
    cdef DelayTable delays        # measures how long what is taken had waited; None = nobody does
    cdef int32_t owner            # the component whose delays they are
    cdef uint64_t unwatched       # what `duty` points to where nobody counts
    cdef uint64_t in_hand         # taken and not yet returned; 0 where taking is doing

    # What waits takes its own reference. `topic` is who is told if it is lost.
    cdef PutResult push(self, PyObject* event, int32_t topic) noexcept
    # The next event or status, None where there is none, or where a gap stood that nobody is told of: then what comes
    # next may be another box's.
    cdef object take_one(self)
    # Up to `max` of what arrived before that number, in order; the number is not looked at if it is UINT64_MAX.
    cdef list take_list(self, Py_ssize_t max, uint64_t before)
    # Number of what comes next, UINT64_MAX where nothing does; only of a box with `arrivals`.
    cdef uint64_t first_arrival(self) noexcept
    # From now on what comes is numbered; what waits already is numbered now, in its order.
    cdef int number_from(self, Arrivals arrivals) except -1
    cdef bint has_something(self) noexcept
    cdef uint64_t waiting(self) noexcept
    # Of these topics, those that something waits of, or that are counted, go into the set.
    cdef int add_mentioned(self, set found, const int32_t* topics, Py_ssize_t count) except -1
    # From a flush: wake the reader if there is something for it.
    cdef int settle(self) except -1

    cdef void notify(self) noexcept
    cdef void count_taken(self, uint64_t events) noexcept
    # What was handed over just now, for who measures how long it waited.
    cdef void note_one(self, object event) noexcept
    cdef void note_list(self, list events) noexcept
    cdef void leave_duty(self) noexcept

# What counts by topic, {topic: count}: for `Box.mentioned`, and for `Box.rename`.
cdef int add_counted(set found, dict counts, const int32_t* topics, Py_ssize_t count) except -1
cdef int rename_counted(dict counts, dict ids) except -1


cdef inline bint is_among(int32_t topic, const int32_t* topics, Py_ssize_t count) noexcept nogil:
    """Whether sorted ids have this one."""
    cdef Py_ssize_t low = 0, high = count, middle
    while low < high:
        middle = (low + high) >> 1
        if topics[middle] < topic:
            low = middle + 1
        else:
            high = middle
    return low < count and topics[low] == topic
