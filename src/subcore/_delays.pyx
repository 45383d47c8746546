# cython: language_level=3
"""How long events waited between being received and being handed over, by component.

A log-linear histogram for each component, of which only the octaves in use exist: some 3 kB each. Percentiles are
within 2 % from 1 us to 1 h. Events taken from boxes are measured by lot, one in eight, with one reading of the clock
for all that are taken together; calls, where they are timed anyway.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from libc.math cimport ceil
from libc.stdint cimport UINT64_MAX, int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from typing import NamedTuple

from subcore._events cimport FLAG_IMAGE, Event

cdef extern from "<time.h>" nogil:
    """
    #include <time.h>
    #include <stdint.h>
    static inline int64_t subcore_wall_ns(void) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }
    """
    int64_t subcore_wall_ns() noexcept

cdef extern from *:
    int subcore_leading_zeros "__builtin_clzll"(unsigned long long value) noexcept nogil

cdef enum:
    COMPONENTS_AT_MOST = 1 << 24


cdef int64_t LONGEST_NS = <int64_t>1 << 42      # longer ones count for this in the mean: somebody's clock is wrong


class DelayTimes(NamedTuple):
    """Delays in nanoseconds, None where none was measured. `events`: how many they stand for, an estimate."""

    events: int = 0
    mean_ns: int | None = None
    p50_ns: int | None = None
    p90_ns: int | None = None
    p99_ns: int | None = None
    worst_ns: int | None = None


NOTHING_MEASURED = DelayTimes()


cdef inline int octave_of(int64_t ns) noexcept nogil:
    if ns < (1 << DELAY_SHIFT):
        return 0
    return min(63 - subcore_leading_zeros(<unsigned long long>ns) - DELAY_SHIFT + 1, DELAY_OCTAVES - 1)


cdef inline int step_of(int64_t ns, int octave) noexcept nogil:
    """Place within its octave; what is beyond the last one counts at its end."""
    if octave == 0:
        return <int>(ns >> (DELAY_SHIFT - 5))
    if ns >> (octave + DELAY_SHIFT):
        return DELAY_STEPS - 1
    return <int>((ns >> (octave + DELAY_SHIFT - 6)) & (DELAY_STEPS - 1))


cdef int64_t middle_of(int octave, int step) noexcept nogil:
    cdef int64_t width = <int64_t>1 << (max(octave, 1) + DELAY_SHIFT - 6)
    return (step + (DELAY_STEPS if octave else 0)) * width + width // 2


cdef inline uint64_t sum_of(const uint64_t* steps) noexcept nogil:
    cdef uint64_t total = 0
    cdef int step
    for step in range(DELAY_STEPS):
        total += steps[step]
    return total


cdef void values_at(
    const DelayCounts* now, const DelayCounts* before, const uint64_t* ranks, int64_t* values, int count
) noexcept nogil:
    """Middles of the buckets of these ranks (1 = smallest; ascending), none above the longest. One pass for all, which
    looks at the steps of an octave only where one of the ranks lies in it."""
    cdef uint64_t seen = 0
    cdef uint64_t within
    cdef int octave, step
    cdef int done = 0
    cdef const uint64_t* here
    cdef const uint64_t* old
    for octave in range(DELAY_OCTAVES):
        here, old = now.octaves[octave], NULL if before == NULL else before.octaves[octave]
        if here == NULL:
            continue
        within = sum_of(here) - (0 if old == NULL else sum_of(old))
        if seen + within < ranks[done]:
            seen += within
            continue
        for step in range(DELAY_STEPS):
            seen += here[step] - (0 if old == NULL else old[step])
            while seen >= ranks[done]:
                values[done] = min(middle_of(octave, step), now.worst_ns)
                done += 1
                if done == count:
                    return
    for done in range(done, count):
        values[done] = now.worst_ns


cdef inline uint64_t rank_at(uint64_t count, double share) noexcept nogil:
    return max(<uint64_t>1, <uint64_t>ceil(<double>count * share))


cdef object times_of(const DelayCounts* now, const DelayCounts* before):
    cdef uint64_t count = now.count
    cdef uint64_t sum_ns = now.sum_ns
    cdef uint64_t ranks[4]
    cdef int64_t values[4]
    if before != NULL:
        count -= before.count
        sum_ns -= before.sum_ns
    if count == 0:
        return NOTHING_MEASURED
    # All of it before any object is made: that may run the collector, and a user's __del__ that ends the component.
    ranks[0], ranks[1], ranks[2], ranks[3] = rank_at(count, 0.5), rank_at(count, 0.9), rank_at(count, 0.99), count
    values_at(now, before, ranks, values, 4)
    if before == NULL:
        values[3] = now.worst_ns
    return DelayTimes(count, sum_ns // count, values[0], values[1], values[2], values[3])


@cython.final
cdef class DelayTable:
    """Delays by component id. Belongs to the loop's thread; figures may be read from any.

    `read()` gives nanoseconds since 1970 (the machine's clock). `every`: events taken from boxes, on average, of which
    one is measured; 1 = all. An image is not measured: it is as old as its stream is quiet.
    """

    def __cinit__(self, read=None):
        self.read = read
        self.every = TAKEN_EVERY
        self.until = 1

    def __dealloc__(self):
        cdef int32_t component
        for component in range(self.room):
            self.forget(component)
        PyMem_Free(self.rows)

    cdef int64_t wall_ns(self) noexcept:
        return subcore_wall_ns() if self.read is None else self.read()

    cdef uint32_t gap(self) noexcept:
        """By lot, `every` on average: any rhythm could be a reader's."""
        self.chance = <uint32_t>(<uint64_t>self.chance * 1664525 + 1013904223)
        return 1 + (self.chance >> 16) % (2 * max(self.every, <uint32_t>1) - 1)

    cdef void took(self, int32_t component, object event) noexcept:
        self.until -= 1
        if self.until == 0:
            self.until = self.gap()
            self.note(component, self.wall_ns(), event)

    cdef void took_list(self, int32_t component, list events) noexcept:
        cdef Py_ssize_t count = len(events)
        cdef int64_t now_ns
        if self.until > count:
            self.until -= <uint32_t>count
            return
        now_ns = self.wall_ns()
        while self.until <= count:
            self.note(component, now_ns, events[self.until - 1])
            self.until += self.gap()
        self.until -= <uint32_t>count

    cdef void note(self, int32_t component, int64_t now_ns, object item) noexcept:
        cdef Event event
        if isinstance(item, Event):
            event = <Event>item
            if not event.head.flags & FLAG_IMAGE:
                self.add(component, now_ns - event.head.receive_time_ns, max(self.every, <uint32_t>1))

    cdef void add(self, int32_t component, int64_t ns, uint32_t weight) noexcept:
        cdef DelayRow* row = self.row_of(component)
        cdef uint64_t together
        cdef int octave
        if row == NULL:
            return
        ns = max(ns, <int64_t>0)
        octave = octave_of(ns)
        if row.life.octaves[octave] == NULL:
            row.life.octaves[octave] = <uint64_t*>PyMem_Calloc(DELAY_STEPS, sizeof(uint64_t))
            if row.life.octaves[octave] == NULL:
                return
            self.nbytes += DELAY_STEPS * sizeof(uint64_t)
        row.life.octaves[octave][step_of(ns, octave)] += weight
        row.life.count += weight
        together = <uint64_t>min(ns, LONGEST_NS) * weight
        row.life.sum_ns += min(together, UINT64_MAX - row.life.sum_ns)
        row.life.worst_ns = max(row.life.worst_ns, ns)

    cdef DelayRow* row_of(self, int32_t component) noexcept:
        cdef int32_t room
        cdef DelayRow** rows
        if component < 0 or component >= COMPONENTS_AT_MOST:
            return NULL
        if component >= self.room:
            room = max(component + 1, self.room + self.room // 2)
            rows = <DelayRow**>PyMem_Realloc(self.rows, <size_t>room * sizeof(DelayRow*))
            if rows == NULL:
                return NULL
            memset(rows + self.room, 0, <size_t>(room - self.room) * sizeof(DelayRow*))
            self.nbytes += (room - self.room) * <Py_ssize_t>sizeof(DelayRow*)
            self.rows, self.room = rows, room
        if self.rows[component] == NULL:
            self.rows[component] = <DelayRow*>PyMem_Calloc(1, sizeof(DelayRow))
            if self.rows[component] != NULL:
                self.nbytes += sizeof(DelayRow)
        return self.rows[component]

    def count(self, int32_t component, int64_t ns, uint32_t weight=1):
        """One delay that stands for `weight` events. For tests, and for what is handed over elsewhere."""
        self.add(component, ns, weight)

    def turn(self):
        """Call it at equal intervals: `recent` figures are of the last one to two of them. O(components)."""
        cdef int32_t component
        cdef DelayRow* row
        cdef DelayCounts fresh
        for component in range(self.room):
            row = self.rows[component]
            if row == NULL:
                continue
            memset(&fresh, 0, sizeof(fresh))
            if self.copy_counts(&fresh, &row.life):
                self.free_counts(&row.older)
                row.older = row.newer
                row.newer = fresh
            else:
                self.free_counts(&fresh)

    cdef bint copy_counts(self, DelayCounts* into, const DelayCounts* source) noexcept:
        cdef int octave
        into.count, into.sum_ns, into.worst_ns = source.count, source.sum_ns, source.worst_ns
        for octave in range(DELAY_OCTAVES):
            if source.octaves[octave] == NULL:
                continue
            into.octaves[octave] = <uint64_t*>PyMem_Calloc(DELAY_STEPS, sizeof(uint64_t))
            if into.octaves[octave] == NULL:
                return False
            self.nbytes += DELAY_STEPS * sizeof(uint64_t)
            memcpy(into.octaves[octave], source.octaves[octave], DELAY_STEPS * sizeof(uint64_t))
        return True

    cdef void free_counts(self, DelayCounts* counts) noexcept:
        cdef int octave
        for octave in range(DELAY_OCTAVES):
            if counts.octaves[octave] != NULL:
                PyMem_Free(counts.octaves[octave])
                self.nbytes -= DELAY_STEPS * sizeof(uint64_t)
        memset(counts, 0, sizeof(DelayCounts))

    def figures(self, int32_t component):
        """DelayTimes of a component since it was made."""
        if not 0 <= component < self.room or self.rows[component] == NULL:
            return NOTHING_MEASURED
        return times_of(&self.rows[component].life, NULL)

    def recent(self, int32_t component):
        """DelayTimes of the last one to two turns; the longest within 2 %, like the percentiles."""
        if not 0 <= component < self.room or self.rows[component] == NULL:
            return NOTHING_MEASURED
        return times_of(&self.rows[component].life, &self.rows[component].older)

    cpdef forget(self, int32_t component):
        """The component is gone: its id will be another's."""
        cdef DelayRow* row
        if 0 <= component < self.room and self.rows[component] != NULL:
            row = self.rows[component]
            self.free_counts(&row.life)
            self.free_counts(&row.newer)
            self.free_counts(&row.older)
            PyMem_Free(row)
            self.rows[component] = NULL
            self.nbytes -= sizeof(DelayRow)
