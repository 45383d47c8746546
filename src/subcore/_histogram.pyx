# cython: language_level=3
"""Histogram of nanoseconds: constant memory, one increment per value, percentiles within 2 %.

Log-linear: each octave from 512 ns to 73 minutes is cut into 32 equal buckets, so the middle of a bucket is at most
1/64 from any value in it.
"""

cimport cython
from libc.math cimport ceil
from libc.stdint cimport int64_t, uint64_t

import sys

cimport numpy as cnp
import numpy as np

cnp.import_array()


cdef int64_t lower_edge(int bucket) noexcept nogil:
    cdef int octave = bucket // SUB_BUCKETS
    cdef int64_t step = bucket % SUB_BUCKETS
    if octave == 0:
        return step << (FIRST_OCTAVE - 5)
    return (SUB_BUCKETS + step) << (octave + FIRST_OCTAVE - 6)


cdef int64_t width(int bucket) noexcept nogil:
    return <int64_t>1 << (max(bucket // SUB_BUCKETS, 1) + FIRST_OCTAVE - 6)


cdef void histogram_merge(HistogramData* into, const HistogramData* other) noexcept nogil:
    cdef int bucket
    if other.count == 0:
        return
    if into.count == 0 or other.min_ns < into.min_ns:
        into.min_ns = other.min_ns
    into.max_ns = max(into.max_ns, other.max_ns)
    into.count += other.count
    into.sum_ns += other.sum_ns
    for bucket in range(BUCKET_COUNT):
        into.buckets[bucket] += other.buckets[bucket]


cdef Histogram histogram_copy(const HistogramData* data):
    cdef Histogram copy = Histogram.__new__(Histogram)
    copy.data = data[0]
    return copy


cdef int64_t value_at(const HistogramData* data, uint64_t rank) noexcept nogil:
    """Middle of the bucket that holds the value of that rank (1 = smallest), kept within the extremes."""
    cdef uint64_t seen = 0
    cdef int bucket
    for bucket in range(BUCKET_COUNT):
        seen += data.buckets[bucket]
        if seen >= rank:
            return min(max(lower_edge(bucket) + width(bucket) // 2, data.min_ns), data.max_ns)
    return data.max_ns


@cython.final
cdef class Histogram:
    """Counts of nanosecond values, about 9 kB whatever their number. Not thread safe; use it under the GIL.

    Values above 73 minutes count as the longest bucket (`max` stays exact), negative ones as 0.
    """

    cdef void add_ns(self, int64_t ns) noexcept nogil:
        histogram_add(&self.data, ns)

    def add(self, ns: int) -> None:
        """Count one value. O(1)."""
        histogram_add(&self.data, ns)

    def add_many(self, values) -> None:
        """Count every value of an integer array. TypeError for anything but whole numbers. O(len(values))."""
        array = np.asarray(values)
        if array.size and array.dtype.kind not in "iu":
            raise TypeError(f"values must be whole nanoseconds, not {array.dtype}")
        cdef cnp.ndarray flat = np.ascontiguousarray(array, np.int64).reshape(-1)
        cdef const int64_t* data = <const int64_t*>cnp.PyArray_DATA(flat)
        cdef Py_ssize_t i
        for i in range(cnp.PyArray_SIZE(flat)):
            histogram_add(&self.data, data[i])

    def merge(self, Histogram other not None) -> None:
        """Count everything that `other` has counted. O(1)."""
        histogram_merge(&self.data, &other.data)

    def percentile(self, q: float) -> int | None:
        """The value that q % of the values do not exceed, within 2 % from 1 us to 1 h; None if there are none.

        ValueError unless 0 <= q <= 100.
        """
        if not 0 <= q <= 100:
            raise ValueError(f"q must be a percentage from 0 to 100, not {q!r}")
        cdef uint64_t rank
        if self.data.count == 0:
            return None
        rank = <uint64_t>ceil(<double>self.data.count * (<double>q / 100))
        return value_at(&self.data, max(rank, <uint64_t>1))

    @property
    def count(self) -> int:
        """How many values were counted."""
        return self.data.count

    @property
    def mean(self) -> float | None:
        """Exact mean in nanoseconds, None if there are no values."""
        return self.data.sum_ns / <double>self.data.count if self.data.count else None

    @property
    def min(self) -> int | None:
        """Exact smallest value, None if there are none."""
        return self.data.min_ns if self.data.count else None

    @property
    def max(self) -> int | None:
        """Exact largest value, None if there are none."""
        return self.data.max_ns if self.data.count else None

    def to_numpy(self):
        """(edges, counts): int64 (n + 1,) lower edges in ns, the last one the upper edge; uint64 (n,). Copies."""
        upper = <int64_t>1 << (LAST_OCTAVE + 1)
        edges = np.array([lower_edge(bucket) for bucket in range(BUCKET_COUNT)] + [upper], np.int64)
        counts = np.array([self.data.buckets[bucket] for bucket in range(BUCKET_COUNT)], np.uint64)
        return edges, counts

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sys.getsizeof(self)

    def __reduce__(self):
        state = [int(count) for count in self.to_numpy()[1]]
        return restore, (self.data.count, self.data.sum_ns, self.data.min_ns, self.data.max_ns, state)

    def __repr__(self) -> str:
        if self.data.count == 0:
            return "Histogram(empty)"
        p50, p99 = self.percentile(50), self.percentile(99)
        return f"Histogram(count={self.data.count} p50={p50} p99={p99} max={self.data.max_ns})"


def restore(count, sum_ns, min_ns, max_ns, buckets) -> Histogram:
    """Make a pickled histogram again. ValueError if the counts do not fit together."""
    cdef Histogram made = Histogram.__new__(Histogram)
    if len(buckets) != BUCKET_COUNT or sum(buckets) != count:
        raise ValueError("this is no pickled histogram of this version")
    made.data.count, made.data.sum_ns, made.data.min_ns, made.data.max_ns = count, sum_ns, min_ns, max_ns
    for bucket in range(BUCKET_COUNT):
        made.data.buckets[bucket] = buckets[bucket]
    return made
