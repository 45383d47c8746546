# cython: language_level=3
"""Counters and delays of links and channels: tables of flows that are made on first use."""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from libc.string cimport memset

from subcore._histogram cimport Histogram, histogram_copy, histogram_merge

from subcore.flows import FlowStats


cdef object stats_of(const Flow* flow):
    if flow == NULL:
        return FlowStats(0, 0, 0, 0, 0, 0, Histogram())
    return FlowStats(
        flow.frames, flow.bytes, flow.snapshots, flow.repeats, flow.skewed, flow.last_receive_ns,
        histogram_copy(&flow.delays),
    )


@cython.final
cdef class FlowTable:
    """Flows 0 ... limit - 1, about 9 kB each once something was counted."""

    def __cinit__(self, limit):
        self.limit = limit

    def __dealloc__(self):
        cdef int32_t i
        for i in range(self.count):
            PyMem_RawFree(self.flows[i])
        PyMem_RawFree(self.flows)

    cdef Flow* at(self, int number) noexcept nogil:
        cdef void* flows
        if number < 0 or number >= self.limit:
            return NULL
        if number >= self.count:
            flows = PyMem_RawRealloc(self.flows, <size_t>(number + 1) * sizeof(Flow*))
            if flows == NULL:
                return NULL
            self.flows = <Flow**>flows
            memset(self.flows + self.count, 0, <size_t>(number + 1 - self.count) * sizeof(Flow*))
            self.count = number + 1
        if self.flows[number] == NULL:
            self.flows[number] = <Flow*>PyMem_RawCalloc(1, sizeof(Flow))
        return self.flows[number]

    cdef Flow* peek(self, Py_ssize_t number) noexcept nogil:
        return self.flows[number] if 0 <= number < self.count else NULL

    cdef object stats(self, Py_ssize_t number):
        return stats_of(self.peek(number))

    cdef object total(self):
        cdef Flow sum
        cdef Flow* flow
        cdef int32_t i
        memset(&sum, 0, sizeof(sum))
        for i in range(self.count):
            flow = self.flows[i]
            if flow != NULL:
                sum.frames += flow.frames
                sum.bytes += flow.bytes
                sum.snapshots += flow.snapshots
                sum.repeats += flow.repeats
                sum.skewed += flow.skewed
                sum.last_receive_ns = max(sum.last_receive_ns, flow.last_receive_ns)
                histogram_merge(&sum.delays, &flow.delays)
        return stats_of(&sum)

    cdef size_t size(self) noexcept nogil:
        """Bytes of its tables."""
        cdef size_t made = 0
        cdef int32_t i
        for i in range(self.count):
            made += self.flows[i] != NULL
        return made * sizeof(Flow) + <size_t>self.count * sizeof(Flow*)
