# cython: language_level=3
"""The difference between wish and wire of one link, kept up to date."""

cimport cython
from cpython.mem cimport PyMem_Free
from libc.stdint cimport int32_t, uint8_t, uint64_t
from libc.string cimport memcpy

import sys

cimport numpy as cnp
import numpy as np

from subcore._arrays cimport int32_vector, new_block, new_ids, sort_ids
from subcore._sets cimport ids_of, is_ascending, new_ids_of, sorted_set

from subcore._sets import diff, subtract, union

cnp.import_array()

cdef enum:
    SMALLEST_ROOM = 64
    LARGEST_LIMIT = 268_435_456
    BLOCK = 32                    # streams that are listed at once
    DIFFERS = 3                   # IN_TARGET and ON_WIRE: where just one is set


cdef inline bint all_have(const uint8_t* bits, uint8_t mask) noexcept nogil:
    """Whether each of a block has all of the mask's bits."""
    cdef uint64_t words[4]
    cdef uint64_t pattern = <uint64_t>0x0101010101010101 * mask
    memcpy(words, bits, BLOCK)
    return words[0] & words[1] & words[2] & words[3] & pattern == pattern


cdef inline bint none_has(const uint8_t* bits, uint8_t mask) noexcept nogil:
    """Whether no one of a block has a bit of the mask."""
    cdef uint64_t words[4]
    memcpy(words, bits, BLOCK)
    return (words[0] | words[1] | words[2] | words[3]) & (<uint64_t>0x0101010101010101 * mask) == 0


cdef inline void list_block(int32_t* out, int32_t first) noexcept nogil:
    cdef int32_t i
    for i in range(BLOCK):
        out[i] = first + i


cdef class WireSet:
    """One link: the streams it should carry (target) and those it was asked for or is proven to carry (wire).

    Their difference is kept up to date: reading it costs in proportion to what differs. One byte per stream up to the
    largest id met, four per stream that differs; ids from `max_streams` on are refused. Not thread safe.
    """

    def __cinit__(self, Py_ssize_t max_streams=1_048_576):
        if max_streams < 1 or max_streams > LARGEST_LIMIT:
            raise ValueError(f"max_streams must be 1 to {LARGEST_LIMIT}, not {max_streams}")
        self.limit = <int32_t>max_streams

    def __dealloc__(self):
        PyMem_Free(self.bits)
        PyMem_Free(self.listed)

    cdef bint in_target(self, int32_t stream) noexcept nogil:
        return 0 <= stream < self.room and self.bits[stream] & IN_TARGET != 0

    cdef bint on_wire(self, int32_t stream) noexcept nogil:
        return 0 <= stream < self.room and self.bits[stream] & ON_WIRE != 0

    cdef int reserve(self, const int32_t* streams, Py_ssize_t count) except -1:
        """Columns up to the largest id and room to list `count` more, or an error with nothing changed."""
        cdef int32_t largest = -1
        cdef Py_ssize_t i, room, needed, listed_room
        cdef uint8_t* bits = NULL
        cdef int32_t* listed
        for i in range(count):
            if streams[i] < 0 or streams[i] >= self.limit:
                raise IndexError(f"a stream id must be 0 to {self.limit - 1}, not {streams[i]}")
            largest = max(largest, streams[i])
        room = self.room
        if largest >= room:
            room = min(<Py_ssize_t>self.limit, max(<Py_ssize_t>SMALLEST_ROOM, largest + 1, room + room // 2))
            bits = <uint8_t*>new_block(room, "the streams of a link")
        needed = min(room, self.listed_count + count)     # a stream is listed once, however often it is named
        if needed > self.listed_room:
            listed_room = min(room, max(<Py_ssize_t>SMALLEST_ROOM, needed, <Py_ssize_t>self.listed_room * 3 // 2))
            try:
                listed = <int32_t*>new_block(listed_room * sizeof(int32_t), "the differences of a link")
            except MemoryError:
                PyMem_Free(bits)
                raise
            if self.listed_count:
                memcpy(listed, self.listed, self.listed_count * sizeof(int32_t))
            PyMem_Free(self.listed)
            self.listed, self.listed_room = listed, <int32_t>listed_room
        if bits != NULL:
            if self.room:
                memcpy(bits, self.bits, self.room)
            PyMem_Free(self.bits)
            self.bits, self.room = bits, <int32_t>room
        return 0

    cdef int set_bits(self, const int32_t* streams, Py_ssize_t count, uint8_t bit, bint flag) except -1:
        self.reserve(streams, count)
        cdef uint8_t* bits = self.bits
        cdef int32_t* listed = self.listed
        cdef int32_t known = self.listed_count, changed = 0, beside = 0
        cdef Py_ssize_t i
        cdef uint8_t before, wanted = bit if flag else 0
        for i in range(count):
            before = bits[streams[i]]
            if before & bit == wanted:
                continue
            bits[streams[i]] = (before ^ bit) | LISTED
            changed += 1
            beside += before & (DIFFERS ^ bit) != 0      # the other set has it
            if not before & LISTED:
                listed[known] = streams[i]
                known += 1
        self.listed_count = known
        if flag:
            self.count_bits(bit, changed, beside)
        else:
            self.count_bits(bit, -changed, -beside)
        # Paid for by the changes that settled: the list stays in proportion to what differs.
        if self.listed_count > 2 * (self.added_count + self.removed_count) + SMALLEST_ROOM:
            self.forget_settled()
        return 0

    cdef void count_bits(self, uint8_t bit, int32_t changed, int32_t beside) noexcept:
        """So many came to the set of that bit (less than 0: left it), of which the other one has so many."""
        if bit == IN_TARGET:
            self.target_count += changed
            self.added_count += changed - beside
            self.removed_count -= beside
        else:
            self.wire_count += changed
            self.removed_count += changed - beside
            self.added_count -= beside

    @cython.nonecheck(False)
    cdef void forget_settled(self) noexcept nogil:
        cdef int32_t i, stream
        cdef int32_t kept = 0
        for i in range(self.listed_count):
            stream = self.listed[i]
            if self.bits[stream] & DIFFERS == 0 or self.bits[stream] & DIFFERS == DIFFERS:
                self.bits[stream] &= <uint8_t>~LISTED
            else:
                self.listed[kept] = stream
                kept += 1
        self.listed_count = kept

    cdef object listed_with(self, uint8_t wanted, Py_ssize_t count):
        cdef object ids = new_ids(count)
        cdef int32_t* out = new_ids_of(ids)
        cdef int32_t i
        for i in range(self.listed_count):
            if self.bits[self.listed[i]] & DIFFERS == wanted:
                out[0] = self.listed[i]
                out += 1
        if not is_ascending(ids_of(ids), count):        # a whole link comes and goes in order
            sort_ids(ids)
        return ids

    cdef object all_with(self, uint8_t mask, Py_ssize_t count):
        """A link mostly carries its neighbours' neighbours too, so whole blocks of streams are listed at once; and
        where there are many links, whole blocks are on others."""
        cdef object ids = new_ids(count)
        cdef int32_t* out = new_ids_of(ids)
        cdef const uint8_t* bits = self.bits
        cdef int32_t stream = 0, found = 0
        cdef int32_t last = <int32_t>count, room = self.room
        while found < last and stream < room:
            if found + BLOCK <= last and stream + BLOCK <= room and all_have(bits + stream, mask):
                list_block(out + found, stream)
                found += BLOCK
                stream += BLOCK
                continue
            if stream + BLOCK <= room and none_has(bits + stream, mask):
                stream += BLOCK
                continue
            for stream in range(stream, min(stream + BLOCK, room)):
                if found == last:
                    break
                out[found] = stream                     # written always, kept only where it counts
                found += bits[stream] & mask != 0
            stream += 1
        return ids

    def set_target(self, streams, bint flag=True) -> None:
        """Whether the link should carry streams; all or none. IndexError for an id out of range. O(len(streams))."""
        cdef object ids = int32_vector(streams, "streams")
        self.set_bits(ids_of(ids), len(ids), IN_TARGET, flag)

    def set_wire(self, streams, bint flag=True) -> None:
        """Whether the link was asked for streams; all or none. IndexError for an id out of range. O(len(streams))."""
        cdef object ids = int32_vector(streams, "streams")
        self.set_bits(ids_of(ids), len(ids), ON_WIRE, flag)

    def clear_wire(self) -> None:
        """Nothing is on the wire: the link was lost. O(largest id)."""
        cdef object streams = self.wire()
        self.set_bits(ids_of(streams), self.wire_count, ON_WIRE, False)

    def added(self) -> np.ndarray:
        """target - wire, sorted, as an int32 array. Cost in proportion to what differs."""
        return self.listed_with(IN_TARGET, self.added_count)

    def removed(self) -> np.ndarray:
        """wire - target, sorted, as an int32 array. Cost in proportion to what differs."""
        return self.listed_with(ON_WIRE, self.removed_count)

    def target(self) -> np.ndarray:
        """What the link should carry, sorted, as an int32 array. O(largest id)."""
        return self.all_with(IN_TARGET, self.target_count)

    def wire(self) -> np.ndarray:
        """What the link was asked for, sorted, as an int32 array. O(largest id)."""
        return self.all_with(ON_WIRE, self.wire_count)

    def has_target(self, int32_t stream) -> bool:
        """Whether the link should carry a stream; False for an id never met. O(1)."""
        return self.in_target(stream)

    def has_wire(self, int32_t stream) -> bool:
        """Whether the link was asked for a stream; False for an id never met. O(1)."""
        return self.on_wire(stream)

    def aims_at(self, streams) -> np.ndarray:
        """Which of these the link should carry, bool; False for an id never met. O(len(streams))."""
        cdef object ids = int32_vector(streams, "streams")
        cdef cnp.npy_intp count = len(ids)
        cdef object flags = cnp.PyArray_SimpleNew(1, &count, cnp.NPY_BOOL)
        cdef uint8_t* flag = <uint8_t*>cnp.PyArray_DATA(<cnp.ndarray>flags)
        cdef Py_ssize_t i
        for i in range(count):
            flag[i] = self.in_target(ids_of(ids)[i])
        return flags

    def verify(self, target=None, wire=None) -> np.ndarray:
        """Streams about which this set is wrong, sorted (int32); empty = sound. O(largest id).

        Compares the difference it keeps with a full comparison of its columns, and the columns with `target` and
        `wire` (sorted ids) where given: an audit against who owns the truth.
        """
        should, does = self.target(), self.wire()
        pairs = [(self.added(), subtract(should, does)), (self.removed(), subtract(does, should))]
        if target is not None:
            pairs.append((should, sorted_set(target, "target")))
        if wire is not None:
            pairs.append((does, sorted_set(wire, "wire")))
        wrong = new_ids(0)
        for kept, true in pairs:
            for part in diff(kept, true):
                wrong = union(wrong, part)
        return wrong

    @property
    def len_target(self) -> int:
        """Streams the link should carry."""
        return self.target_count

    @property
    def len_wire(self) -> int:
        """Streams the link was asked for."""
        return self.wire_count

    @property
    def len_added(self) -> int:
        """Streams in target - wire. O(1)."""
        return self.added_count

    @property
    def len_removed(self) -> int:
        """Streams in wire - target. O(1)."""
        return self.removed_count

    @property
    def nbytes(self) -> int:
        """Bytes held: this object and its columns."""
        return sys.getsizeof(self) + self.room + self.listed_room * sizeof(int32_t)
