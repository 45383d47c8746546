# cython: language_level=3
"""The meter's rows: one of two cache lines for each stream, made on first use, read as columns."""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy

cimport numpy as cnp
import numpy as np

from subcore._arrays cimport int32_vector
from subcore._repeats cimport forget_seen

from subcore.errors import CapacityError

cnp.import_array()

cdef enum:
    ROW_ALIGNMENT = 128             # both lines of a row are one pair, which the processor fetches together
    SMALLEST_ROOM = 16


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
        ("interval_ns", np.float32, <char*>&row.interval_ns - start),
        ("median_ns", np.float32, <char*>&row.median_ns - start),
    ]
    names, formats, offsets = zip(*members)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": sizeof(StreamRow)})


cdef object ROW_DTYPE = row_dtype()


cdef class StreamRows:
    """Rows by stream id. Whoever derives from it sets `limit`, and counts."""

    def __dealloc__(self):
        cdef int32_t i
        for i in range(self.used):
            forget_seen(&self.rows[i].seen)
            PyMem_RawFree(self.rows[i].delays)
        PyMem_RawFree(self.rows_block)

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

    def streams(self) -> np.ndarray:
        """A copy of all rows, indexed by stream id: a read-only structured array (largest id seen + 1,).

        frames, bytes, snapshots (of the frames), repeats (snapshots dropped), gaps (snapshots that showed missed
        trades), losses, skewed (live frames whose exchange time lies after their receive time); last_receive_ns and
        last_exchange_ns since 1970 UTC, last_delay_ns (negative = skewed) and worst_delay_ns of live frames,
        interval_ns (EWMA, 1/16) and median_ns (running, within some 10 %) between live frames. 0 = nothing yet.
        """
        rows = np.empty(self.used, ROW_DTYPE)
        if self.used:
            memcpy(cnp.PyArray_DATA(rows), self.rows, <size_t>self.used * sizeof(StreamRow))
        rows.flags.writeable = False
        return rows

    def frames(self) -> np.ndarray:
        """The column `frames` of `streams` alone, modulo 2^32. O(largest id seen), with one cache miss a stream."""
        counts = np.empty(self.used, np.uint32)
        cdef uint32_t* out = <uint32_t*>cnp.PyArray_DATA(<cnp.ndarray>counts)
        cdef int32_t i
        for i in range(<int32_t>cnp.PyArray_SIZE(<cnp.ndarray>counts)):
            out[i] = <uint32_t>self.rows[i].frames
        return counts

    def count_gaps(self) -> int:
        """The sum of the column `gaps` of `streams`. O(largest id seen)."""
        cdef uint64_t total = 0
        cdef int32_t i
        for i in range(self.used):
            total += self.rows[i].gaps
        return total

    def heard(self, streams) -> tuple:
        """What was heard of these streams, one int64 column each: (frames, snapshots, last_receive_ns,
        last_exchange_ns), as in `streams`.

        Ids that nothing came for read as zeros. O(streams given), with about two cache misses a stream.
        """
        cdef cnp.ndarray ids = int32_vector(streams, "streams")
        cdef const int32_t* id = <const int32_t*>cnp.PyArray_DATA(ids)
        cdef Py_ssize_t i, count = cnp.PyArray_SIZE(ids)
        cdef const StreamRow* row
        columns = [np.zeros(count, np.int64) for _ in range(4)]
        cdef int64_t* frames = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>columns[0])
        cdef int64_t* snapshots = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>columns[1])
        cdef int64_t* received = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>columns[2])
        cdef int64_t* exchange = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>columns[3])
        for i in range(count):
            if not 0 <= id[i] < self.used:
                continue
            row = &self.rows[id[i]]
            frames[i], snapshots[i] = <int64_t>row.frames, row.snapshots
            received[i], exchange[i] = row.last_receive_ns, row.last_exchange_ns
        return tuple(columns)

    cdef size_t row_bytes(self) noexcept nogil:
        return <size_t>self.room * sizeof(StreamRow) + ROW_ALIGNMENT if self.room else 0
