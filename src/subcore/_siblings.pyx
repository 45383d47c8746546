# cython: language_level=3
"""Streams of one symbol, each beside the next ones of it in a circle: who may bear witness about whom."""

from cpython.mem cimport PyMem_Free
from libc.stdint cimport int64_t

cimport numpy as cnp
import numpy as np

from subcore._arrays cimport new_block

cnp.import_array()


cdef inline int64_t* whole(cnp.ndarray array) noexcept:
    return <int64_t*>cnp.PyArray_DATA(array)


def partners(symbols, int count) -> np.ndarray:
    """For each stream the places of the next `count` streams of its symbol; int64, (count, len(symbols)).

    `symbols`: the symbol of each, numbered from 0, less than there are streams (else IndexError). Streams of a symbol
    stand in a circle, in the order given; where it has fewer the place is one beyond all. O(count x streams).
    """
    cdef cnp.ndarray given = np.ascontiguousarray(symbols, np.int64)
    cdef Py_ssize_t streams = cnp.PyArray_SIZE(given), i
    cdef const int64_t* symbol = whole(given)
    cdef int64_t* room
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    for i in range(streams):
        if not 0 <= symbol[i] < streams:
            raise IndexError(f"symbols are numbered from 0 to {streams - 1} here, not {symbol[i]}")
    cdef cnp.ndarray places = np.full((count, streams), streams, np.int64)
    room = <int64_t*>new_block((2 * streams + 1) * sizeof(int64_t), "streams by symbol")
    try:
        in_circles(symbol, streams, count, room, whole(places))
    finally:
        PyMem_Free(room)
    return places


cdef void in_circles(const int64_t* symbol, Py_ssize_t streams, int count, int64_t* room, int64_t* places) noexcept:
    """`room`: zeros, for where each symbol ends in `order` (one more than there are streams), and for `order`."""
    cdef int64_t* end = room
    cdef int64_t* order = room + streams + 1
    cdef int64_t begin = 0, size, at, k, i
    for i in range(streams):
        end[symbol[i] + 1] += 1
    for i in range(streams):
        end[i + 1] += end[i]                 # end[s] is where symbol s begins, until it is filled
    for i in range(streams):
        order[end[symbol[i]]] = i
        end[symbol[i]] += 1                  # and then where it ends, and the next one begins
    for i in range(streams):
        size = end[i] - begin
        for at in range(size):
            for k in range(min(<int64_t>count, size - 1)):
                places[k * streams + order[begin + at]] = order[begin + (at + k + 1) % size]
        begin = end[i]
