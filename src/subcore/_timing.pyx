"""How long handlers take: clocks, and per component a few figures and a coarse histogram.

Most calls are timed by sampling, and a time then counts for all those it stands for; what ran for several ticks of the
kernel's clock is seen each time, and counts once. So sums and percentiles are those of all calls, whichever were timed.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from typing import NamedTuple

cdef extern from "_clock.h" nogil:
    ctypedef int clockid_t
    clockid_t CLOCK_MONOTONIC
    clockid_t CLOCK_MONOTONIC_COARSE
    void subcore_find_clock() noexcept
    int64_t subcore_time_ns(clockid_t clock) noexcept
    int64_t subcore_tick_ns(clockid_t clock) noexcept

subcore_find_clock()

cdef extern from *:
    int subcore_leading_zeros "__builtin_clzll"(unsigned long long value) noexcept nogil

cdef enum:
    COMPONENTS_AT_MOST = 1 << 24


class CallTimes(NamedTuple):
    """What the handlers of a component took; None where nothing was timed yet.

    `p50_ns`, `p99_ns` are within 13 %. `loop_share`: of the time since its first handler, 0 to 1. `over_budget`: calls
    beyond its budget, an estimate like the rest; those of over some 16 ms are counted one by one.
    """

    mean_ns: int | None = None
    p50_ns: int | None = None
    p99_ns: int | None = None
    worst_ns: int | None = None
    loop_share: float = 0.0
    over_budget: int = 0


NOTHING_TIMED = CallTimes()


cdef class CallClock:
    """The monotonic clock, exactly or at a tick of a few milliseconds; read without a system call."""

    def __cinit__(self, *args):
        self.tick_ns = subcore_tick_ns(CLOCK_MONOTONIC_COARSE)

    cdef int64_t precise(self) noexcept:
        return subcore_time_ns(CLOCK_MONOTONIC)

    cdef int64_t coarse(self) noexcept:
        return subcore_time_ns(CLOCK_MONOTONIC_COARSE)

    def now_ns(self):
        """Nanoseconds on the monotonic clock."""
        return self.precise()


cdef class CalledClock(CallClock):
    """A clock of one's own, for virtual time: `read()` gives nanoseconds; `coarse` has those of the last tick."""

    def __cinit__(self, read, int64_t tick_ns=0):
        self.read = read
        self.tick_ns = tick_ns

    cdef int64_t precise(self) noexcept:
        return self.read()

    cdef int64_t coarse(self) noexcept:
        cdef int64_t now = self.read()
        return now - now % self.tick_ns if self.tick_ns else now


cdef int time_bucket(int64_t ns) noexcept nogil:
    cdef int octave
    if ns < (1 << FIRST_TIMED_OCTAVE):
        return 0
    octave = 63 - subcore_leading_zeros(<unsigned long long>ns)
    if octave > LAST_TIMED_OCTAVE:
        return TIMED_BUCKETS - 1
    return BUCKETS_AN_OCTAVE * (octave - FIRST_TIMED_OCTAVE) + <int>((ns >> (octave - 2)) & (BUCKETS_AN_OCTAVE - 1))


cdef int64_t middle_of(int bucket) noexcept nogil:
    cdef int octave = bucket // BUCKETS_AN_OCTAVE + FIRST_TIMED_OCTAVE
    cdef int64_t quarter = <int64_t>1 << (octave - 2)
    return (BUCKETS_AN_OCTAVE + bucket % BUCKETS_AN_OCTAVE) * quarter + quarter // 2


cdef int64_t time_at(const TimeRow* row, double share) noexcept nogil:
    """Middle of the bucket that so large a share of the calls do not exceed, but at most the longest time."""
    cdef uint64_t seen = 0
    cdef uint64_t rank = max(<uint64_t>1, <uint64_t>(share * <double>row.count + 0.999999))
    cdef int bucket
    for bucket in range(TIMED_BUCKETS):
        seen += row.buckets[bucket]
        if seen >= rank:
            return min(middle_of(bucket), row.worst_ns)
    return row.worst_ns


cdef class TimeTable:
    def __dealloc__(self):
        cdef int32_t component
        for component in range(self.room):
            PyMem_Free(self.rows[component].buckets)
        PyMem_Free(self.rows)

    cdef int open(self, int32_t component, int64_t now_ns) except -1:
        if component >= 0:
            self.reserve(component)
            if self.rows[component].since_ns == 0:
                self.rows[component].since_ns = max(now_ns, <int64_t>1)
        return 0

    cdef void add(self, int32_t component, int64_t ns, uint32_t weight) noexcept:
        cdef TimeRow* row
        if component < 0 or component >= self.room:
            return
        row = &self.rows[component]
        if row.buckets == NULL:
            row.buckets = <uint64_t*>PyMem_Calloc(TIMED_BUCKETS, sizeof(uint64_t))
            if row.buckets == NULL:
                return
            self.bucket_bytes += TIMED_BUCKETS * sizeof(uint64_t)
        ns = max(ns, <int64_t>0)
        row.count += weight
        row.sum_ns += <uint64_t>ns * weight
        row.worst_ns = max(row.worst_ns, ns)
        row.buckets[time_bucket(ns)] += weight
        if row.budget_ns and ns > row.budget_ns:
            row.over += weight

    cdef void forget(self, int32_t component) noexcept:
        """The component is gone: its id will be another's."""
        if 0 <= component < self.room:
            if self.rows[component].buckets != NULL:
                self.bucket_bytes -= TIMED_BUCKETS * sizeof(uint64_t)
                PyMem_Free(self.rows[component].buckets)
            memset(&self.rows[component], 0, sizeof(TimeRow))

    cdef object figures(self, int32_t component, int64_t now_ns):
        cdef TimeRow* row
        cdef double share = 0.0
        if component < 0 or component >= self.room or self.rows[component].count == 0:
            return NOTHING_TIMED
        row = &self.rows[component]
        if now_ns > row.since_ns:
            share = min(1.0, <double>row.sum_ns / <double>(now_ns - row.since_ns))
        return CallTimes(row.sum_ns // row.count, time_at(row, 0.5), time_at(row, 0.99), row.worst_ns, share, row.over)

    cdef int reserve(self, int32_t component) except -1:
        cdef int32_t room
        cdef TimeRow* rows
        if component < self.room:
            return 0
        if component >= COMPONENTS_AT_MOST:
            raise MemoryError(f"no memory for the times of component {component}")
        room = max(component + 1, self.room + self.room // 2)
        rows = <TimeRow*>PyMem_Realloc(self.rows, <size_t>room * sizeof(TimeRow))
        if rows == NULL:
            raise MemoryError(f"no memory for the times of {room} components")
        memset(rows + self.room, 0, <size_t>(room - self.room) * sizeof(TimeRow))
        self.rows, self.room = rows, room
        return 0

    cdef size_t table_bytes(self) noexcept:
        return <size_t>self.room * sizeof(TimeRow) + self.bucket_bytes
