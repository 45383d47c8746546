# cython: language_level=3
"""What an event holds many of, levels of a book and balances, as Python values."""

from libc.stdint cimport int32_t, uint8_t, uint16_t

import sys

cimport numpy as cnp
import numpy as np

from subcore._event_fields cimport read_field, write_field
from subcore._event_tables cimport FIELD_NUMBER, FIELD_TEXT, Field, FieldType

from subcore.parts import Balance as BalanceTuple
from subcore.parts import Level as LevelTuple

cnp.import_array()

cdef extern from "_named_pair.h":
    object subcore_named_pair(object type, double first, double second)

cdef enum:
    MOST_ROWS = 1 << 20             # levels or balances that a caller may give

cdef Level A_LEVEL                  # never filled: offsets are taken from them
cdef Balance A_BALANCE
cdef Field PRICE = part("price", <char*>&A_LEVEL.price - <char*>&A_LEVEL, FIELD_NUMBER)
cdef Field SIZE = part("size", <char*>&A_LEVEL.size - <char*>&A_LEVEL, FIELD_NUMBER)
cdef Field CURRENCY = part("currency", <char*>&A_BALANCE.currency - <char*>&A_BALANCE, FIELD_TEXT,
                           sizeof(A_BALANCE.currency.data))
cdef Field AVAILABLE = part("available", <char*>&A_BALANCE.available - <char*>&A_BALANCE, FIELD_NUMBER)
cdef Field LOCKED = part("locked", <char*>&A_BALANCE.locked - <char*>&A_BALANCE, FIELD_NUMBER)

cdef object EMPTY_SIDE = np.ndarray((0, 2), np.float64, buffer=b"")  # read-only for good, as its buffer is


cdef Field part(const char* name, size_t offset, FieldType type, int room=0):
    cdef Field made
    made.name = made.doc = name
    made.offset, made.type, made.room = <uint16_t>offset, type, <uint8_t>room
    return made


cdef object level_tuple(const Level* level):
    return subcore_named_pair(LevelTuple, level.price, level.size)


cdef tuple level_tuples(const Level* levels, int32_t count):
    cdef int32_t i
    return tuple([level_tuple(&levels[i]) for i in range(count)])


cdef object level_array(object owner, const Level* levels, int32_t count):
    """A read-only (count, 2) view that keeps `owner` alive."""
    cdef cnp.npy_intp[2] shape
    if count == 0:
        return EMPTY_SIDE
    shape[0], shape[1] = count, 2
    cdef cnp.ndarray array = cnp.PyArray_SimpleNewFromData(2, shape, cnp.NPY_FLOAT64, <void*>levels)
    cnp.PyArray_CLEARFLAGS(array, cnp.NPY_ARRAY_WRITEABLE)
    cnp.set_array_base(array, owner)
    return array


cdef bint same_levels(const Level* a, int32_t count, const Level* b, int32_t other_count) noexcept nogil:
    cdef int32_t i
    if count != other_count:
        return False
    for i in range(count):
        if a[i].price != b[i].price or a[i].size != b[i].size:
            return False
    return True


cdef list checked_rows(str name, object rows, int width):
    cdef list checked = [tuple(row) for row in rows]
    if len(checked) > MOST_ROWS:
        raise ValueError(f"{name} may have {MOST_ROWS} entries, not {len(checked)}")
    if any([len(row) != width or row[0] is None for row in checked]):
        raise ValueError(f"{name} must be tuples of {width} values, the first not None")
    return checked


cdef int write_levels(list rows, Level* levels) except -1:
    cdef Py_ssize_t i
    for i in range(len(rows)):
        price, size = rows[i]
        if size is None:
            raise ValueError("a level has a price and a size, not None")
        write_field(&PRICE, <char*>&levels[i], price)
        write_field(&SIZE, <char*>&levels[i], size)
    return 0


cdef tuple balance_tuples(const Balance* balances, int32_t count):
    cdef int32_t i
    return tuple([
        BalanceTuple(
            read_field(&CURRENCY, <const char*>&balances[i]),
            read_field(&AVAILABLE, <const char*>&balances[i]),
            read_field(&LOCKED, <const char*>&balances[i]),
        )
        for i in range(count)
    ])


cdef int write_balances(list rows, Balance* balances) except -1:
    cdef Py_ssize_t i
    for i in range(len(rows)):
        currency, available, locked = rows[i]
        write_field(&CURRENCY, <char*>&balances[i], currency)
        write_field(&AVAILABLE, <char*>&balances[i], available)
        write_field(&LOCKED, <char*>&balances[i], locked)
    return 0


cdef Py_ssize_t tuples_size(tuple rows) except -1:
    """Bytes of a tuple of tuples and of the values that only they hold."""
    if rows is None:
        return 0
    # A tuple of a subclass has room for one item more than getsizeof says.
    return sys.getsizeof(rows) + sum([
        sys.getsizeof(row) + <Py_ssize_t>sizeof(void*) + sum(map(sys.getsizeof, row)) for row in rows
    ])
