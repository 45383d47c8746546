# cython: language_level=3
"""C face of what a link should carry and does carry."""

from libc.stdint cimport int32_t, uint8_t

cdef enum WireBit:
    IN_TARGET = 1
    ON_WIRE = 2
    LISTED = 4                # stands in the list of streams that may differ

cdef class WireSet:
    cdef uint8_t* bits            # WireBit by stream
    cdef int32_t* listed          # every stream that differs, and some that no longer do
    cdef int32_t room, limit      # streams
    cdef int32_t listed_room, listed_count
    cdef int32_t target_count, wire_count, added_count, removed_count

    cdef bint in_target(self, int32_t stream) noexcept nogil
    cdef bint on_wire(self, int32_t stream) noexcept nogil
    # Ids are checked and room is made, then everything is committed: an exception means that nothing changed.
    cdef int set_bits(self, const int32_t* streams, Py_ssize_t count, uint8_t bit, bint flag) except -1

    cdef int reserve(self, const int32_t* streams, Py_ssize_t count) except -1
    cdef void count_bits(self, uint8_t bit, int32_t changed, int32_t beside) noexcept
    cdef void forget_settled(self) noexcept nogil
    cdef object listed_with(self, uint8_t wanted, Py_ssize_t count)
    cdef object all_with(self, uint8_t mask, Py_ssize_t count)
