# cython: language_level=3
"""One member of an event struct, or all of them, as Python values."""

from libc.stdint cimport uint64_t

from subcore._event_tables cimport Field

cdef object read_field(const Field* field, const char* data)
cdef int write_field(const Field* field, char* data, object value) except -1

cdef int add_fields(int kind, const char* data, dict values) except -1
cdef int take_fields(int kind, char* data, dict values) except -1
cdef bint same_fields(int kind, const char* a, const char* b) noexcept nogil
cdef uint64_t mix_fields(int kind, const char* data, uint64_t state) noexcept nogil
