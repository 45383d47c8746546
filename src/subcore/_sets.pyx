# cython: language_level=3
"""Set algebra over sorted stream ids, and packing into messages.

Set functions take sorted int32 ids without repeats, read-only or not, cost O(len) and answer with arrays of the same
kind. Their arguments are checked: an unsorted array would be a silent wrong answer.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

cimport numpy as cnp
import numpy as np

from subcore._arrays cimport int32_vector, new_ids

cnp.import_array()


cdef bint is_ascending(const int32_t* ids, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    cdef bint ascending = True
    for i in range(1, count):
        ascending &= ids[i - 1] < ids[i]
    return ascending


cdef object sorted_set(object values, str what):
    array = int32_vector(values, what)
    if not is_ascending(ids_of(array), cnp.PyArray_DIM(<cnp.ndarray>array, 0)):
        raise ValueError(f"{what} must be sorted and without repeats: use numpy.unique first")
    return array


cdef object exact(object ids, Py_ssize_t count):
    """The first `count` ids in an array of just that size."""
    if cnp.PyArray_DIM(<cnp.ndarray>ids, 0) == count:
        return ids
    shorter = new_ids(count)
    memcpy(new_ids_of(shorter), ids_of(ids), count * sizeof(int32_t))
    return shorter


def is_sorted_unique(ids) -> bool:
    """Whether ids are sorted and without repeats."""
    array = int32_vector(ids, "ids")
    return is_ascending(ids_of(array), cnp.PyArray_DIM(<cnp.ndarray>array, 0))


def diff(target, wire) -> tuple:
    """(added, removed): what is only in `target`, and what is only in `wire`."""
    cdef object left = sorted_set(target, "target")
    cdef object right = sorted_set(wire, "wire")
    cdef Py_ssize_t left_count = cnp.PyArray_DIM(<cnp.ndarray>left, 0)
    cdef Py_ssize_t right_count = cnp.PyArray_DIM(<cnp.ndarray>right, 0)
    cdef object only_left = new_ids(left_count)
    cdef object only_right = new_ids(right_count)
    cdef const int32_t* a = ids_of(left)
    cdef const int32_t* b = ids_of(right)
    cdef int32_t* added = new_ids_of(only_left)
    cdef int32_t* removed = new_ids_of(only_right)
    cdef Py_ssize_t i = 0, j = 0, p = 0, q = 0
    cdef int32_t x, y
    while i < left_count and j < right_count:
        x, y = a[i], b[j]
        added[p] = x                # p <= i and q <= j: written always, kept only where it counts
        removed[q] = y
        p += x < y
        q += y < x
        i += x <= y
        j += y <= x
    memcpy(&added[p], &a[i], (left_count - i) * sizeof(int32_t))
    memcpy(&removed[q], &b[j], (right_count - j) * sizeof(int32_t))
    return exact(only_left, p + left_count - i), exact(only_right, q + right_count - j)


def union(left, right) -> np.ndarray:
    """What is in either."""
    cdef object first = sorted_set(left, "left")
    cdef object second = sorted_set(right, "right")
    cdef Py_ssize_t first_count = cnp.PyArray_DIM(<cnp.ndarray>first, 0)
    cdef Py_ssize_t second_count = cnp.PyArray_DIM(<cnp.ndarray>second, 0)
    cdef object merged = new_ids(first_count + second_count)
    cdef const int32_t* a = ids_of(first)
    cdef const int32_t* b = ids_of(second)
    cdef int32_t* out = new_ids_of(merged)
    cdef Py_ssize_t i = 0, j = 0, p = 0
    cdef int32_t x, y
    while i < first_count and j < second_count:
        x, y = a[i], b[j]
        out[p] = min(x, y)
        p += 1
        i += x <= y
        j += y <= x
    memcpy(&out[p], &a[i], (first_count - i) * sizeof(int32_t))
    p += first_count - i
    memcpy(&out[p], &b[j], (second_count - j) * sizeof(int32_t))
    return exact(merged, p + second_count - j)


def intersect(left, right) -> np.ndarray:
    """What is in both."""
    cdef object first = sorted_set(left, "left")
    cdef object second = sorted_set(right, "right")
    cdef Py_ssize_t first_count = cnp.PyArray_DIM(<cnp.ndarray>first, 0)
    cdef Py_ssize_t second_count = cnp.PyArray_DIM(<cnp.ndarray>second, 0)
    cdef object both = new_ids(min(first_count, second_count))
    cdef const int32_t* a = ids_of(first)
    cdef const int32_t* b = ids_of(second)
    cdef int32_t* out = new_ids_of(both)
    cdef Py_ssize_t i = 0, j = 0, p = 0
    cdef int32_t x, y
    while i < first_count and j < second_count:
        x, y = a[i], b[j]
        if x == y:
            out[p] = x
            p += 1
        i += x <= y
        j += y <= x
    return exact(both, p)


def subtract(left, right) -> np.ndarray:
    """What is in `left` but not in `right`."""
    return diff(left, right)[0]


def pack(sizes, Py_ssize_t max_count, int64_t max_bytes, int64_t overhead=0) -> np.ndarray:
    """Split a sequence into the fewest messages that keep its order; int32 offsets, message k = [k] to [k + 1].

    `sizes` are bytes per entry with its separator; a message costs `overhead` bytes besides and holds at most
    `max_count` entries and `max_bytes` bytes. ValueError names an entry that fits no message. O(len(sizes)).
    """
    cdef object entries = int32_vector(sizes, "sizes")
    cdef Py_ssize_t count = len(entries)
    cdef const int32_t* size = ids_of(entries)
    cdef object offsets = new_ids(count + 1)
    cdef int32_t* out = new_ids_of(offsets)
    cdef Py_ssize_t i, start = 0, messages = 0
    cdef int64_t room
    if max_count < 1:
        raise ValueError(f"max_count must be at least 1, not {max_count}")
    if overhead < 0 or overhead > max_bytes:
        raise ValueError(f"overhead must be 0 to max_bytes ({max_bytes}), not {overhead}")
    cdef int64_t capacity = max_bytes - overhead
    room = capacity
    for i in range(count):
        if size[i] < 0 or size[i] > capacity:
            raise ValueError(f"entry {i} of {size[i]} bytes fits no message: {capacity} of {max_bytes} bytes are left")
        if size[i] > room or i - start >= max_count:
            messages += 1
            out[messages] = <int32_t>i
            start = i
            room = capacity
        room -= size[i]
    out[0] = 0
    if count > 0:
        messages += 1
        out[messages] = <int32_t>count
    return exact(offsets, messages + 1)
