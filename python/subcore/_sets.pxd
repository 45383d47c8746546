# cython: language_level=3
"""C face of sorted sets of ids: what is checked, and how they are read by pointer."""

from libc.stdint cimport int32_t

cimport numpy as cnp


cdef inline const int32_t* ids_of(object array) noexcept:
    return <const int32_t*>cnp.PyArray_DATA(<cnp.ndarray>array)


cdef inline int32_t* new_ids_of(object array) noexcept:
    return <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>array)


cdef bint is_ascending(const int32_t* ids, Py_ssize_t count) noexcept nogil
cdef object sorted_set(object values, str what)
