# cython: language_level=3
"""C face of rings of records."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from subcore._events cimport Record

cdef class RecordRing:
    cdef char* rows
    cdef size_t stride            # bytes a row: the record's own numbers, then its sequence number
    cdef size_t copied            # of those, taken from the record as they are
    cdef uint32_t slot            # where the next row goes
    cdef uint8_t kind             # EventKind
    cdef readonly uint32_t size
    cdef readonly uint64_t sequence       # rows written so far = the number of the next one
    cdef readonly uint64_t overrun        # rows that readers missed, of all readers together
    cdef readonly object dtype
    cdef public bint closed       # nothing comes into it any more

    # Copies what the row holds of it; a record of another kind is passed over.
    cdef void put(self, const Record* record, int32_t topic) noexcept

    cdef void copy_out(self, char* target, uint64_t sequence, Py_ssize_t count) noexcept
    cdef uint64_t oldest(self) noexcept
