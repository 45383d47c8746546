# cython: language_level=3
"""Streams of one symbol, each beside the next ones of it in a circle: who may bear witness about whom."""

from cpython.mem cimport PyMem_Free
from libc.stdint cimport int64_t, uint32_t, uint64_t

cimport numpy as cnp
import numpy as np

from subcore._arrays cimport new_block

cnp.import_array()

cdef extern from "_hash.h" nogil:
    uint64_t subcore_hash_word(uint64_t word, uint64_t seed) noexcept


cdef inline int64_t* whole(cnp.ndarray array) noexcept:
    return <int64_t*>cnp.PyArray_DATA(array)


def circles(keys, int count) -> tuple:
    """(symbol of each stream, numbered from 0 as they come; the places of the next `count` streams of its symbol).

    `keys`: uint32, the same for streams of one symbol. Both are int64, the places of shape (count, streams). Streams of
    a symbol stand in a circle, in the order given; where it has fewer the place is one beyond all.
    O(count x streams).
    """
    cdef cnp.ndarray given = np.ascontiguousarray(keys, np.uint32)
    cdef Py_ssize_t streams = cnp.PyArray_SIZE(given), slots = 1
    cdef cnp.ndarray symbols = np.empty(streams, np.int64)
    cdef int64_t* room
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    cdef cnp.ndarray places = np.full((count, streams), streams, np.int64)
    while slots < 2 * streams:
        slots *= 2
    room = <int64_t*>new_block((2 * streams + 1 + slots) * sizeof(int64_t), "streams by symbol")
    try:
        number(<const uint32_t*>cnp.PyArray_DATA(given), streams, room + 2 * streams + 1, slots - 1, whole(symbols))
        in_circles(whole(symbols), streams, count, room, whole(places))
    finally:
        PyMem_Free(room)
    return symbols, places


cdef void number(const uint32_t* key, Py_ssize_t streams, int64_t* slot, uint64_t mask, int64_t* symbol) noexcept:
    """`slot`: zeros, more than there are streams; the first stream of each key is kept there, plus one."""
    cdef Py_ssize_t i
    cdef uint64_t at
    cdef int64_t symbols = 0
    for i in range(streams):
        at = subcore_hash_word(key[i], 0) & mask
        while slot[at] and key[slot[at] - 1] != key[i]:
            at = (at + 1) & mask
        if not slot[at]:
            slot[at] = i + 1
            symbol[i] = symbols
            symbols += 1
        else:
            symbol[i] = symbol[slot[at] - 1]


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
