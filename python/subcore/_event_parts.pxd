# cython: language_level=3
"""What an event holds many of, levels of a book and balances, as Python values."""

from libc.stdint cimport int32_t

from subcore._events cimport Balance, Level

cdef object level_tuple(const Level* level)
cdef tuple level_tuples(const Level* levels, int32_t count)
cdef object level_array(object owner, const Level* levels, int32_t count)
cdef bint same_levels(const Level* a, int32_t count, const Level* b, int32_t other_count) noexcept nogil
cdef int write_levels(list rows, Level* levels) except -1

cdef tuple balance_tuples(const Balance* balances, int32_t count)
cdef int write_balances(list rows, Balance* balances) except -1

cdef list checked_rows(str name, object rows, int width)
cdef Py_ssize_t tuples_size(tuple rows) except -1
