# cython: language_level=3
"""C face of the box that keeps the newest event of each topic."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t

from subcore._delivery cimport Arrivals, Box, PutResult

cdef struct Cell:             # one topic; stays once it is made, but for those that were renamed
    PyObject* event           # owned; NULL: nothing waits
    uint64_t arrival
    uint64_t conflated
    int32_t topic
    int32_t older             # the cells with an event are one list in order of arrival; -1 = its end
    int32_t newer

cdef class LatestBox(Box):
    cdef Cell* cells
    cdef int32_t* slots       # hash of topic -> cell, -1 = free; `slot_count` is a power of two
    cdef uint32_t slot_count
    cdef int32_t cell_count
    cdef int32_t free_cell    # the first of those that are no topic's, linked by `older`; -1 = none
    cdef dict renamed         # {id: conflated}, of topics that are others' by now
    cdef int32_t oldest
    cdef int32_t newest
    cdef uint64_t event_count
    cdef readonly uint64_t conflated      # events a newer one took the place of
    cdef readonly uint64_t lost           # for want of memory

    cdef int32_t cell_of(self, int32_t topic) noexcept
    cdef int32_t new_cell(self, int32_t topic) noexcept
    cdef bint grow(self) noexcept
    cdef void fill_slots(self, int32_t* slots, uint32_t count) noexcept
    cdef void free(self, int32_t index) noexcept
    # `replaced` holds its event from then on.
    cdef int replace_renamed(self, int32_t index, list replaced) except -1
    cdef void unlink(self, Cell* cell) noexcept
    cdef void link_newest(self, int32_t index) noexcept
