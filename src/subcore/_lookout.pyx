# cython: language_level=3
"""Looking ahead: what a frame's symbol leads to is fetched from memory while the rest of the frame is scanned.

Where symbols are many, each look-up waits for memory several times, one wait behind the other. The scanner calls a
lookout when it has read the symbol, and twice more further on in the frame. Each step asks for what the next one
reads, and by the frame's end all of it is near. Nothing is decided here: a wrong guess costs time only.
"""

cimport cython

from _slots cimport subcore_home, subcore_prefetch, subcore_slot_guess


cdef class Lookout:
    """Looks ahead as far as the symbols of an interner. A subclass looks further."""

    def __cinit__(self, Interner interner not None, *args):
        self.interner = interner
        self.symbol = -1

    @cython.nonecheck(False)          # the check needs the GIL
    cdef void expect_text(self, const char* text, Py_ssize_t size) noexcept nogil:
        self.symbol = -1
        self.tag = self.interner.tag_of(text, size)
        subcore_prefetch(&self.interner.slots[subcore_home(self.tag, self.interner.slot_count)])

    @cython.nonecheck(False)          # the check needs the GIL
    cdef void expect_symbol(self, int channel) noexcept nogil:
        self.symbol = subcore_slot_guess(self.interner.slots, self.interner.slot_count, self.tag)
        if self.symbol >= 0:
            subcore_prefetch(&self.interner.rows[self.symbol])

    cdef void expect_stream(self) noexcept nogil:
        pass
