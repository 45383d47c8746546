# cython: language_level=3
"""C face of images: the last event of each stream, for who joins it later."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t

from subcore._events cimport Event, Record

cdef class ImageTable:
    cdef PyObject** events        # by stream, owned; NULL = none
    cdef int32_t room
    cdef readonly int32_t count

    cdef bint has(self, int32_t stream) noexcept
    # The last event of a stream, held from now on. Without memory there is none.
    cdef void keep(self, int32_t stream, Event event) noexcept
    # The last event of a stream, now with this record's values; borrowed. NULL, with nothing changed, where there is
    # none, somebody else has it, or it takes another object.
    cdef PyObject* renewed(self, int32_t stream, const Record* record) noexcept
    # As `keep`, of what there is only a record of.
    cdef void copy(self, int32_t stream, const Record* record, str venue, str channel, str symbol) noexcept
    cdef void forget(self, int32_t stream) noexcept
    # A copy marked as image, with at most `cut` levels a side, 0 = all. None where there is none; MemoryError.
    cdef Event image_of(self, int32_t stream, uint32_t cut, bint raw)

    cdef bint reserve(self, int32_t stream) noexcept
