# cython: language_level=3
"""C face of the meter: what streams, links and channels carried, repeats, and the evidence of streams."""

from libc.stdint cimport int32_t, uint64_t

from subcore._events cimport Record
from subcore._evidence cimport EvidenceRows
from subcore._flows cimport FlowTable

cdef class Meter(EvidenceRows):
    cdef FlowTable links
    cdef FlowTable channels
    cdef size_t side_bytes         # id rings and histograms of streams
    cdef uint64_t seed
    cdef uint64_t uncounted        # frames of streams beyond the limit, or for which there was no memory
    cdef bint gap                  # the last is_repeat saw that trades were missed
    cdef bint copy                 # the last is_repeat saw a copy from the other carrier

    # Count one accepted frame of record.head.stream (-1 = no stream: only link and channel count). True if it
    # proved an awaited stream: call take_evidence soon. frame_bytes -1: a second stream that the same frame is about;
    # link and channel have counted it.
    cdef bint on_event(self, int link, const Record* record, Py_ssize_t frame_bytes) noexcept nogil

    # Whether the event is a SNAPSHOT that repeats what the stream has said before; remembers it in any case.
    # Call it once per event, before or after on_event. Sets `gap` and `copy`. Of a stream that is arbitrated: whether
    # what its other carrier brought makes this event superfluous.
    cdef bint is_repeat(self, const Record* record) noexcept nogil

    cdef void count_losses(self, int32_t stream, uint64_t count) noexcept nogil

    cdef void forget(self, int32_t stream) noexcept nogil
