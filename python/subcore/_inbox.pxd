# cython: language_level=3
"""C face of what a component reads from."""

from libc.stdint cimport uint64_t

from subcore._delivery cimport Arrivals, Box

cdef class Inbox:
    cdef list boxes
    cdef Box only                 # where there is one, else None
    cdef Arrivals arrivals
    cdef list leaving
    cdef object waiter
    cdef readonly bint closed
    cdef readonly bint ended      # a queue that closes when it overflows was read to its end
    cdef uint64_t lost_before     # by boxes that went
    cdef uint64_t conflated_before
    cdef dict losses_before
    cdef dict conflations_before

    cdef int remove(self, Box box) except -1
    cdef int keep_figures(self, Box box) except -1
    cdef object next_item(self)
    cdef Box first(self, uint64_t* next)
    cdef int emptied(self, Box box) except -1
    cdef bint has_something(self)
