# cython: language_level=3
"""C face of the scanner: one frame's bytes in, records out, a named state for everything else."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from subcore._events cimport Record
from subcore._intern cimport Interner
from subcore._lookout cimport Lookout
from subcore._schema cimport Schema
from subcore._variants cimport Variants

cdef enum ScanState:
    SCAN_OK = 0               # `record` is filled
    SCAN_CONTROL = 1          # an object without discriminator: for the venue's cold decoder
    SCAN_END = 2              # nothing more in this frame
    SCAN_BAD_JSON = 3         # this and what follows are refusals; the rest of the frame is not looked at
    SCAN_BAD_UTF8 = 4
    SCAN_DUPLICATE_KEY = 5
    SCAN_DEPTH = 6
    SCAN_OVERFLOW = 7
    SCAN_INT_RANGE = 8
    SCAN_WRONG_TYPE = 9
    SCAN_MISSING_FIELD = 10
    SCAN_TRAILING_BYTES = 11
    SCAN_NUMBER_SYNTAX = 12
    SCAN_UNKNOWN_CHANNEL = 13
    SCAN_STATE_COUNT = 14

cdef class Scanner:
    cdef Record record            # its pointers and `symbol_text` are valid until the next next() or begin()
    cdef const char* symbol_text  # UTF-8 of the record's symbol; NULL where it has none
    cdef Py_ssize_t symbol_size
    cdef readonly Schema schema
    cdef readonly Interner interner
    cdef Lookout lookout                  # None without an interner; another one may take its place between frames
    cdef readonly int32_t format          # place of the record's discriminator in the schema
    cdef readonly Py_ssize_t error_position
    cdef readonly Py_ssize_t max_bytes
    cdef void* machine                    # scan_state
    cdef const void* calls                # scan_calls
    cdef void* frame                      # scan_frame: its copy
    cdef char* rows
    cdef Py_ssize_t rows_bytes
    cdef bint in_list
    cdef bint done
    cdef Variants variants
    cdef uint64_t counts[14]

    # begin() takes a frame (copies it): SCAN_OK, or a refusal of its size. Then next() until SCAN_END or a refusal.
    cdef int begin(self, const char* data, Py_ssize_t size) noexcept nogil
    cdef int next(self) noexcept nogil

    cdef int refuse(self, int state) noexcept nogil
    cdef int element(self) noexcept nogil
    cdef int after_element(self) noexcept nogil
    cdef int finish(self, const void* entry) noexcept nogil
    cdef bint look_ahead(self, const char* symbol, int64_t size, int step) noexcept nogil
    cdef int finish_symbol(self) noexcept nogil
    cdef object event(self)
