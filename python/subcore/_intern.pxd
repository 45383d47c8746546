# cython: language_level=3
"""C face of the interner: texts (market codes) <-> dense int32 ids."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

cdef struct TextRow:      # 32 bytes, never across a cache line
    PyObject* text        # the str; NULL = the id is free
    char data[22]         # UTF-8 of a short text; a PyObject* to its bytes for a long one; next free id where free
    uint8_t size          # bytes of UTF-8
    uint8_t reserved

cdef class Interner:
    cdef uint64_t* slots          # {upper hash bits, id + 1}; 0 = empty
    cdef TextRow* rows
    cdef uint32_t* generations
    cdef void* rows_block         # what was allocated; rows is its first aligned row
    cdef uint32_t slot_count
    cdef uint32_t tag_mask
    cdef uint64_t seed
    cdef int32_t room             # rows allocated
    cdef int32_t used             # rows ever used
    cdef int32_t count            # rows in use
    cdef int32_t limit
    cdef int32_t first_free
    cdef size_t long_bytes

    cdef int32_t find(self, const char* text, Py_ssize_t size) noexcept nogil
    cdef PyObject* text_of(self, int32_t id) noexcept nogil
    # Ids of objects that are ASCII strs and known, -1 for all others; how many have one. Runs no foreign code.
    cdef Py_ssize_t find_plain(self, PyObject** items, Py_ssize_t count, int32_t* out) noexcept

    cdef uint32_t tag_of(self, const char* text, Py_ssize_t size) noexcept nogil
    cdef int32_t find_tagged(self, uint32_t tag, const char* text, Py_ssize_t size) noexcept nogil
    cdef void move_to(self, uint64_t* slots, uint32_t slot_count, void* block, uint32_t* generations,
                      int32_t room) noexcept
    cdef int reserve(self, Py_ssize_t extra) except -1
    cdef int32_t commit(self, PyObject* text, PyObject* utf8) noexcept
    cdef int32_t get_one(self, str text) except -2
    cdef Py_ssize_t find_texts(self, tuple texts, int32_t* out) except -1
    cdef Py_ssize_t find_batch(self, PyObject** items, Py_ssize_t left, int32_t* out) noexcept
    cdef int intern_unknown(self, tuple wanted, int32_t* out) except -1
    cdef int check(self, Py_ssize_t id) except -1
