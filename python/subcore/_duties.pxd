# cython: language_level=3
"""C face of the table of duties: what each component was given to take, and what it took."""

from libc.stdint cimport int32_t, uint64_t

from subcore._delays cimport DelayTable

cdef enum:
    CHUNK = 1024              # components; a chunk never moves, so boxes count through pointers into it
    CHUNK_LIMIT = 64

cdef struct DutyChunk:
    uint64_t due[CHUNK]
    uint64_t done[CHUNK]
    uint64_t lost[CHUNK]

cdef struct Duty:             # one component's places; valid while the table lives
    uint64_t* due             # events put where somebody must take them
    uint64_t* done            # of those: taken, or lost
    uint64_t* lost            # of those done: lost

cdef class DutyTable:
    cdef DutyChunk* chunks[CHUNK_LIMIT]
    cdef Py_ssize_t chunk_count           # up to the last one made; those between may be missing
    cdef readonly Py_ssize_t nbytes
    cdef readonly DelayTable delays       # how long what was taken had waited; None = not measured

    # IndexError beyond the limit, MemoryError.
    cdef Duty duty_of(self, int32_t component) except *
