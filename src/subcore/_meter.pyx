# cython: language_level=3
"""What streams, links and channels carried: counters in columns, delays in histograms, repeats, evidence.

Pure numbers: receive times come with the records, no clock is read. A frame of a stream costs its row (two cache
lines) and two histograms. Everything is bounded: rows by `max_streams`, links by 4,096, channels by their number.
"""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

import os
import sys

cimport numpy as cnp

from subcore._arbiter cimport Arbiter
from subcore._arrays cimport int32_vector
from subcore._events cimport ABSENT, FLAG_SNAPSHOT, Record
from subcore._evidence cimport EvidenceRows, Proof
from subcore._flows cimport Flow, FlowTable, count_flow
from subcore._histogram cimport HistogramData, histogram_add, histogram_copy
from subcore._repeats cimport GAP, REPEAT, Novelty, forget_seen, judge, seen_bytes
from subcore._stream_rows cimport (
    PLACE_SHIFT, ROW_ARBITRATED, ROW_AWAITED, ROW_AWAITED_TWICE, ROW_LIVE, StreamRow,
)

cnp.import_array()

cdef extern from *:
    """
    /* a - b, kept within int64: exchange times are the venue's words. */
    static inline int64_t subcore_difference(int64_t a, int64_t b) {
        int64_t difference;
        if (__builtin_sub_overflow(a, b, &difference)) {
            return a < b ? INT64_MIN : INT64_MAX;
        }
        return difference;
    }

    /* A running median: as often a step up as down, it stays. Steps are factors, since it may be a millisecond or an
       hour, and longer ones until it has settled. Frames of one burst have no interval: 1 us is its least. */
    static inline float subcore_median(float median, float interval, uint64_t frames) {
        if (median == 0.0f) {
            return interval > 1000.0f ? interval : 1000.0f;
        }
        if (interval > median) {
            return median * (frames < 64 ? 1.25f : 1.0625f);
        }
        median *= frames < 64 ? 1 / 1.25f : 1 / 1.0625f;
        return median > 1000.0f ? median : 1000.0f;
    }
    """
    int64_t subcore_difference(int64_t a, int64_t b) noexcept nogil
    float subcore_median(float median, float interval, uint64_t frames) noexcept nogil

cdef enum:
    LARGEST_LIMIT = 1 << 24
    MOST_LINKS = 4096
    EWMA_SHIFT = 16                 # weight of the newest interval is 1 / this


cdef inline void count_delay(StreamRow* row, int64_t delay) noexcept nogil:
    row.last_delay_ns = delay
    if delay < 0:
        row.skewed += 1
        return
    row.worst_delay_ns = max(row.worst_delay_ns, delay)
    if row.delays != NULL:
        histogram_add(row.delays, delay)


cdef inline void count_interval(StreamRow* row, int64_t now) noexcept nogil:
    """Between two live frames that follow each other; a snapshot says nothing about a stream's habit."""
    cdef float interval
    if row.flags & ROW_LIVE and now >= row.last_receive_ns:
        interval = <float>(now - row.last_receive_ns)
        row.median_ns = subcore_median(row.median_ns, interval, row.frames)
        if row.interval_ns == 0:
            row.interval_ns = interval
        else:
            row.interval_ns += (interval - row.interval_ns) / EWMA_SHIFT


@cython.nonecheck(False)            # the check needs the GIL
cdef inline Flow* flow_at(FlowTable flows, int number) noexcept nogil:
    cdef Flow* flow = flows.flows[number] if 0 <= number < flows.count else NULL
    return flow if flow != NULL else flows.at(number)


@cython.nonecheck(False)            # the check needs the GIL
cdef inline StreamRow* row_at(Meter meter, int32_t stream) noexcept nogil:
    return &meter.rows[stream] if 0 <= stream < meter.used else meter.row_of(stream)


@cython.final
cdef class Meter(EvidenceRows):
    """Columns over streams, links and channels, and histograms of delays.

    `channels`: how many the venue has; `max_streams`: rows at most (128 bytes each; memory grows with the largest
    stream id seen); `seed` perturbs the hashes by which repeats are told, by default from the system. Use it from one
    thread at a time.
    """

    def __cinit__(self, channels, *, max_streams=1_048_576, seed=None):
        if not 0 <= channels <= 65_536:
            raise ValueError(f"channels must be 0 to 65536, not {channels}")
        if not 1 <= max_streams <= LARGEST_LIMIT:
            raise ValueError(f"max_streams must be 1 to {LARGEST_LIMIT}, not {max_streams}")
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "little")
        self.seed = <uint64_t>(seed & 0xFFFF_FFFF_FFFF_FFFF)
        self.limit = max_streams
        self.links, self.channels = FlowTable(MOST_LINKS), FlowTable(channels)
        self.arbiter = Arbiter(self.seed)

    # The hot path.

    @cython.nonecheck(False)       # the check needs the GIL
    cdef bint on_event(self, int link, const Record* record, Py_ssize_t frame_bytes) noexcept nogil:
        cdef int64_t now = record.head.receive_time_ns
        cdef bint live = not (record.head.flags & FLAG_SNAPSHOT)
        cdef int64_t delay = INT64_MIN
        cdef Flow* flow
        cdef StreamRow* row
        if live and record.head.exchange_time_ns != ABSENT:
            delay = max(subcore_difference(now, record.head.exchange_time_ns), INT64_MIN + 1)
        if frame_bytes >= 0:
            flow = flow_at(self.links, link)
            if flow != NULL:
                count_flow(flow, record, frame_bytes, delay)
            flow = flow_at(self.channels, record.head.channel)
            if flow != NULL:
                count_flow(flow, record, frame_bytes, delay)
        else:
            frame_bytes = 0
        if record.head.stream < 0:
            return False
        row = row_at(self, record.head.stream)
        if row == NULL:
            self.uncounted += 1
            return False
        row.frames += 1
        row.bytes += <uint64_t>frame_bytes
        if live:
            count_interval(row, now)
            row.flags |= ROW_LIVE
            if delay != INT64_MIN:
                count_delay(row, delay)
        else:
            row.snapshots += 1
            row.flags &= ~<uint32_t>ROW_LIVE
        row.last_receive_ns = now
        if record.head.exchange_time_ns != ABSENT:
            row.last_exchange_ns = record.head.exchange_time_ns
        return row.flags & (ROW_AWAITED | ROW_AWAITED_TWICE) and self.prove(row, record, link)

    @cython.nonecheck(False)       # the check needs the GIL
    cdef bint is_repeat(self, const Record* record) noexcept nogil:
        cdef StreamRow* row = row_at(self, record.head.stream)
        cdef Novelty novelty
        cdef size_t before
        cdef Flow* flow
        self.gap = self.copy = False
        if row == NULL:
            return False
        before = seen_bytes(&row.seen)
        if row.flags & ROW_ARBITRATED:
            self.copy = self.arbiter.is_copy(<int32_t>(row.flags >> PLACE_SHIFT), record, &row.seen)
            self.side_bytes += seen_bytes(&row.seen) - before
            return self.copy
        novelty = judge(&row.seen, record, self.seed)
        self.side_bytes += seen_bytes(&row.seen) - before
        if novelty == GAP:
            self.gap = True
            row.gaps += 1
        if novelty != REPEAT:
            return False
        row.repeats += 1
        flow = flow_at(self.channels, record.head.channel)
        if flow != NULL:
            flow.repeats += 1
        return True

    cdef void count_losses(self, int32_t stream, uint64_t count) noexcept nogil:
        cdef StreamRow* row = self.row_of(stream)
        if row != NULL:
            row.losses += count

    # What users of the numbers call.

    def reset_streams(self, streams) -> int:
        """Forget everything about these streams: their ids will be given to others. Unknown ids are no error. Returns
        the gaps that had been counted of them."""
        cdef cnp.ndarray ids = int32_vector(streams, "streams")
        cdef const int32_t* id = <const int32_t*>cnp.PyArray_DATA(ids)
        cdef Py_ssize_t i
        cdef uint64_t gaps = 0
        for i in range(cnp.PyArray_SIZE(ids)):
            if 0 <= id[i] < self.used:
                gaps += self.rows[id[i]].gaps
            self.forget(id[i])
        return gaps

    @cython.nonecheck(False)       # the check needs the GIL
    cdef void forget(self, int32_t stream) noexcept nogil:
        cdef StreamRow* row
        if stream < 0 or stream >= self.used:
            return
        row = &self.rows[stream]
        self.drop_proof(stream, True, 0)
        self.end_arbitration(stream)
        self.awaited -= (row.flags & ROW_AWAITED) != 0
        self.side_bytes -= seen_bytes(&row.seen) + (sizeof(HistogramData) if row.delays != NULL else 0)
        forget_seen(&row.seen)
        PyMem_RawFree(row.delays)
        memset(row, 0, sizeof(StreamRow))

    def enable_histogram(self, stream: int) -> None:
        """Keep a histogram of this stream's delays (about 9 kB) until it is reset. CapacityError, MemoryError."""
        self.check(stream)
        cdef StreamRow* row = self.row_of(stream)
        if row == NULL:
            raise MemoryError(f"no memory for the row of stream {stream} in the meter")
        if row.delays == NULL:
            row.delays = <HistogramData*>PyMem_RawCalloc(1, sizeof(HistogramData))
            if row.delays == NULL:
                raise MemoryError(f"no memory for the histogram of stream {stream}")
            self.side_bytes += sizeof(HistogramData)

    def disable_histogram(self, stream: int) -> None:
        """Drop a stream's histogram; without one nothing happens."""
        if 0 <= stream < self.used and self.rows[<int32_t>stream].delays != NULL:
            PyMem_RawFree(self.rows[<int32_t>stream].delays)
            self.rows[<int32_t>stream].delays = NULL
            self.side_bytes -= sizeof(HistogramData)

    def histogram(self, stream: int):
        """A copy of a stream's histogram, None unless `enable_histogram` was called."""
        if 0 <= stream < self.used and self.rows[<int32_t>stream].delays != NULL:
            return histogram_copy(self.rows[<int32_t>stream].delays)
        return None

    def add_losses(self, stream: int, count: int = 1) -> None:
        """Count events of a stream that a component was due and did not get."""
        self.check(stream)
        self.count_losses(stream, count)

    def link_activity(self, link: int) -> tuple:
        """(receive time of its last frame, number of its frames); zeros if there were none. O(1)."""
        cdef Flow* flow = self.links.peek(link)
        if flow == NULL:
            return 0, 0
        return flow.last_receive_ns, flow.frames

    def link(self, link: int):
        """FlowStats of a link, zeros if nothing came over it. O(1), copies a histogram."""
        return self.links.stats(link)

    def channel(self, channel: int):
        """FlowStats of a channel, zeros if nothing came for it. O(1), copies a histogram."""
        return self.channels.stats(channel)

    def total(self):
        """FlowStats of all channels together. O(channels)."""
        return self.channels.total()

    @property
    def uncounted_frames(self) -> int:
        """Frames of streams beyond `max_streams`, or for whose row there was no memory."""
        return self.uncounted

    @property
    def nbytes(self) -> int:
        """Bytes held, all of them."""
        return (
            sys.getsizeof(self) + self.arbiter.nbytes + sys.getsizeof(self.links) + sys.getsizeof(self.channels)
            + self.links.size() + self.channels.size() + self.side_bytes
            + self.row_bytes() + self.proof_room * sizeof(Proof)
        )
