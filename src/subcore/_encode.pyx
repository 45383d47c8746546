# cython: language_level=3
"""Names as they stand in a request: quoted, joined by commas, as UTF-8.

What a venue's grammar checked needs no escaping: no quote, backslash or control character is in it.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcpy

cimport numpy as cnp
import numpy as np

from _slots cimport subcore_prefetch

cnp.import_array()

cdef extern from "Python.h":
    bint subcore_is_str "PyUnicode_CheckExact" (PyObject* text) noexcept
    bint subcore_is_ascii "PyUnicode_IS_COMPACT_ASCII" (PyObject* text) noexcept
    Py_ssize_t subcore_ascii_size "PyUnicode_GET_LENGTH" (PyObject* text) noexcept
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    PyObject* PyList_GET_ITEM(list items, Py_ssize_t at) noexcept
    char* PyBytes_AS_STRING(object data) noexcept

cdef extern from *:
    """
    #define subcore_ascii(text) ((const char *)((PyASCIIObject *)(text) + 1))
    """
    const char* subcore_ascii(PyObject* text) noexcept

cdef enum:
    AHEAD = 12                # texts between a prefetch and its use
    STR_HEAD = 48             # bytes before the first character, or a few more


cdef inline const char* utf8_of(PyObject* text, Py_ssize_t* size) except NULL:
    if subcore_is_str(text) and subcore_is_ascii(text):
        size[0] = subcore_ascii_size(text)
        return subcore_ascii(text)
    return PyUnicode_AsUTF8AndSize(<object>text, size)


def join_quoted(list texts not None, rows, bytes suffix not None=b"") -> bytes:
    """`"a<suffix>","b<suffix>"` for the texts at `rows` (int64), in that order; b"" for none. O(bytes).

    IndexError for a row there is not, TypeError for what is no str; nothing is escaped.
    """
    cdef cnp.ndarray chosen = np.ascontiguousarray(rows, np.int64)
    cdef const int64_t* row = <const int64_t*>cnp.PyArray_DATA(chosen)
    cdef Py_ssize_t count = cnp.PyArray_SIZE(chosen)
    cdef Py_ssize_t there = len(texts), more = len(suffix), total = 0, size = 0, i
    cdef const char* end = PyBytes_AS_STRING(suffix)
    cdef const char* text
    cdef char* out
    for i in range(count):
        if row[i] < 0 or row[i] >= there:
            raise IndexError(f"row {row[i]} of {there} texts")
        if i + AHEAD < count and 0 <= row[i + AHEAD] < there:
            subcore_prefetch(PyList_GET_ITEM(texts, row[i + AHEAD]))
        utf8_of(PyList_GET_ITEM(texts, row[i]), &size)
        total += size + more + 3
    if not count:
        return b""
    joined = PyBytes_FromStringAndSize(NULL, total - 1)
    out = PyBytes_AS_STRING(joined)
    for i in range(count):
        if i + AHEAD < count:
            subcore_prefetch(<const char*>PyList_GET_ITEM(texts, row[i + AHEAD]) + STR_HEAD)
        text = utf8_of(PyList_GET_ITEM(texts, row[i]), &size)
        if i:
            out[0] = c","
            out += 1
        out[0] = c'"'
        memcpy(out + 1, text, size)
        memcpy(out + 1 + size, end, more)
        out[1 + size + more] = c'"'
        out += size + more + 2
    return joined
