# cython: language_level=3
"""What every table of the core needs: int32 arrays readable by pointer, zeroed blocks of memory."""

from cpython.mem cimport PyMem_Calloc

cimport numpy as cnp
import numpy as np

cnp.import_array()


cdef object int32_vector(object values, str what):
    """`values` as a contiguous one-dimensional int32 array, without a copy where it is one already.

    TypeError where the elements are not integers, ValueError for another shape or an element outside int32.
    """
    if cnp.PyArray_Check(values):
        if (
            cnp.PyArray_TYPE(<cnp.ndarray>values) == cnp.NPY_INT32
            and cnp.PyArray_NDIM(<cnp.ndarray>values) == 1
            and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>values)
        ):
            return values
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{what} must be one-dimensional, not of shape {array.shape}")
    if array.size == 0:
        return np.empty(0, np.int32)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{what} must be integers, not {array.dtype}")
    if array.min() < -(2**31) or array.max() >= 2**31:
        raise ValueError(f"{what} must fit 32 bits")
    return np.ascontiguousarray(array, np.int32)


cdef void* new_block(size_t size, str what) except NULL:
    """Zeroed memory for PyMem_Free, at least one byte; MemoryError names what it was for."""
    cdef void* block = PyMem_Calloc(1, size if size > 0 else 1)
    if block == NULL:
        raise MemoryError(f"no memory for {what} ({size} bytes)")
    return block


cdef object new_ids(Py_ssize_t count):
    """An int32 array of `count` elements, not filled. Never runs the garbage collector, so no foreign code either."""
    cdef cnp.npy_intp size = count
    return cnp.PyArray_SimpleNew(1, &size, cnp.NPY_INT32)


cdef int sort_ids(object ids) except -1:
    """Sort an array of ids in place."""
    cnp.PyArray_Sort(<cnp.ndarray>ids, 0, cnp.NPY_QUICKSORT)
    return 0
