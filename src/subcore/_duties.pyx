"""What each component was given to take and what it took: the figures by which obligations are judged.

Boxes count here as they take and give events; who judges reads all components in one call.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memcpy

from typing import NamedTuple

cimport numpy as cnp
import numpy as np

from subcore._delays cimport DelayTable

cnp.import_array()


class DutyColumns(NamedTuple):
    """uint64 arrays by component id, copies. `due`: events put where somebody must take them; `done`: of those, taken
    or lost; `lost`: of those done, lost. So `due - done` waits, and `done - lost` growing is progress."""

    due: np.ndarray
    done: np.ndarray
    lost: np.ndarray


@cython.final
cdef class DutyTable:
    """Columns by component id (0 to 65,535), written by boxes. Belongs to the loop's thread.

    Memory: 24 KiB for each 1,024 components that ever had a box. `delays`: measures what is taken.
    """

    def __cinit__(self, DelayTable delays=None):
        self.delays = delays

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.chunk_count):
            PyMem_Free(self.chunks[i])

    cdef Duty duty_of(self, int32_t component) except *:
        cdef Py_ssize_t number = component // CHUNK
        cdef Py_ssize_t place = component % CHUNK
        cdef Duty duty
        if component < 0 or number >= CHUNK_LIMIT:
            raise IndexError(f"component ids are 0 to {CHUNK * CHUNK_LIMIT - 1}, not {component}")
        if self.chunks[number] == NULL:
            self.chunks[number] = <DutyChunk*>PyMem_Calloc(1, sizeof(DutyChunk))
            if self.chunks[number] == NULL:
                raise MemoryError("no memory for the duties of more components")
            self.nbytes += sizeof(DutyChunk)
            self.chunk_count = max(self.chunk_count, number + 1)
        duty.due = &self.chunks[number].due[place]
        duty.done = &self.chunks[number].done[place]
        duty.lost = &self.chunks[number].lost[place]
        return duty

    def columns(self):
        """DutyColumns, as long as the ids that were ever used ask for (a multiple of 1,024). 0.5 us a thousand."""
        cdef cnp.npy_intp length = self.chunk_count * CHUNK
        cdef object due = cnp.PyArray_ZEROS(1, &length, cnp.NPY_UINT64, 0)
        cdef object done = cnp.PyArray_ZEROS(1, &length, cnp.NPY_UINT64, 0)
        cdef object lost = cnp.PyArray_ZEROS(1, &length, cnp.NPY_UINT64, 0)
        cdef uint64_t* dues = <uint64_t*>cnp.PyArray_DATA(<cnp.ndarray>due)
        cdef uint64_t* dones = <uint64_t*>cnp.PyArray_DATA(<cnp.ndarray>done)
        cdef uint64_t* losses = <uint64_t*>cnp.PyArray_DATA(<cnp.ndarray>lost)
        cdef Py_ssize_t i
        for i in range(self.chunk_count):
            if self.chunks[i] != NULL:
                memcpy(dues + i * CHUNK, self.chunks[i].due, sizeof(self.chunks[i].due))
                memcpy(dones + i * CHUNK, self.chunks[i].done, sizeof(self.chunks[i].done))
                memcpy(losses + i * CHUNK, self.chunks[i].lost, sizeof(self.chunks[i].lost))
        return DutyColumns(due, done, lost)

    def row(self, int32_t component):
        """(due, done, lost) of one component. IndexError beyond the limit."""
        cdef Duty duty = self.duty_of(component)
        return duty.due[0], duty.done[0], duty.lost[0]

    def add(self, int32_t component, uint64_t due=0, uint64_t done=0, uint64_t lost=0):
        """Count what no box counts: a test's events, a call that returned. IndexError beyond the limit."""
        cdef Duty duty = self.duty_of(component)
        duty.due[0] += due
        duty.done[0] += done
        duty.lost[0] += lost

    def reset(self, int32_t component):
        """The component is gone; close its boxes first, they count no more then. IndexError beyond the limit."""
        cdef Duty duty = self.duty_of(component)
        duty.due[0] = duty.done[0] = duty.lost[0] = 0
        if self.delays is not None:
            self.delays.forget(component)
