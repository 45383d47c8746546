# cython: language_level=3
"""C face of the times of calls: clocks, and per component what its handlers took."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef enum:
    SAMPLE_EVERY = 32             # calls, on average, of which one is timed exactly
    BUCKETS_AN_OCTAVE = 4
    FIRST_TIMED_OCTAVE = 7        # shorter than 128 ns counts there
    LAST_TIMED_OCTAVE = 35        # as do those of over 34 s in the last one
    TIMED_BUCKETS = 116           # BUCKETS_AN_OCTAVE * (LAST - FIRST + 1); the debug build needs a literal

cdef class CallClock:
    cdef readonly int64_t tick_ns     # by so much `coarse` may be behind

    cdef int64_t precise(self) noexcept
    # The same clock at the last tick of the kernel; costs a few nanoseconds.
    cdef int64_t coarse(self) noexcept

cdef class CalledClock(CallClock):
    cdef object read

cdef struct TimeRow:
    uint64_t count                # calls that the figures stand for
    uint64_t sum_ns
    int64_t worst_ns
    int64_t since_ns              # 0 = unused
    int64_t budget_ns             # 0 = none
    uint64_t over                 # calls beyond the budget
    uint64_t* buckets             # made with the first time

cdef class TimeTable:
    cdef TimeRow* rows
    cdef int32_t room
    cdef size_t bucket_bytes

    # From now on the component can be timed; again is nothing.
    cdef int open(self, int32_t component, int64_t now_ns) except -1
    # One time that stands for `weight` calls. Without memory it is not counted.
    cdef void add(self, int32_t component, int64_t ns, uint32_t weight) noexcept
    cdef void forget(self, int32_t component) noexcept
    cdef object figures(self, int32_t component, int64_t now_ns)

    cdef int reserve(self, int32_t component) except -1
    cdef size_t table_bytes(self) noexcept

cdef int time_bucket(int64_t ns) noexcept nogil
