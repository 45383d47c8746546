# cython: language_level=3
"""C face of the meter: what streams, links and channels carried, repeats, and the evidence of streams."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from subcore._arbiter cimport Arbiter
from subcore._events cimport Record
from subcore._flows cimport FlowTable
from subcore._histogram cimport HistogramData
from subcore._repeats cimport LastSeen

cdef struct StreamRow:             # two cache lines; the first one is what every frame touches
    uint64_t frames
    uint64_t bytes
    int64_t last_receive_ns        # 0 = none
    int64_t last_exchange_ns       # 0 = none
    double interval_ns             # EWMA between live frames; 0 = none yet
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

cdef struct Proof:
    int32_t stream
    int32_t link
    int64_t time_ns

cdef class Meter:
    cdef StreamRow* rows
    cdef void* rows_block          # what was allocated; rows begins at its first whole cache line
    cdef int32_t room
    cdef int32_t used              # largest stream id seen + 1
    cdef int32_t limit
    cdef FlowTable links
    cdef FlowTable channels
    cdef Proof* proofs
    cdef int32_t proof_count
    cdef int32_t proof_room        # at least proof_count + awaited: the hot path never allocates for it
    cdef int32_t awaited
    cdef size_t side_bytes         # id rings and histograms of streams
    cdef uint64_t seed
    cdef uint64_t uncounted        # frames of streams beyond the limit, or for which there was no memory
    cdef Arbiter arbiter
    cdef bint gap                  # the last is_repeat saw that trades were missed
    cdef bint copy                 # the last is_repeat saw a copy from the other carrier

    # Count one accepted frame of record.head.stream (-1 = no stream: only link and channel count). True if it
    # proved an awaited stream: call take_evidence soon.
    cdef bint on_event(self, int link, const Record* record, Py_ssize_t frame_bytes) noexcept nogil

    # Whether the event is a SNAPSHOT that repeats what the stream has said before; remembers it in any case.
    # Call it once per event, before or after on_event. Sets `gap` and `copy`. Of a stream that is arbitrated: whether
    # what its other carrier brought makes this event superfluous.
    cdef bint is_repeat(self, const Record* record) noexcept nogil

    cdef void count_losses(self, int32_t stream, uint64_t count) noexcept nogil

    cdef StreamRow* row_of(self, int32_t stream) noexcept nogil
    cdef bint grow(self, int32_t stream) noexcept nogil
    cdef bint prove(self, StreamRow* row, const Record* record, int link) noexcept nogil
    cdef void forget(self, int32_t stream) noexcept nogil
    cdef void drop_proof(self, int32_t stream, bint of_all_links, int link) noexcept nogil
    cdef void await_on(self, int32_t stream, int32_t link, int64_t not_before) noexcept nogil
    cdef int begin_arbitration(self, int32_t stream) except -1
    cdef void end_arbitration(self, int32_t stream) noexcept nogil
    cdef int reserve_proofs(self, Py_ssize_t extra) except -1
    cdef int check(self, Py_ssize_t stream) except -1
