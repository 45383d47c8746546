# cython: language_level=3
"""C face of the meter's evidence: whose next fitting frame proves it, on one link or on two."""

from libc.stdint cimport int32_t, int64_t

from subcore._arbiter cimport Arbiter
from subcore._events cimport Record
from subcore._stream_rows cimport StreamRow, StreamRows

cdef struct Proof:
    int32_t stream
    int32_t link
    int64_t time_ns

cdef class EvidenceRows(StreamRows):
    cdef Proof* proofs
    cdef int32_t proof_count
    cdef int32_t proof_room        # at least proof_count + awaited: the hot path never allocates for it
    cdef int32_t awaited
    cdef Arbiter arbiter

    cdef bint prove(self, StreamRow* row, const Record* record, int link) noexcept nogil
    cdef void drop_proof(self, int32_t stream, bint of_all_links, int link) noexcept nogil
    cdef void await_on(self, int32_t stream, int32_t link, int64_t not_before) noexcept nogil
    cdef int begin_arbitration(self, int32_t stream) except -1
    cdef void end_arbitration(self, int32_t stream) noexcept nogil
    cdef int reserve_proofs(self, Py_ssize_t extra) except -1
