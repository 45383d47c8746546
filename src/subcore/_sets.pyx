# cython: language_level=3
"""Set algebra over sorted stream ids, packing into messages, and the difference between wish and wire.

Set functions take sorted int32 ids without repeats, read-only or not, cost O(len) and answer with arrays of the same
kind. Their arguments are checked: an unsorted array would be a silent wrong answer.
"""

cimport cython
from cpython.mem cimport PyMem_Free
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

import sys

cimport numpy as cnp
import numpy as np

from subcore._arrays cimport int32_vector, new_block, new_ids, sort_ids

cnp.import_array()

cdef enum:
    SMALLEST_ROOM = 64
    LARGEST_LIMIT = 268_435_456
    BLOCK = 32                    # streams that are listed at once
    DIFFERS = 3                   # IN_TARGET and ON_WIRE: where just one is set


cdef inline const int32_t* ids_of(object array) noexcept:
    return <const int32_t*>cnp.PyArray_DATA(<cnp.ndarray>array)


cdef inline int32_t* new_ids_of(object array) noexcept:
    return <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>array)


cdef inline bint all_have(const uint8_t* bits, uint8_t mask) noexcept nogil:
    """Whether each of a block has all of the mask's bits."""
    cdef uint64_t words[4]
    cdef uint64_t pattern = <uint64_t>0x0101010101010101 * mask
    memcpy(words, bits, BLOCK)
    return words[0] & words[1] & words[2] & words[3] & pattern == pattern


cdef inline void list_block(int32_t* out, int32_t first) noexcept nogil:
    cdef int32_t i
    for i in range(BLOCK):
        out[i] = first + i


cdef bint is_ascending(const int32_t* ids, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    cdef bint ascending = True
    for i in range(1, count):
        ascending &= ids[i - 1] < ids[i]
    return ascending


cdef object sorted_set(object values, str what):
    array = int32_vector(values, what)
    if not is_ascending(ids_of(array), cnp.PyArray_DIM(<cnp.ndarray>array, 0)):
        raise ValueError(f"{what} must be sorted and without repeats: use numpy.unique first")
    return array


cdef object exact(object ids, Py_ssize_t count):
    """The first `count` ids in an array of just that size."""
    if cnp.PyArray_DIM(<cnp.ndarray>ids, 0) == count:
        return ids
    shorter = new_ids(count)
    memcpy(new_ids_of(shorter), ids_of(ids), count * sizeof(int32_t))
    return shorter


def is_sorted_unique(ids) -> bool:
    """Whether ids are sorted and without repeats."""
    array = int32_vector(ids, "ids")
    return is_ascending(ids_of(array), cnp.PyArray_DIM(<cnp.ndarray>array, 0))


def diff(target, wire) -> tuple:
    """(added, removed): what is only in `target`, and what is only in `wire`."""
    cdef object left = sorted_set(target, "target")
    cdef object right = sorted_set(wire, "wire")
    cdef Py_ssize_t left_count = len(left)
    cdef Py_ssize_t right_count = len(right)
    cdef object only_left = new_ids(left_count)
    cdef object only_right = new_ids(right_count)
    cdef const int32_t* a = ids_of(left)
    cdef const int32_t* b = ids_of(right)
    cdef int32_t* added = new_ids_of(only_left)
    cdef int32_t* removed = new_ids_of(only_right)
    cdef Py_ssize_t i = 0, j = 0, p = 0, q = 0
    cdef int32_t x, y
    while i < left_count and j < right_count:
        x, y = a[i], b[j]
        added[p] = x                # p <= i and q <= j: written always, kept only where it counts
        removed[q] = y
        p += x < y
        q += y < x
        i += x <= y
        j += y <= x
    memcpy(&added[p], &a[i], (left_count - i) * sizeof(int32_t))
    memcpy(&removed[q], &b[j], (right_count - j) * sizeof(int32_t))
    return exact(only_left, p + left_count - i), exact(only_right, q + right_count - j)


def union(left, right) -> np.ndarray:
    """What is in either."""
    cdef object first = sorted_set(left, "left")
    cdef object second = sorted_set(right, "right")
    cdef Py_ssize_t first_count = len(first)
    cdef Py_ssize_t second_count = len(second)
    cdef object merged = new_ids(first_count + second_count)
    cdef const int32_t* a = ids_of(first)
    cdef const int32_t* b = ids_of(second)
    cdef int32_t* out = new_ids_of(merged)
    cdef Py_ssize_t i = 0, j = 0, p = 0
    cdef int32_t x, y
    while i < first_count and j < second_count:
        x, y = a[i], b[j]
        out[p] = min(x, y)
        p += 1
        i += x <= y
        j += y <= x
    memcpy(&out[p], &a[i], (first_count - i) * sizeof(int32_t))
    p += first_count - i
    memcpy(&out[p], &b[j], (second_count - j) * sizeof(int32_t))
    return exact(merged, p + second_count - j)


def intersect(left, right) -> np.ndarray:
    """What is in both."""
    cdef object first = sorted_set(left, "left")
    cdef object second = sorted_set(right, "right")
    cdef Py_ssize_t first_count = len(first)
    cdef Py_ssize_t second_count = len(second)
    cdef object both = new_ids(min(first_count, second_count))
    cdef const int32_t* a = ids_of(first)
    cdef const int32_t* b = ids_of(second)
    cdef int32_t* out = new_ids_of(both)
    cdef Py_ssize_t i = 0, j = 0, p = 0
    cdef int32_t x, y
    while i < first_count and j < second_count:
        x, y = a[i], b[j]
        if x == y:
            out[p] = x
            p += 1
        i += x <= y
        j += y <= x
    return exact(both, p)


def subtract(left, right) -> np.ndarray:
    """What is in `left` but not in `right`."""
    return diff(left, right)[0]


def pack(sizes, Py_ssize_t max_count, int64_t max_bytes, int64_t overhead=0) -> np.ndarray:
    """Split a sequence into the fewest messages that keep its order; int32 offsets, message k = [k] to [k + 1].

    `sizes` are bytes per entry with its separator; a message costs `overhead` bytes besides and holds at most
    `max_count` entries and `max_bytes` bytes. ValueError names an entry that fits no message. O(len(sizes)).
    """
    cdef object entries = int32_vector(sizes, "sizes")
    cdef Py_ssize_t count = len(entries)
    cdef const int32_t* size = ids_of(entries)
    cdef object offsets = new_ids(count + 1)
    cdef int32_t* out = new_ids_of(offsets)
    cdef Py_ssize_t i, start = 0, messages = 0
    cdef int64_t room
    if max_count < 1:
        raise ValueError(f"max_count must be at least 1, not {max_count}")
    if overhead < 0 or overhead > max_bytes:
        raise ValueError(f"overhead must be 0 to max_bytes ({max_bytes}), not {overhead}")
    cdef int64_t capacity = max_bytes - overhead
    room = capacity
    for i in range(count):
        if size[i] < 0 or size[i] > capacity:
            raise ValueError(f"entry {i} of {size[i]} bytes fits no message: {capacity} of {max_bytes} bytes are left")
        if size[i] > room or i - start >= max_count:
            messages += 1
            out[messages] = <int32_t>i
            start = i
            room = capacity
        room -= size[i]
    out[0] = 0
    if count > 0:
        messages += 1
        out[messages] = <int32_t>count
    return exact(offsets, messages + 1)


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
        """A link mostly carries its neighbours' neighbours too, so whole blocks of streams are listed at once."""
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
