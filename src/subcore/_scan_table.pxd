# cython: language_level=3
"""C face of scan_table.h. It stays beside its header: no .pxd that is shipped needs one."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "scan_table.h" nogil:
    enum: SCAN_SKIP, SCAN_DOUBLE, SCAN_INT, SCAN_ID, SCAN_TEXT, SCAN_SYMBOL, SCAN_ENUM, SCAN_FLAGS, SCAN_TRUTH
    enum: SCAN_VARIANT, SCAN_TIME_TEXT, SCAN_QUOTED_DOUBLE, SCAN_OBJECT, SCAN_ROWS
    enum: SCAN_REQUIRED, SCAN_NULLABLE, SCAN_QUOTED, SCAN_BARE, SCAN_UPPER, SCAN_POSITIONAL, SCAN_DROP_ZERO
    enum: MAX_FIELDS, KEY_BYTES, NO_FIELD
    ctypedef struct scan_word:
        const char* text
        int32_t size
        int32_t value
    ctypedef struct scan_field:
        const char* key
        int32_t key_size
        uint8_t type
        uint8_t flags
        uint8_t target
        uint8_t capacity
        uint16_t offset
        uint16_t text_offset
        int64_t scale
        const void* child
        const scan_word* map
        int32_t map_size
    ctypedef struct scan_object:
        scan_field* fields
        uint16_t* slots
        uint64_t required
        int32_t count
        uint32_t slot_mask
        uint8_t sides
        const char* blank
    ctypedef struct scan_entry:
        const char* text
        int32_t size
        uint16_t channel
        uint16_t format
        uint16_t key_field
        const scan_object* object
        const char* blank
        int32_t record_size
        uint8_t kind
        uint8_t key_is_read
    ctypedef struct scan_discriminator:
        scan_field key
        scan_entry* entries
        uint16_t* slots
        uint32_t slot_mask
        int32_t count
        char split
        uint8_t symbol_upper
    uint32_t scan_hash(const char* text, int64_t size)
    void scan_prepare_key(scan_field* field)
    void scan_prepare_word(scan_word* word)
    void scan_prepare_object(scan_object* made)
    uint16_t scan_find_field(const scan_object* made, const char* text, int64_t size)
