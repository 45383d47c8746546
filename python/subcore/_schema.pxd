# cython: language_level=3
"""C face of a venue's compiled field tables. Opaque: only the scanner looks inside."""

from libc.stdint cimport int32_t

cdef class Schema:
    cdef void* discriminators     # scan_discriminator[discriminator_count]
    cdef readonly int32_t discriminator_count
    cdef readonly int32_t max_rows
    cdef readonly tuple channels
    cdef readonly tuple formats   # what the venue calls frames with each discriminator
    cdef readonly object declared
    cdef object memory            # owns the tables
