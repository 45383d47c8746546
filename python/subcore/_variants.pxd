# cython: language_level=3
"""C face of the variants: a number of a frame to the index of what it tells apart."""

from libc.stdint cimport int32_t, uint16_t

cdef struct Variant:
    double value
    uint16_t index

cdef struct VariantTable:     # of one channel, by value ascending
    Variant* rows
    int32_t count

cdef class Variants:
    cdef VariantTable* tables
    cdef Py_ssize_t count

    # IndexError, ValueError, or what float() and int() raise, with nothing changed; MemoryError.
    cdef int put(self, Py_ssize_t channel, object values) except -1

    # 65,535 for a number that nobody put.
    cdef uint16_t find(self, Py_ssize_t channel, double value) noexcept nogil
    cdef Py_ssize_t size(self) noexcept
