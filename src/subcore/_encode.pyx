# cython: language_level=3
"""Names as they stand in a request: quoted, joined by commas, as UTF-8; and many names without a str for each.

What a venue's grammar checked needs no escaping: no quote, backslash or control character is in it.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

cimport numpy as cnp
import numpy as np

from _slots cimport subcore_prefetch
from _texts cimport SHORT_SIZE, row_bytes, subcore_ascii, subcore_ascii_size, subcore_is_ascii, subcore_is_str
from subcore._arrays cimport int32_vector
from subcore._intern cimport Interner, TextRow

cnp.import_array()

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    PyObject* PyList_GET_ITEM(list items, Py_ssize_t at) noexcept
    char* PyBytes_AS_STRING(object data) noexcept

cdef enum:
    AHEAD = 12                # texts between a prefetch and its use
    COMPARED = 32             # rows that are compared without a branch
    STR_HEAD = 48             # bytes before the first character, or a few more
    ROW_TEXT = 24             # bytes from there to the end of the row: copied whole, which needs no loop
    CLASSES = 5               # -1, which is nobody's, to 3
    WHOLE_ROWS = 8            # names that must follow one copied so: what is too much is written over


cdef inline cnp.ndarray vector_of(object values, int kind, object dtype):
    """`values` in a row, without a copy where they are so already."""
    if cnp.PyArray_Check(values):
        if cnp.PyArray_TYPE(<cnp.ndarray>values) == kind and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>values):
            return values
    return np.ascontiguousarray(values, dtype)


cdef inline const char* utf8_of(PyObject* text, Py_ssize_t* size) except NULL:
    if subcore_is_str(text) and subcore_is_ascii(text):
        size[0] = subcore_ascii_size(text)
        return subcore_ascii(text)
    return PyUnicode_AsUTF8AndSize(<object>text, size)


@cython.final
cdef class Names:
    """Texts of ids, as a sequence of str that reads the interner when it is asked.

    For use at once: IndexError for an id that has been released since. `ids` are not copied.
    """
    cdef Interner interner
    cdef cnp.ndarray ids

    def __cinit__(self, Interner interner not None, ids):
        self.interner = interner
        self.ids = int32_vector(ids, "ids")

    def __len__(self) -> int:
        return cnp.PyArray_SIZE(self.ids)

    def __getitem__(self, Py_ssize_t at) -> str:
        if at < 0 or at >= cnp.PyArray_SIZE(self.ids):
            raise IndexError(f"row {at} of {cnp.PyArray_SIZE(self.ids)} texts")
        cdef int32_t id = (<const int32_t*>cnp.PyArray_DATA(self.ids))[at]
        cdef PyObject* text = self.interner.text_of(id)
        if text == NULL:
            raise IndexError(f"no text has id {id}: it was never interned, or has been released")
        return <str>text

    cdef bytes join_quoted(self, const int64_t* row, Py_ssize_t count, const char* end, Py_ssize_t more):
        cdef const int32_t* ids = <const int32_t*>cnp.PyArray_DATA(self.ids)
        cdef const TextRow* rows = self.interner.rows
        cdef const TextRow* text
        cdef Py_ssize_t there = cnp.PyArray_SIZE(self.ids), total = 0, i
        cdef int32_t id
        cdef char* out
        for i in range(count):
            if row[i] < 0 or row[i] >= there:
                raise IndexError(f"row {row[i]} of {there} texts")
            id = ids[row[i]]
            if id < 0 or id >= self.interner.used or rows[id].text == NULL:
                raise IndexError(f"no text has id {id}: it was never interned, or has been released")
            total += rows[id].size + more + 3
        joined = PyBytes_FromStringAndSize(NULL, total - 1)
        out = PyBytes_AS_STRING(joined)
        for i in range(count):
            text = &rows[ids[row[i]]]
            if text.size <= SHORT_SIZE and not more and count - i > WHOLE_ROWS:
                memcpy(out + 1, <const char*>text + (sizeof(TextRow) - ROW_TEXT), ROW_TEXT)
                out[0] = c'"'
                out[1 + text.size] = c'"'
                out[2 + text.size] = c","
                out += text.size + 3
            else:
                out = write_quoted(out, row_bytes(text), text.size, end, more, i == count - 1)
        return joined


cdef inline char* write_quoted(char* out, const char* text, Py_ssize_t size, const char* end, Py_ssize_t more,
                               bint is_last) noexcept:
    out[0] = c'"'
    memcpy(out + 1, text, size)
    if more:
        memcpy(out + 1 + size, end, more)
    out[1 + size + more] = c'"'
    if not is_last:
        out[2 + size + more] = c","
    return out + size + more + 3


def join_quoted(texts not None, rows, bytes suffix not None=b"") -> bytes:
    """`"a<suffix>","b<suffix>"` for the texts at `rows` (int64), in that order; b"" for none. O(bytes).

    `texts`: a list of str, or Names. IndexError for a row there is not, TypeError for what is no str. Nothing is
    escaped.
    """
    cdef cnp.ndarray chosen = vector_of(rows, cnp.NPY_INT64, np.int64)
    cdef const int64_t* row = <const int64_t*>cnp.PyArray_DATA(chosen)
    cdef Py_ssize_t count = cnp.PyArray_SIZE(chosen)
    cdef const char* end = PyBytes_AS_STRING(suffix)
    if not count:
        return b""
    if isinstance(texts, Names):
        return (<Names>texts).join_quoted(row, count, end, len(suffix))
    if type(texts) is not list:
        raise TypeError(f"texts must be a list or Names, not {type(texts).__name__}")
    return join_list(<list>texts, row, count, end, len(suffix))


cdef bytes join_list(list texts, const int64_t* row, Py_ssize_t count, const char* end, Py_ssize_t more):
    cdef Py_ssize_t there = len(texts), total = 0, size = 0, i
    cdef const char* text
    cdef char* out
    for i in range(count):
        if row[i] < 0 or row[i] >= there:
            raise IndexError(f"row {row[i]} of {there} texts")
        if i + AHEAD < count and 0 <= row[i + AHEAD] < there:
            subcore_prefetch(PyList_GET_ITEM(texts, row[i + AHEAD]))
        utf8_of(PyList_GET_ITEM(texts, row[i]), &size)
        total += size + more + 3
    joined = PyBytes_FromStringAndSize(NULL, total - 1)
    out = PyBytes_AS_STRING(joined)
    for i in range(count):
        if i + AHEAD < count:
            subcore_prefetch(<const char*>PyList_GET_ITEM(texts, row[i + AHEAD]) + STR_HEAD)
        text = utf8_of(PyList_GET_ITEM(texts, row[i]), &size)
        out = write_quoted(out, text, size, end, more, i == count - 1)
    return joined


cdef struct Part:                 # what the rows of one part share
    double step
    int32_t channel
    bint flag
    Py_ssize_t count


cdef struct Parting:
    const int32_t* channel        # columns of `rows` rows
    const double* step
    const int32_t* cls
    const uint8_t* flag           # or NULL
    Py_ssize_t rows
    Py_ssize_t* order             # rows, the highest class first
    int32_t* part_of              # of each place in that order
    Part* parts
    Py_ssize_t count


def in_parts(channels, steps, classes, flags=None) -> list:
    """Rows that share channel, step and flag: for each part a tuple of them (int64), channel, step and flag.

    The rows of a part stand in order of class, the highest first, and as given within one; so do the parts, by their
    first rows. `flags`: None is False for all. `channels` and `classes` (-1 to 3) are int32, `steps` float64, `flags`
    bools or None; of one length, else ValueError. O(rows), times the parts if there are many.
    """
    cdef cnp.ndarray channel = int32_vector(channels, "channels")
    cdef cnp.ndarray cls = int32_vector(classes, "classes")
    cdef cnp.ndarray step = vector_of(steps, cnp.NPY_FLOAT64, np.float64)
    cdef cnp.ndarray flag = None if flags is None else vector_of(flags, cnp.NPY_BOOL, np.bool_)
    cdef Parting found
    found.rows = cnp.PyArray_SIZE(channel)
    if cnp.PyArray_SIZE(cls) != found.rows or cnp.PyArray_SIZE(step) != found.rows:
        raise ValueError("channels, steps and classes must have one length")
    if flag is not None and cnp.PyArray_SIZE(flag) != found.rows:
        raise ValueError("one flag for each row")
    if not found.rows:
        return []
    found.channel = <const int32_t*>cnp.PyArray_DATA(channel)
    found.step = <const double*>cnp.PyArray_DATA(step)
    found.cls = <const int32_t*>cnp.PyArray_DATA(cls)
    found.flag = NULL if flag is None else <const uint8_t*>cnp.PyArray_DATA(flag)
    if is_one_part(&found):
        return [(all_rows(found.rows), found.channel[0], found.step[0], is_flagged(&found, 0))]
    cdef size_t size = found.rows * (sizeof(Part) + sizeof(Py_ssize_t) + sizeof(int32_t))
    cdef char* room = <char*>PyMem_Malloc(size)         # written before it is read
    if room == NULL:
        raise MemoryError(f"no memory for a request ({size} bytes)")
    found.parts = <Part*>room
    found.order = <Py_ssize_t*>(room + found.rows * sizeof(Part))
    found.part_of = <int32_t*>(room + found.rows * (sizeof(Part) + sizeof(Py_ssize_t)))
    try:
        put_in_order(found.cls, found.rows, found.order)
        find_parts(&found)
        return parts_of(&found)
    finally:
        PyMem_Free(room)


cdef inline bint is_flagged(const Parting* found, Py_ssize_t row) noexcept:
    return found.flag != NULL and found.flag[row] != 0


cdef bint is_one_part(const Parting* found) noexcept:
    """Whether all is of one part and class, as mostly: nothing has to be put in order."""
    cdef const int32_t* channel = found.channel
    cdef const int32_t* cls = found.cls
    cdef const double* step = found.step
    cdef Py_ssize_t start, i
    cdef int32_t differs = 0
    cdef bint stepped = False
    if not -1 <= cls[0] < CLASSES - 1:
        return False
    for start in range(0, found.rows, COMPARED):  # without a branch in it
        for i in range(start, min(start + COMPARED, found.rows)):
            differs |= (channel[i] ^ channel[0]) | (cls[i] ^ cls[0])
            stepped |= step[i] != step[0]
        if differs or stepped:
            return False
    if found.flag != NULL:
        for i in range(1, found.rows):
            if is_flagged(found, i) != is_flagged(found, 0):
                return False
    return True


cdef object all_rows(Py_ssize_t count):
    cdef cnp.npy_intp size = count
    cdef object rows = cnp.PyArray_SimpleNew(1, &size, cnp.NPY_INT64)
    cdef int64_t* out = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>rows)
    cdef Py_ssize_t i
    for i in range(count):
        out[i] = i
    return rows


cdef int put_in_order(const int32_t* cls, Py_ssize_t count, Py_ssize_t* order) except -1:
    cdef Py_ssize_t starts[CLASSES]
    cdef Py_ssize_t i, start = 0, size
    cdef int one
    for one in range(CLASSES):
        starts[one] = 0
    for i in range(count):
        if not -1 <= cls[i] < CLASSES - 1:
            raise ValueError(f"a class is -1 to {CLASSES - 2}, not {cls[i]}")
        starts[cls[i] + 1] += 1
    for one in range(CLASSES - 1, -1, -1):
        size = starts[one]
        starts[one] = start
        start += size
    for i in range(count):
        order[starts[cls[i] + 1]] = i
        starts[cls[i] + 1] += 1
    return 0


cdef void find_parts(Parting* found) noexcept:
    cdef const int32_t* channel = found.channel     # read here, since parts are written
    cdef const double* step = found.step
    cdef Part* parts = found.parts
    cdef Py_ssize_t i, row
    cdef int32_t at = 0, count = 0
    cdef bint marked
    for i in range(found.rows):
        row = found.order[i]
        marked = is_flagged(found, row)
        if at == count or not is_of(&parts[at], channel[row], step[row], marked):
            at = 0
            while at < count and not is_of(&parts[at], channel[row], step[row], marked):
                at += 1
        if at == count:
            parts[at].channel, parts[at].step, parts[at].flag, parts[at].count = channel[row], step[row], marked, 0
            count += 1
        parts[at].count += 1
        found.part_of[i] = at
    found.count = count


cdef inline bint is_of(const Part* part, int32_t channel, double step, bint flag) noexcept:
    return part.channel == channel and part.step == step and part.flag == flag


cdef list parts_of(Parting* found):
    cdef list parts = []
    cdef cnp.npy_intp size
    cdef Py_ssize_t i
    cdef Part* part
    cdef int64_t* out
    for i in range(found.count):
        part = &found.parts[i]
        size = part.count
        parts.append((cnp.PyArray_SimpleNew(1, &size, cnp.NPY_INT64), part.channel, part.step, part.flag))
        part.count = 0
    for i in range(found.rows):
        part = &found.parts[found.part_of[i]]
        out = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>(<tuple>parts[found.part_of[i]])[0])
        out[part.count] = found.order[i]
        part.count += 1
    return parts
