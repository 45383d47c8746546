# cython: language_level=3
"""C face of the columns of legs, and of picking streams out of those given."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

cdef enum:
    NO_LINK = -1
    NOT_CARRIED = -1

cdef struct Ids:                  # of the array that `checked` returned, while that lives
    const int32_t* at
    Py_ssize_t count

cdef class LegTable:
    cdef readonly object link, turned, width, evidence, request, answered, left
    cdef int16_t* links           # the same columns, by pointer
    cdef int64_t* turns
    cdef int32_t* widths
    cdef uint8_t* proofs
    cdef int32_t* requests
    cdef int32_t* answers
    cdef int64_t* departures
    cdef int32_t room             # streams
    cdef uint8_t* marks           # one for each of the streams given, until the call ends
    cdef Py_ssize_t mark_room

    # The streams as an int32 array, each id within the columns; `ids` points into it. IndexError, TypeError.
    cdef object checked(self, object streams, Ids* ids)
    # The same, with `marks` for as many.
    cdef object marked(self, object streams, Ids* ids)
    # Those whose mark is set, in order; the same object where all are.
    cdef object picked(self, object given, Ids ids)
    # (those whose mark is set, the others).
    cdef tuple parted(self, object given, Ids ids)
    cdef Py_ssize_t count_marks(self, Ids ids) noexcept

cdef object new_column(Py_ssize_t count, int kind)


cdef inline int64_t row_on(const int16_t* links, int link, int64_t stream) noexcept nogil:
    """The leg of a stream on a link, -1 where it has none there."""
    if links[2 * stream] == link:
        return 2 * stream
    return 2 * stream + 1 if links[2 * stream + 1] == link else -1
