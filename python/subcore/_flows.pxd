# cython: language_level=3
"""Counters and delays of links and channels."""

from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint64_t

from subcore._events cimport FLAG_SNAPSHOT, Record
from subcore._histogram cimport HistogramData, histogram_add

cdef struct Flow:
    uint64_t frames
    uint64_t bytes
    uint64_t snapshots
    uint64_t repeats
    uint64_t skewed
    int64_t last_receive_ns
    HistogramData delays

# `delay` INT64_MIN = none can be told; negative = the clocks differ.
cdef inline void count_flow(Flow* flow, const Record* record, Py_ssize_t frame_bytes, int64_t delay) noexcept nogil:
    flow.frames += 1
    flow.bytes += <uint64_t>frame_bytes
    flow.last_receive_ns = record.head.receive_time_ns
    if record.head.flags & FLAG_SNAPSHOT:
        flow.snapshots += 1
    elif delay >= 0:
        histogram_add(&flow.delays, delay)
    elif delay != INT64_MIN:
        flow.skewed += 1

cdef class FlowTable:
    cdef Flow** flows         # each made on first use
    cdef int32_t count
    cdef int32_t limit

    # The flow of a number, made if need be; NULL out of range, or where there is no memory.
    cdef Flow* at(self, int number) noexcept nogil

    cdef Flow* peek(self, Py_ssize_t number) noexcept nogil      # NULL where nothing was counted
    cdef object stats(self, Py_ssize_t number)
    cdef object total(self)
    cdef size_t size(self) noexcept nogil
