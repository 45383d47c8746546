# cython: language_level=3
"""The members of event structs as tables: what each is called, where it is, what it means."""

from libc.stdint cimport uint8_t, uint16_t

cdef enum FieldType:
    FIELD_NUMBER = 0      # double; NaN = absent
    FIELD_STEP = 1        # double; NaN or 0 = absent
    FIELD_INTEGER = 2     # int64; ABSENT = absent
    FIELD_TEXT = 3        # Text16, Text40, Text72; size 0 = absent
    FIELD_TRUTH = 4       # TruthCode
    FIELD_SIDE = 5        # SideCode
    FIELD_TRADE_ID = 6    # TradeData.id, or id_text where the venue's ids are texts

cdef struct Field:
    const char* name
    const char* doc
    uint16_t offset       # from the start of the struct
    uint8_t type          # FieldType
    uint8_t room          # bytes of UTF-8 a text may have

cdef struct FieldTable:
    const Field* fields
    int count

cdef FieldTable field_table(int kind) noexcept nogil
