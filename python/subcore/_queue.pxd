# cython: language_level=3
"""C face of the bounded queue."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t

from subcore._delivery cimport Arrivals, Box, Overflow, PutResult

cdef class Mark:          # what stands between two events: a status, or a gap where events were lost
    cdef uint64_t sequence        # it comes before the event of this number
    cdef uint64_t arrival         # of the status, of the first event lost; 0 where nothing is numbered
    cdef uint64_t lost            # 0 = a status
    cdef object content           # the status; of a gap {topic: count}

cdef class EventQueue(Box):
    cdef PyObject** items         # one block: `room` items, then arrivals if numbered, then topics;
    cdef uint64_t* numbers        # ... positions are sequence & (room - 1). NULL: nothing is numbered
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
    cdef readonly bint overflowed
    cdef readonly bint is_high
    cdef bint told_high
    cdef bint told_overflow
    cdef Py_ssize_t marks_ahead   # marks known to stand before the oldest event
    cdef Py_ssize_t status_count
    cdef list marks
    cdef dict lost_topics
    cdef object on_loss

    cdef PutResult push_full(self, PyObject* event, int32_t topic) noexcept
    cdef void store(self, PyObject* event, int32_t topic) noexcept
    cdef bint grow(self) noexcept
    cdef bint resize(self, uint32_t room) noexcept
    cdef uint64_t next_number(self) noexcept
    cdef void count_loss(self, int32_t topic, uint64_t arrival, uint64_t sequence, bint oldest) noexcept
    cdef int mark_loss(self, int32_t topic, uint64_t arrival, uint64_t sequence, bint oldest) except -1
    cdef int drop_status(self) except -1
    cdef bint first_is_before(self, uint64_t arrival) noexcept
    cdef Py_ssize_t count_before(self, Py_ssize_t most, uint64_t before) noexcept
    cdef list take_run(self, Py_ssize_t count)
    cdef object take_mark(self)
    cdef void after_take(self, uint64_t events) noexcept
