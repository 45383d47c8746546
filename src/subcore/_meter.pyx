# cython: language_level=3
"""What streams, links and channels carried: counters in columns, delays in histograms, repeats, evidence.

Pure numbers: receive times come with the records, no clock is read. A frame of a stream costs its row (two cache
lines) and two histograms. Everything is bounded: rows by `max_streams`, links by 4,096, channels by their number.
"""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

import os
import sys

cimport numpy as cnp
import numpy as np

from subcore._arbiter cimport Arbiter, Carried
from subcore._arrays cimport int32_vector
from subcore._events cimport ABSENT, FLAG_SNAPSHOT, Record
from subcore._flows cimport Flow, FlowTable, count_flow
from subcore._histogram cimport HistogramData, histogram_add, histogram_copy
from subcore._repeats cimport GAP, REPEAT, Novelty, forget_seen, judge, seen_bytes

from subcore.errors import CapacityError

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
    """
    int64_t subcore_difference(int64_t a, int64_t b) noexcept nogil

cdef enum RowFlag:
    ROW_AWAITED = 1                 # its next fitting frame is evidence
    ROW_PROVEN = 2                  # a proof of it waits to be taken
    ROW_LIVE = 4                    # its last frame was a live one
    ROW_ARBITRATED = 8              # two links carry it
    ROW_AWAITED_TWICE = 16          # a frame on another link is evidence too; which one, the arbiter keeps
    ROW_FLAGS = 255
    PLACE_SHIFT = 8

cdef enum:
    ROW_ALIGNMENT = 128             # both lines of a row are one pair, which the processor fetches together
    SMALLEST_ROOM = 16
    LARGEST_LIMIT = 1 << 24
    MOST_LINKS = 4096
    EWMA_SHIFT = 16                 # weight of the newest interval is 1 / this


cdef object row_dtype():
    cdef StreamRow row
    cdef char* start = <char*>&row
    members = [
        ("frames", np.uint64, <char*>&row.frames - start),
        ("bytes", np.uint64, <char*>&row.bytes - start),
        ("snapshots", np.uint32, <char*>&row.snapshots - start),
        ("repeats", np.uint32, <char*>&row.repeats - start),
        ("gaps", np.uint32, <char*>&row.gaps - start),
        ("losses", np.uint64, <char*>&row.losses - start),
        ("skewed", np.uint32, <char*>&row.skewed - start),
        ("last_receive_ns", np.int64, <char*>&row.last_receive_ns - start),
        ("last_exchange_ns", np.int64, <char*>&row.last_exchange_ns - start),
        ("last_delay_ns", np.int64, <char*>&row.last_delay_ns - start),
        ("worst_delay_ns", np.int64, <char*>&row.worst_delay_ns - start),
        ("interval_ns", np.float64, <char*>&row.interval_ns - start),
    ]
    names, formats, offsets = zip(*members)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": sizeof(StreamRow)})


cdef object ROW_DTYPE = row_dtype()


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
    cdef double interval
    if row.flags & ROW_LIVE and now >= row.last_receive_ns:
        interval = <double>(now - row.last_receive_ns)
        if row.interval_ns == 0:
            row.interval_ns = interval
        else:
            row.interval_ns += (interval - row.interval_ns) / EWMA_SHIFT


cdef inline bint fits(const Record* record, int64_t not_before) noexcept nogil:
    return record.head.flags & FLAG_SNAPSHOT or record.head.receive_time_ns >= not_before


@cython.nonecheck(False)            # the check needs the GIL
cdef inline Flow* flow_at(FlowTable flows, int number) noexcept nogil:
    cdef Flow* flow = flows.flows[number] if 0 <= number < flows.count else NULL
    return flow if flow != NULL else flows.at(number)


@cython.nonecheck(False)            # the check needs the GIL
cdef inline StreamRow* row_at(Meter meter, int32_t stream) noexcept nogil:
    return &meter.rows[stream] if 0 <= stream < meter.used else meter.row_of(stream)


@cython.final
cdef class Meter:
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

    def __dealloc__(self):
        cdef int32_t i
        for i in range(self.used):
            forget_seen(&self.rows[i].seen)
            PyMem_RawFree(self.rows[i].delays)
        PyMem_RawFree(self.rows_block)
        PyMem_RawFree(self.proofs)

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
        flow = flow_at(self.links, link)
        if flow != NULL:
            count_flow(flow, record, frame_bytes, delay)
        flow = flow_at(self.channels, record.head.channel)
        if flow != NULL:
            count_flow(flow, record, frame_bytes, delay)
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
    cdef bint prove(self, StreamRow* row, const Record* record, int link) noexcept nogil:
        cdef Proof* proof
        cdef Carried* carried
        if row.flags & ROW_AWAITED and row.link == link and fits(record, row.not_before_ns):
            row.flags &= ~<uint32_t>ROW_AWAITED
        elif row.flags & ROW_AWAITED_TWICE:
            carried = &self.arbiter.carried[row.flags >> PLACE_SHIFT]
            if carried.link != link or not fits(record, carried.not_before_ns):
                return False
            row.flags &= ~<uint32_t>ROW_AWAITED_TWICE
        else:
            return False
        proof = &self.proofs[self.proof_count]
        proof.stream, proof.link, proof.time_ns = record.head.stream, link, record.head.receive_time_ns
        self.proof_count += 1
        self.awaited -= 1
        row.flags |= ROW_PROVEN
        return True

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

    # Room.

    cdef StreamRow* row_of(self, int32_t stream) noexcept nogil:
        """The row of a stream, made if need be; NULL for an id out of range or where there is no memory."""
        if stream < 0 or (stream >= self.room and not self.grow(stream)):
            return NULL
        if stream >= self.used:
            self.used = stream + 1
        return &self.rows[stream]

    cdef bint grow(self, int32_t stream) noexcept nogil:
        cdef Py_ssize_t room = max(<Py_ssize_t>stream + 1, <Py_ssize_t>self.room + self.room // 2, SMALLEST_ROOM)
        cdef void* block
        cdef StreamRow* rows
        if stream >= self.limit:
            return False
        room = min(room, <Py_ssize_t>self.limit)
        block = PyMem_RawCalloc(1, <size_t>room * sizeof(StreamRow) + ROW_ALIGNMENT)
        if block == NULL:
            return False
        rows = <StreamRow*>((<uintptr_t>block + ROW_ALIGNMENT - 1) // ROW_ALIGNMENT * ROW_ALIGNMENT)
        if self.used:
            memcpy(rows, self.rows, <size_t>self.used * sizeof(StreamRow))
        PyMem_RawFree(self.rows_block)
        self.rows_block, self.rows, self.room = block, rows, <int32_t>room
        return True

    cdef int check(self, Py_ssize_t stream) except -1:
        if not 0 <= stream < self.limit:
            raise CapacityError(f"stream {stream} is beyond the {self.limit} that this meter counts")
        return 0

    # Evidence.

    def await_evidence(self, link: int, streams, realtime_not_before_ns: int = 0) -> None:
        """Report the first fitting frame of each of these streams on this link, from now on.

        A snapshot fits at once; a live frame if it was received at or after `realtime_not_before_ns` (the clock of the
        records), because late frames of an earlier request must not prove a new one. Awaiting a stream anew forgets
        what was awaited and what was not yet taken; of a stream that is arbitrated only what was so on the same link,
        and, with two others awaited, the older of them. CapacityError or MemoryError: nothing was changed.
        """
        cdef cnp.ndarray ids = int32_vector(streams, "streams")
        cdef const int32_t* id = <const int32_t*>cnp.PyArray_DATA(ids)
        cdef Py_ssize_t count = cnp.PyArray_SIZE(ids)
        cdef Py_ssize_t i
        cdef int32_t carrier = link
        cdef int64_t not_before = realtime_not_before_ns
        for i in range(count):
            self.check(id[i])
            if self.row_of(id[i]) == NULL:
                raise MemoryError(f"no memory for the row of stream {id[i]} in the meter")
        self.reserve_proofs(count)
        for i in range(count):
            self.await_on(id[i], carrier, not_before)

    @cython.nonecheck(False)       # the check needs the GIL
    cdef void await_on(self, int32_t stream, int32_t link, int64_t not_before) noexcept nogil:
        """With two awaited, the older of them is in the row and the newer one with the arbiter."""
        cdef StreamRow* row = &self.rows[stream]
        cdef Carried* carried = NULL
        cdef bint is_second
        if row.flags & ROW_ARBITRATED:
            carried = &self.arbiter.carried[row.flags >> PLACE_SHIFT]
        self.drop_proof(stream, carried == NULL, link)
        is_second = carried != NULL and row.flags & ROW_AWAITED and row.link != link
        if row.flags & ROW_AWAITED_TWICE:
            is_second = True
            if carried.link != link:
                self.awaited += not row.flags & ROW_AWAITED
                row.flags |= ROW_AWAITED
                row.link, row.not_before_ns = carried.link, carried.not_before_ns
        elif is_second:
            row.flags |= ROW_AWAITED_TWICE
            self.awaited += 1
        if is_second:
            carried.link, carried.not_before_ns = link, not_before
            return
        self.awaited += not row.flags & ROW_AWAITED
        row.flags |= ROW_AWAITED
        row.link, row.not_before_ns = link, not_before

    cdef int reserve_proofs(self, Py_ssize_t extra) except -1:
        cdef Py_ssize_t needed = self.proof_count + self.awaited + extra
        cdef void* proofs
        if needed > self.proof_room:
            needed = min(max(needed, <Py_ssize_t>2 * self.proof_room), <Py_ssize_t>INT64_MAX)
            proofs = PyMem_RawRealloc(self.proofs, <size_t>needed * sizeof(Proof))
            if proofs == NULL:
                raise MemoryError(f"no memory for the evidence of {needed} streams")
            self.proofs, self.proof_room = <Proof*>proofs, <int32_t>needed
        return 0

    @cython.nonecheck(False)       # the check needs the GIL
    cdef void drop_proof(self, int32_t stream, bint of_all_links, int link) noexcept nogil:
        cdef int32_t i, kept = 0
        cdef bint another = False
        if not self.rows[stream].flags & ROW_PROVEN:
            return
        for i in range(self.proof_count):
            if self.proofs[i].stream != stream or not (of_all_links or self.proofs[i].link == link):
                another = another or self.proofs[i].stream == stream
                self.proofs[kept] = self.proofs[i]
                kept += 1
        self.proof_count = kept
        if not another:
            self.rows[stream].flags &= ~<uint32_t>ROW_PROVEN

    def take_evidence(self) -> list:
        """[(link, streams, time_ns), ...]: what was proven since the last call, in the order of its frames.

        `streams` is an int32 array without repeats; `time_ns` the receive time of the last of their frames. Each
        link appears once. O(what is returned).
        """
        cdef dict found = {}
        cdef int32_t i
        cdef Proof* proof
        for i in range(self.proof_count):
            proof = &self.proofs[i]
            streams, _time = found.get(proof.link, ([], 0))
            streams.append(proof.stream)
            found[proof.link] = (streams, proof.time_ns)
            self.rows[proof.stream].flags &= ~<uint32_t>ROW_PROVEN
        self.proof_count = 0
        return [(link, np.array(streams, np.int32), time_ns) for link, (streams, time_ns) in found.items()]

    # Two carriers.

    def arbitrate(self, streams, on: bool) -> None:
        """Say that these streams have two carriers from now on (`on`), or only one again.

        While they have two, what both links bring is forwarded once, no state goes back (`_arbiter`), and both links
        may be awaited at once. Switch it on before the second carrier is asked, so that its first snapshot is judged
        by what was forwarded before; switch it off when the carrier that stays has caught up with what the other one
        brought and no late frame of that one can come: afterwards every live frame is news. Of two links still
        awaited then, the one asked later stays so. Twice is once. O(streams). CapacityError or MemoryError: nothing
        was changed; `on=False` raises neither.
        """
        cdef cnp.ndarray ids = int32_vector(streams, "streams")
        cdef const int32_t* id = <const int32_t*>cnp.PyArray_DATA(ids)
        cdef int32_t before = self.arbiter.count
        cdef Py_ssize_t i
        for i in range(cnp.PyArray_SIZE(ids)):
            if on:
                self.check(id[i])
            elif 0 <= id[i] < self.used:
                self.end_arbitration(id[i])
        try:
            for i in range(cnp.PyArray_SIZE(ids) if on else 0):
                self.begin_arbitration(id[i])
        except MemoryError:
            while self.arbiter.count > before:
                self.end_arbitration(self.arbiter.carried[self.arbiter.count - 1].stream)
            raise

    cdef int begin_arbitration(self, int32_t stream) except -1:
        cdef StreamRow* row = self.row_of(stream)
        cdef int32_t place
        if row == NULL:
            raise MemoryError(f"no memory for the row of stream {stream} in the meter")
        if not row.flags & ROW_ARBITRATED:
            place = self.arbiter.add(stream, row.last_exchange_ns if row.last_exchange_ns else ABSENT, &row.seen)
            row.flags |= ROW_ARBITRATED | (<uint32_t>place << PLACE_SHIFT)
        return 0

    @cython.nonecheck(False)       # the check needs the GIL
    cdef void end_arbitration(self, int32_t stream) noexcept nogil:
        cdef StreamRow* row = &self.rows[stream]
        cdef uint32_t place = row.flags >> PLACE_SHIFT
        cdef Carried* carried
        cdef int32_t moved
        if not row.flags & ROW_ARBITRATED:
            return
        carried = &self.arbiter.carried[place]
        if row.flags & ROW_AWAITED_TWICE:
            self.awaited -= (row.flags & ROW_AWAITED) != 0
            row.flags |= ROW_AWAITED
            row.link, row.not_before_ns = carried.link, carried.not_before_ns
        if carried.last_exchange_ns != ABSENT:
            row.last_exchange_ns = carried.last_exchange_ns
        row.flags &= ROW_AWAITED | ROW_PROVEN | ROW_LIVE
        moved = self.arbiter.remove(<int32_t>place)
        if moved >= 0:
            self.rows[moved].flags = (self.rows[moved].flags & ROW_FLAGS) | (place << PLACE_SHIFT)

    # What users of the numbers call.

    def reset_streams(self, streams) -> None:
        """Forget everything about these streams: their ids will be given to others. Unknown ids are no error."""
        cdef cnp.ndarray ids = int32_vector(streams, "streams")
        cdef const int32_t* id = <const int32_t*>cnp.PyArray_DATA(ids)
        cdef Py_ssize_t i
        for i in range(cnp.PyArray_SIZE(ids)):
            self.forget(id[i])

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

    def streams(self) -> np.ndarray:
        """A copy of all rows, indexed by stream id: a read-only structured array (largest id seen + 1,).

        frames, bytes, snapshots (of the frames), repeats (snapshots dropped), gaps (snapshots that showed missed
        trades), losses, skewed (live frames whose exchange time lies after their receive time); last_receive_ns and
        last_exchange_ns since 1970 UTC, last_delay_ns (negative = skewed) and worst_delay_ns of live frames,
        interval_ns (EWMA, 1/16, between live frames). 0 = nothing yet.
        """
        rows = np.empty(self.used, ROW_DTYPE)
        if self.used:
            memcpy(cnp.PyArray_DATA(rows), self.rows, <size_t>self.used * sizeof(StreamRow))
        rows.flags.writeable = False
        return rows

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
    def awaiting(self) -> int:
        """Proofs that are awaited: one a stream, two of those that two links carry."""
        return self.awaited

    @property
    def arbitrated(self) -> int:
        """Streams that two links carry."""
        return self.arbiter.count

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
            + (self.room * sizeof(StreamRow) + ROW_ALIGNMENT if self.room else 0) + self.proof_room * sizeof(Proof)
        )
