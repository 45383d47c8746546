# cython: language_level=3
"""C face of the meter's rows: what is counted and remembered of each stream."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from subcore._histogram cimport HistogramData
from subcore._repeats cimport LastSeen

cdef enum RowFlag:
    ROW_AWAITED = 1                # its next fitting frame is evidence
    ROW_PROVEN = 2                 # a proof of it waits to be taken
    ROW_LIVE = 4                   # its last frame was a live one
    ROW_ARBITRATED = 8             # two links carry it
    ROW_AWAITED_TWICE = 16         # a frame on another link is evidence too; which one, the arbiter keeps
    ROW_FLAGS = 255
    PLACE_SHIFT = 8

cdef struct StreamRow:             # two cache lines; the first one is what every frame touches
    uint64_t frames
    uint64_t bytes
    int64_t last_receive_ns        # 0 = none
    int64_t last_exchange_ns       # 0 = none
    float interval_ns              # EWMA between live frames; 0 = none yet
    float median_ns                # running median of the same; 0 = none yet
    int64_t last_delay_ns          # of the last live frame with an exchange time; negative = clocks differ
    int64_t worst_delay_ns
    uint32_t snapshots
    int32_t link                   # where evidence is awaited
    LastSeen seen
    HistogramData* delays          # only on request
    int64_t not_before_ns          # a live frame proves the stream from then on
    uint32_t flags                 # RowFlag; from bit 8 on its place in the arbiter
    uint32_t repeats
    uint32_t gaps
    uint32_t skewed
    uint64_t losses                # events that some component was due and did not get

cdef class StreamRows:
    cdef StreamRow* rows
    cdef void* rows_block          # what was allocated; rows begins at its first whole cache line
    cdef int32_t room
    cdef int32_t used              # largest stream id seen + 1
    cdef int32_t limit

    cdef StreamRow* row_of(self, int32_t stream) noexcept nogil
    cdef bint grow(self, int32_t stream) noexcept nogil
    cdef int check(self, Py_ssize_t stream) except -1
    cdef size_t row_bytes(self) noexcept nogil
