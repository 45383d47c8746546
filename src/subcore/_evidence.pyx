# cython: language_level=3
"""Evidence: the first fitting frame of a stream that was asked for, on its link or on each of two.

The hot path finds it by a flag of the stream's row and writes a proof into room that was made beforehand.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint32_t
from libc.string cimport memcpy

cimport numpy as cnp
import numpy as np

from subcore._arbiter cimport Carried
from subcore._arrays cimport int32_vector, new_block
from subcore._events cimport ABSENT, FLAG_SNAPSHOT, Record
from subcore._stream_rows cimport (
    PLACE_SHIFT, ROW_ARBITRATED, ROW_AWAITED, ROW_AWAITED_TWICE, ROW_FLAGS, ROW_LIVE, ROW_PROVEN, StreamRow, StreamRows,
)

cnp.import_array()


cdef inline bint fits(const Record* record, int64_t not_before) noexcept nogil:
    return record.head.flags & FLAG_SNAPSHOT or record.head.receive_time_ns >= not_before


cdef class EvidenceRows(StreamRows):
    """Rows whose streams can be awaited. Whoever derives from it sets `arbiter`."""

    def __dealloc__(self):
        PyMem_RawFree(self.proofs)

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
        cdef int32_t i, count = self.proof_count
        cdef Proof* taken
        if count == 0:
            return []
        # Taken out before any object is made: a destructor that runs then may await others, which moves the table.
        taken = <Proof*>new_block(<size_t>count * sizeof(Proof), "what was proven")
        memcpy(taken, self.proofs, <size_t>count * sizeof(Proof))
        self.proof_count = 0
        for i in range(count):
            self.rows[taken[i].stream].flags &= ~<uint32_t>ROW_PROVEN
        try:
            for i in range(count):
                streams, _time = found.get(taken[i].link, ([], 0))
                streams.append(taken[i].stream)
                found[taken[i].link] = (streams, taken[i].time_ns)
        finally:
            PyMem_Free(taken)
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

    @property
    def awaiting(self) -> int:
        """Proofs that are awaited: one a stream, two of those that two links carry."""
        return self.awaited

    @property
    def arbitrated(self) -> int:
        """Streams that two links carry."""
        return self.arbiter.count
