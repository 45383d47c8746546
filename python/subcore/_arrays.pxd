# cython: language_level=3
"""C face of the conversions that let the core read int32 arrays by pointer."""

cdef object int32_vector(object values, str what)   # contiguous 1-d int32 ndarray; the same object where it is one
cdef void* new_block(size_t size, str what) except NULL      # zeroed; MemoryError naming what it was for
cdef object new_ids(Py_ssize_t count)
cdef int sort_ids(object ids) except -1
