"""What a user's own extension may do with an installed subcore: cimport its interner and look a text up in C."""

from cpython.object cimport PyObject
from subcore._intern cimport Interner


cdef int find_from_c(Interner symbols, const char* text, Py_ssize_t size) noexcept nogil:
    return symbols.find(text, size)


def main() -> None:
    cdef Interner symbols = Interner(capacity=4)
    cdef int known = symbols.intern("KRW-BTC")
    cdef PyObject* text = symbols.text_of(known)
    assert find_from_c(symbols, b"KRW-BTC", 7) == known
    assert find_from_c(symbols, b"KRW-ETH", 7) == -1
    assert text != NULL and <object>text == "KRW-BTC"
