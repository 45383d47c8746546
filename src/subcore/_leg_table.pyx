# cython: language_level=3
"""The columns of legs: two rows a stream, and the ways in which streams are picked out of those given.

A leg is a row: 2 * stream is the home of a stream, 2 * stream + 1 its other carrier.
"""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

cimport numpy as cnp
import numpy as np

from subcore._arrays cimport int32_vector, new_ids

cnp.import_array()

NO_IDS = np.empty(0, np.int32)
NO_IDS.flags.writeable = False

KINDS = {
    "link": np.dtype(np.int16), "turned": np.dtype(np.int64), "width": np.dtype(np.int32),
    "evidence": np.dtype(np.uint8), "request": np.dtype(np.int32), "answered": np.dtype(np.int32),
    "left": np.dtype(np.int64),
}


cdef object new_column(Py_ssize_t count, int kind):
    cdef cnp.npy_intp size = count
    return cnp.PyArray_SimpleNew(1, &size, kind)


cdef void* data_of(object array) noexcept:
    return cnp.PyArray_DATA(<cnp.ndarray>array)


cdef class LegTable:
    """The columns. `take` puts them in place; nothing else may."""

    def __cinit__(self, *args):
        self.take({name: np.empty(0, kind) for name, kind in KINDS.items()})

    def __dealloc__(self):
        PyMem_Free(self.marks)

    def take(self, columns) -> None:
        """These are the columns from now on: one for each name of KINDS, all of one length, writeable."""
        for name, kind in KINDS.items():
            column = columns[name]
            if column.dtype != kind or column.shape != columns["link"].shape or not column.flags.carray:
                raise TypeError(f"{name} must be a column of {kind}, as long as the others")
        self.link, self.turned, self.width = columns["link"], columns["turned"], columns["width"]
        self.evidence, self.request = columns["evidence"], columns["request"]
        self.answered, self.left = columns["answered"], columns["left"]
        self.links, self.turns = <int16_t*>data_of(self.link), <int64_t*>data_of(self.turned)
        self.widths, self.proofs = <int32_t*>data_of(self.width), <uint8_t*>data_of(self.evidence)
        self.requests, self.answers = <int32_t*>data_of(self.request), <int32_t*>data_of(self.answered)
        self.departures = <int64_t*>data_of(self.left)
        self.room = <int32_t>(cnp.PyArray_DIM(<cnp.ndarray>self.link, 0) // 2)

    cdef object checked(self, object streams, Ids* ids):
        cdef object given = int32_vector(streams, "streams")
        cdef Py_ssize_t i
        ids.at = <const int32_t*>data_of(given)
        ids.count = cnp.PyArray_DIM(<cnp.ndarray>given, 0)
        for i in range(ids.count):
            if ids.at[i] < 0 or ids.at[i] >= self.room:
                raise IndexError(f"a stream id must be 0 to {self.room - 1} here, not {ids.at[i]}")
        return given

    cdef object marked(self, object streams, Ids* ids):
        cdef object given = self.checked(streams, ids)
        cdef uint8_t* marks
        if ids.count > self.mark_room:
            marks = <uint8_t*>PyMem_Realloc(self.marks, <size_t>ids.count)
            if marks == NULL:
                raise MemoryError(f"no memory to mark {ids.count} streams")
            self.marks, self.mark_room = marks, ids.count
        return given

    cdef object picked(self, object given, Ids ids):
        cdef Py_ssize_t count = self.count_marks(ids), found = 0, i
        cdef object chosen
        cdef int32_t* out
        if count == 0 or count == ids.count:
            return given if count else NO_IDS
        chosen = new_ids(count)
        out = <int32_t*>data_of(chosen)
        for i in range(ids.count):
            if self.marks[i]:
                out[found] = ids.at[i]
                found += 1
        return chosen

    cdef tuple parted(self, object given, Ids ids):
        cdef Py_ssize_t count = self.count_marks(ids), found = 0, left = 0, i
        cdef object chosen, rest
        cdef int32_t* yes
        cdef int32_t* no
        if count == 0 or count == ids.count:
            return (given, NO_IDS) if count else (NO_IDS, given)
        chosen, rest = new_ids(count), new_ids(ids.count - count)
        yes, no = <int32_t*>data_of(chosen), <int32_t*>data_of(rest)
        for i in range(ids.count):
            if self.marks[i]:
                yes[found] = ids.at[i]
                found += 1
            else:
                no[left] = ids.at[i]
                left += 1
        return chosen, rest

    cdef Py_ssize_t count_marks(self, Ids ids) noexcept:
        cdef Py_ssize_t count = 0, i
        for i in range(ids.count):
            count += self.marks[i] != 0
        return count
