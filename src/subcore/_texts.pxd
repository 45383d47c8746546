# cython: language_level=3
"""Texts read where they stand: a str of ASCII characters, with nobody holding it meanwhile, and an interned one.

It stays beside the sources: no .pxd that is shipped needs it.
"""

from cpython.object cimport PyObject
from libc.string cimport memcpy

from subcore._intern cimport TextRow

cdef extern from *:
    """
    #define subcore_ascii(text) ((const char *)((PyASCIIObject *)(text) + 1))
    """
    # What PyUnicode_1BYTE_DATA finds out by looking at the kind of text again.
    const char* subcore_ascii(PyObject* text) noexcept

cdef extern from "Python.h":
    bint subcore_is_str "PyUnicode_CheckExact" (PyObject* text) noexcept
    bint subcore_is_ascii "PyUnicode_IS_COMPACT_ASCII" (PyObject* text) noexcept
    Py_ssize_t subcore_ascii_size "PyUnicode_GET_LENGTH" (PyObject* text) noexcept
    char* PyBytes_AS_STRING(PyObject* data) noexcept nogil

cdef enum:
    SHORT_SIZE = 22               # bytes of a text that stand in its row


cdef inline PyObject* long_text(const TextRow* row) noexcept nogil:
    cdef PyObject* data
    memcpy(&data, row.data, sizeof(data))
    return data


cdef inline const char* row_bytes(const TextRow* row) noexcept nogil:
    if row.size <= SHORT_SIZE:
        return row.data
    return PyBytes_AS_STRING(long_text(row))
