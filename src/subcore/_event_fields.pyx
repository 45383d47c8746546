# cython: language_level=3
"""How a member of an event struct is read, written, compared and hashed; and all members of a struct at once."""

from libc.math cimport NAN, isfinite
from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from operator import index

from subcore._event_tables cimport (
    FIELD_INTEGER,
    FIELD_NUMBER,
    FIELD_SIDE,
    FIELD_STEP,
    FIELD_TEXT,
    FIELD_TRADE_ID,
    FIELD_TRUTH,
    Field,
    FieldTable,
    field_table,
)
from subcore._events cimport ABSENT, TRUTH_ABSENT, TRUTH_FALSE, TRUTH_TRUE, TradeData

from subcore.types import Side

cdef extern from "_hash.h" nogil:
    uint64_t subcore_hash_word(uint64_t word, uint64_t seed) noexcept
    uint64_t subcore_hash_text(const char* text, size_t size, uint64_t seed) noexcept

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char* text, Py_ssize_t size, const char* errors)

cdef tuple SIDES = (None, Side.BUY, Side.SELL)


cdef inline double number_at(const char* at) noexcept nogil:
    cdef double value
    memcpy(&value, at, sizeof(value))
    return value


cdef inline int64_t integer_at(const char* at) noexcept nogil:
    cdef int64_t value
    memcpy(&value, at, sizeof(value))
    return value


cdef inline const char* id_text_at(const char* data) noexcept nogil:
    return <const char*>&(<const TradeData*>data).id_text


cdef object read_text(const char* at, uint8_t room):
    cdef uint8_t size = <uint8_t>at[0]
    if size == 0:
        return None
    return PyUnicode_DecodeUTF8(at + 1, min(size, room), "surrogatepass")


cdef object read_field(const Field* field, const char* data):
    """A member as a Python value, None where it is absent."""
    cdef const char* at = data + field.offset
    cdef double number
    cdef uint8_t code
    if field.type == FIELD_NUMBER or field.type == FIELD_STEP:
        number = number_at(at)
        return None if number != number or (number == 0 and field.type == FIELD_STEP) else number
    if field.type == FIELD_INTEGER:
        return None if integer_at(at) == ABSENT else integer_at(at)
    if field.type == FIELD_TEXT:
        return read_text(at, field.room)
    if field.type == FIELD_TRADE_ID:
        return read_text(id_text_at(data), field.room) if integer_at(at) == ABSENT else integer_at(at)
    code = <uint8_t>at[0]
    if field.type == FIELD_TRUTH:
        return None if code == TRUTH_ABSENT else code == TRUTH_TRUE
    return SIDES[code] if code < len(SIDES) else None


cdef void clear_field(const Field* field, char* data) noexcept nogil:
    """Make a member absent."""
    cdef char* at = data + field.offset
    cdef double number = NAN
    cdef int64_t integer = ABSENT
    if field.type == FIELD_NUMBER or field.type == FIELD_STEP:
        memcpy(at, &number, sizeof(number))
    elif field.type == FIELD_INTEGER or field.type == FIELD_TRADE_ID:
        memcpy(at, &integer, sizeof(integer))
        if field.type == FIELD_TRADE_ID:
            (<TradeData*>data).id_text.size = 0
    else:
        at[0] = 0


cdef int write_number(char* at, object value) except -1:
    cdef double number = float(value)
    if not isfinite(number):
        raise ValueError(f"must be a finite number, not {value!r}; None where it is absent")
    memcpy(at, &number, sizeof(number))
    return 0


cdef int write_integer(char* at, object value) except -1:
    cdef object exact = index(value)
    if not INT64_MIN < exact <= 0x7FFF_FFFF_FFFF_FFFF:
        raise ValueError(f"must fit 64 bits, not {value!r}")
    cdef int64_t integer = exact
    memcpy(at, &integer, sizeof(integer))
    return 0


cdef int write_text(char* at, object value, uint8_t room) except -1:
    if not isinstance(value, str):
        raise TypeError(f"must be a str, not {type(value).__name__}")
    cdef bytes data = (<str>value).encode("utf-8", "surrogatepass")
    if not 1 <= len(data) <= room:
        raise ValueError(f"must have 1 to {room} bytes of UTF-8, not {len(data)}; None where it is absent")
    at[0] = <char>len(data)
    memcpy(at + 1, <const char*>data, <size_t>len(data))
    return 0


cdef object as_side(object value):
    if isinstance(value, str):
        if value.upper() in Side.__members__:
            return Side[value.upper()]
        raise ValueError(f"must be a Side, 'BUY' or 'SELL', not {value!r}")
    return Side(value)


cdef int write_field(const Field* field, char* data, object value) except -1:
    """Set a member from a Python value, None = absent. TypeError or ValueError say what it must be."""
    cdef char* at = data + field.offset
    clear_field(field, data)
    if value is None:
        return 0
    if field.type == FIELD_NUMBER or field.type == FIELD_STEP:
        return write_number(at, value)
    if field.type == FIELD_INTEGER:
        return write_integer(at, value)
    if field.type == FIELD_TEXT:
        return write_text(at, value, field.room)
    if field.type == FIELD_TRADE_ID:
        if isinstance(value, str):
            return write_text(<char*>id_text_at(data), value, field.room)
        return write_integer(at, value)
    if field.type == FIELD_SIDE:
        at[0] = <char>as_side(value)
        return 0
    if not isinstance(value, bool):
        raise TypeError(f"must be a bool, not {type(value).__name__}")
    at[0] = TRUTH_TRUE if value else TRUTH_FALSE
    return 0


cdef inline bint same_text(const char* a, const char* b, uint8_t room) noexcept nogil:
    return a[0] == b[0] and memcmp(a + 1, b + 1, <size_t>min(<uint8_t>a[0], room)) == 0


cdef bint same_field(const Field* field, const char* a, const char* b) noexcept nogil:
    """Whether a member reads the same in two structs of one kind. Absent equals absent."""
    cdef const char* x = a + field.offset
    cdef const char* y = b + field.offset
    cdef double p, q
    if field.type == FIELD_NUMBER or field.type == FIELD_STEP:
        p, q = number_at(x), number_at(y)
        if field.type == FIELD_STEP:
            p, q = (NAN if p == 0 else p), (NAN if q == 0 else q)
        return p == q or (p != p and q != q)
    if field.type == FIELD_TEXT:
        return same_text(x, y, field.room)
    if field.type == FIELD_INTEGER:
        return integer_at(x) == integer_at(y)
    if field.type == FIELD_TRADE_ID:
        if integer_at(x) != ABSENT or integer_at(y) != ABSENT:
            return integer_at(x) == integer_at(y)
        return same_text(id_text_at(a), id_text_at(b), field.room)
    return x[0] == y[0]


cdef uint64_t mix_field(const Field* field, const char* data, uint64_t state) noexcept nogil:
    """Carry a member into a hash; members that are the same mix the same."""
    cdef const char* at = data + field.offset
    cdef double number
    cdef uint64_t word
    if field.type == FIELD_NUMBER or field.type == FIELD_STEP:
        number = number_at(at)
        if number != number or number == 0:
            return subcore_hash_word(0 if number == 0 and field.type == FIELD_NUMBER else 1, state)
        memcpy(&word, &number, sizeof(word))
        return subcore_hash_word(word, state)
    if field.type == FIELD_TRADE_ID and integer_at(at) == ABSENT:
        at = id_text_at(data)
        return subcore_hash_text(at + 1, <size_t>min(<uint8_t>at[0], field.room), state)
    if field.type == FIELD_TEXT:
        return subcore_hash_text(at + 1, <size_t>min(<uint8_t>at[0], field.room), state)
    if field.type == FIELD_INTEGER or field.type == FIELD_TRADE_ID:
        memcpy(&word, at, sizeof(word))
        return subcore_hash_word(word, state)
    return subcore_hash_word(<uint8_t>at[0], state)


cdef int add_fields(int kind, const char* data, dict values) except -1:
    """Put every member that is not absent into `values`, a side by its name."""
    cdef FieldTable table = field_table(kind)
    cdef int i
    for i in range(table.count):
        value = read_field(&table.fields[i], data)
        if value is not None:
            values[table.fields[i].name.decode()] = value.name if table.fields[i].type == FIELD_SIDE else value
    return 0


cdef int take_fields(int kind, char* data, dict values) except -1:
    """Set every member, taking it out of `values`; what is not there is absent. TypeError, ValueError name it."""
    cdef FieldTable table = field_table(kind)
    cdef int i
    cdef str name
    for i in range(table.count):
        name = table.fields[i].name.decode()
        try:
            write_field(&table.fields[i], data, values.pop(name, None))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} {error}") from None
    return 0


cdef bint same_fields(int kind, const char* a, const char* b) noexcept nogil:
    cdef FieldTable table = field_table(kind)
    cdef int i
    for i in range(table.count):
        if not same_field(&table.fields[i], a, b):
            return False
    return True


cdef uint64_t mix_fields(int kind, const char* data, uint64_t state) noexcept nogil:
    cdef FieldTable table = field_table(kind)
    cdef int i
    for i in range(table.count):
        state = mix_field(&table.fields[i], data, state)
    return state
