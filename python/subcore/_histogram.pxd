# cython: language_level=3
"""Histogram of nanoseconds: constant memory, one increment per value."""

from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    int subcore_leading_zeros "__builtin_clzll"(unsigned long long value) noexcept nogil

cdef enum:
    SUB_BUCKETS = 32              # per octave: half of a bucket is at most 1/64 of its values
    FIRST_OCTAVE = 9              # below 512 ns buckets are 16 ns wide
    LAST_OCTAVE = 41              # up to 2^42 ns = 73 min; longer ones count there
    BUCKET_COUNT = 1088           # SUB_BUCKETS * (LAST_OCTAVE - FIRST_OCTAVE + 2); the debug build needs a literal

cdef struct HistogramData:
    uint64_t count
    uint64_t sum_ns
    int64_t min_ns
    int64_t max_ns
    uint64_t buckets[BUCKET_COUNT]

cdef inline int bucket_of(int64_t ns) noexcept nogil:
    cdef int octave
    if ns < (1 << FIRST_OCTAVE):
        return <int>(ns >> (FIRST_OCTAVE - 5)) if ns > 0 else 0
    octave = 63 - subcore_leading_zeros(<unsigned long long>ns)
    if octave > LAST_OCTAVE:
        return BUCKET_COUNT - 1
    return SUB_BUCKETS * (octave - FIRST_OCTAVE + 1) + <int>((ns >> (octave - 5)) & (SUB_BUCKETS - 1))

# A negative value counts as 0.
cdef inline void histogram_add(HistogramData* histogram, int64_t ns) noexcept nogil:
    if ns < 0:
        ns = 0
    if histogram.count == 0 or ns < histogram.min_ns:
        histogram.min_ns = ns
    if ns > histogram.max_ns:
        histogram.max_ns = ns
    histogram.count += 1
    histogram.sum_ns += <uint64_t>ns
    histogram.buckets[bucket_of(ns)] += 1

cdef void histogram_merge(HistogramData* into, const HistogramData* other) noexcept nogil

cdef class Histogram:
    cdef HistogramData data

    cdef void add_ns(self, int64_t ns) noexcept nogil

cdef Histogram histogram_copy(const HistogramData* data)
