# cython: language_level=3
"""C face of looking ahead: what a frame's symbol leads to is fetched while the rest of the frame is scanned."""

from libc.stdint cimport int32_t, uint32_t

from subcore._intern cimport Interner

cdef class Lookout:
    cdef readonly Interner interner
    cdef uint32_t tag             # of the symbol, from step 1 on
    cdef int32_t symbol           # the likely one, from step 2 on; -1 = none

    # The steps, in order. A short frame, or one whose symbol comes late, sees fewer of them. `text` is valid in the
    # first one alone.
    cdef void expect_text(self, const char* text, Py_ssize_t size) noexcept nogil
    cdef void expect_symbol(self, int channel) noexcept nogil
    cdef void expect_stream(self) noexcept nogil
