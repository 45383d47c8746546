# cython: language_level=3
"""Streams as dense ids: (channel, symbol, variant) -> stream.

Bounded; ids are reused with a new generation. A row also carries what the ledger counts, so that counting an interest
touches one line of streams.
"""

cimport cython
from cpython.mem cimport PyMem_Free
from libc.stdint cimport int32_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy

from _slots cimport (
    subcore_home, subcore_next, subcore_prefetch, subcore_slot_drop, subcore_slot_id,
    subcore_slot_move_all, subcore_slot_put, subcore_slot_tag,
)
from subcore._arrays cimport new_block
from subcore.errors import CapacityError

cdef extern from "_hash.h" nogil:
    uint64_t subcore_hash_word(uint64_t word, uint64_t seed) noexcept

cdef enum:
    ROW_ALIGNMENT = 32
    BATCH = 64                    # look-ups whose memory is on its way at once


cdef uint64_t key_of(int channel, int32_t symbol, int variant) noexcept nogil:
    return (<uint64_t>channel << 48) | (<uint64_t>variant << 32) | <uint64_t>symbol


cdef uint32_t tag_of(uint64_t key, uint64_t seed) noexcept nogil:
    return <uint32_t>(subcore_hash_word(key, seed) >> 32)


cdef int check_part(Py_ssize_t value, str what) except -1:
    if value < 0 or value > LARGEST_PART:
        raise ValueError(f"{what} must be 0 to {LARGEST_PART}, not {value}")
    return 0


cdef int check_symbol(Py_ssize_t symbol) except -1:
    if symbol < 0 or symbol > 0x7FFF_FFFF:
        raise ValueError(f"a symbol id must be 0 to {0x7FFF_FFFF}, not {symbol}")
    return 0


cdef Py_ssize_t next_room(Py_ssize_t room, Py_ssize_t needed, Py_ssize_t limit) noexcept nogil:
    cdef Py_ssize_t grown = room + room // 2
    if grown < needed:
        grown = needed
    if grown < SMALLEST_ROOM:
        grown = SMALLEST_ROOM
    return grown if grown < limit else limit


cdef class StreamTable:
    """Base of the table of topics: makes and finds streams. The limit is set by the ledger."""

    def __cinit__(self):
        self.free_stream = -1

    def __dealloc__(self):
        PyMem_Free(self.streams_block)
        PyMem_Free(self.keys)
        PyMem_Free(self.slots)
        PyMem_Free(self.touched)

    cdef void find_streams(self, int channel, int variant, const int32_t* symbols, int32_t* out,
                           Py_ssize_t count) noexcept nogil:
        """Stream ids or -1 of checked parts and symbols; never grows. The memory of a batch is fetched in one wait."""
        cdef const uint64_t* slots = self.slots
        cdef uint32_t slot_count = self.slot_count
        cdef uint64_t seed = self.seed
        cdef uint64_t key = key_of(channel, 0, variant)       # each symbol's but for the symbol
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t i, size
        cdef uint32_t tags[BATCH]
        cdef uint64_t slot
        cdef int32_t stream
        if slot_count == 0:
            for i in range(count):
                out[i] = -1
            return
        while start < count:
            size = min(count - start, <Py_ssize_t>BATCH)
            for i in range(size):
                tags[i] = tag_of(key | <uint64_t>symbols[start + i], seed)
                subcore_prefetch(&slots[subcore_home(tags[i], slot_count)])
            for i in range(size):
                stream = subcore_slot_id(slots[subcore_home(tags[i], slot_count)])
                if stream >= 0:
                    subcore_prefetch(&self.keys[stream])
                    subcore_prefetch(&self.streams[stream])
            for i in range(size):
                slot = slots[subcore_home(tags[i], slot_count)]
                stream = subcore_slot_id(slot)
                if stream >= 0 and (
                    subcore_slot_tag(slot) != tags[i] or self.keys[stream] != key | <uint64_t>symbols[start + i]
                ):
                    stream = self.find_tagged(tags[i], key | <uint64_t>symbols[start + i])
                out[start + i] = stream
            start += size

    cdef int32_t find_stream(self, int channel, int32_t symbol, int variant) noexcept nogil:
        """Stream id or -1; never grows. One line of slots, one of keys."""
        if symbol < 0 or channel < 0 or channel > LARGEST_PART or variant < 0 or variant > LARGEST_PART:
            return -1
        return self.find_key(key_of(channel, symbol, variant))

    cdef int32_t find_key(self, uint64_t key) noexcept nogil:
        return self.find_tagged(tag_of(key, self.seed), key)

    cdef int32_t find_tagged(self, uint32_t tag, uint64_t key) noexcept nogil:
        cdef uint32_t slot_count = self.slot_count
        cdef uint32_t at = subcore_home(tag, slot_count)
        cdef uint32_t _step
        cdef int32_t stream
        for _step in range(slot_count):
            stream = subcore_slot_id(self.slots[at])
            if stream < 0:
                return -1
            if subcore_slot_tag(self.slots[at]) == tag and self.keys[stream] == key:
                return stream
            at = subcore_next(at, slot_count)
        return -1

    cdef uint32_t wanted_of(self, int32_t stream) noexcept nogil:
        """Interests of unpaused components in a live stream."""
        cdef const uint32_t* wanted = self.streams[stream].wanted
        return wanted[0] + wanted[1] + wanted[2] + wanted[3]

    cdef int check_stream(self, Py_ssize_t stream) except -1:
        if stream < 0 or stream >= self.stream_used or not self.streams[stream].flags & STREAM_LIVE:
            raise IndexError(f"no stream has id {stream}: it was never made, or has been released")
        return 0

    cdef int check_stream_room(self, Py_ssize_t extra) except -1:
        if extra > self.stream_limit - self.live_streams:
            raise CapacityError(
                f"the ledger is full: {extra} new streams, {self.stream_limit - self.live_streams} of "
                f"{self.stream_limit} places left; subscribe to fewer, or make it with larger max_streams"
            )
        return 0

    cdef int reserve_streams(self, Py_ssize_t extra) except -1:
        """Room for `extra` more streams, or CapacityError or MemoryError with nothing changed."""
        cdef Py_ssize_t room
        self.check_stream_room(extra)
        if extra <= self.stream_room - self.live_streams:
            return 0
        room = next_room(self.stream_room, self.live_streams + extra, self.stream_limit)
        cdef void* block = NULL
        cdef uint64_t* keys = NULL
        cdef uint64_t* slots = NULL
        cdef int32_t* touched = NULL
        try:
            block = new_block(room * sizeof(StreamRow) + ROW_ALIGNMENT, "streams")
            keys = <uint64_t*>new_block(room * sizeof(uint64_t), "stream keys")
            slots = <uint64_t*>new_block(2 * room * sizeof(uint64_t), "the stream index")
            touched = <int32_t*>new_block(room * sizeof(int32_t), "touched streams")
        except MemoryError:
            PyMem_Free(block)
            PyMem_Free(keys)
            PyMem_Free(slots)
            raise
        self.move_streams(block, keys, slots, touched, <int32_t>room)
        return 0

    cdef void move_streams(self, void* block, uint64_t* keys, uint64_t* slots, int32_t* touched,
                           int32_t room) noexcept:
        cdef StreamRow* rows = <StreamRow*>((<uintptr_t>block + ROW_ALIGNMENT - 1) // ROW_ALIGNMENT * ROW_ALIGNMENT)
        if self.stream_used:
            memcpy(rows, self.streams, self.stream_used * sizeof(StreamRow))
            memcpy(keys, self.keys, self.stream_used * sizeof(uint64_t))
            memcpy(touched, self.touched, self.touched_count * sizeof(int32_t))
        subcore_slot_move_all(slots, <uint32_t>(2 * room), self.slots, self.slot_count)
        PyMem_Free(self.streams_block)
        PyMem_Free(self.keys)
        PyMem_Free(self.slots)
        PyMem_Free(self.touched)
        self.streams_block, self.streams, self.keys, self.touched = block, rows, keys, touched
        self.slots, self.slot_count, self.stream_room = slots, <uint32_t>(2 * room), room

    @cython.nonecheck(False)
    cdef int32_t commit_stream(self, uint64_t key) noexcept nogil:
        """A new stream, for which there is room; cannot fail."""
        cdef int32_t stream = self.free_stream
        cdef StreamRow* row
        if stream >= 0:
            self.free_stream = self.streams[stream].first_topic
        else:
            stream = self.stream_used
            self.stream_used += 1
        row = &self.streams[stream]
        row.first_topic = -1
        row.taken_class = NOBODY
        row.taken_width = 0
        row.flags |= STREAM_LIVE      # may still stand in the list of touched streams
        self.keys[stream] = key
        subcore_slot_put(self.slots, self.slot_count, tag_of(key, self.seed), stream)
        self.live_streams += 1
        return stream

    @cython.nonecheck(False)
    cdef void drop_stream(self, int32_t stream) noexcept nogil:
        """Free a stream whose topics are gone."""
        cdef StreamRow* row = &self.streams[stream]
        subcore_slot_drop(self.slots, self.slot_count, tag_of(self.keys[stream], self.seed), stream)
        row.flags &= STREAM_TOUCHED
        row.generation = next_generation(row.generation)
        row.first_topic = self.free_stream
        self.free_stream = stream
        self.live_streams -= 1

    cdef size_t stream_bytes(self) noexcept nogil:
        cdef size_t stream = sizeof(StreamRow) + 3 * sizeof(uint64_t) + sizeof(int32_t)
        return <size_t>self.stream_room * stream + (ROW_ALIGNMENT if self.stream_room else 0)

    def stream(self, int channel, symbol, int variant=0) -> int:
        """Id of the stream (channel, symbol, variant), new if unknown. CapacityError if full. O(1)."""
        check_part(channel, "a channel")
        check_part(variant, "a variant")
        check_symbol(symbol)
        cdef int32_t known = self.find_stream(channel, symbol, variant)
        if known >= 0:
            return known
        self.reserve_streams(1)
        return self.commit_stream(key_of(channel, symbol, variant))

    def get_stream(self, channel, symbol, variant=0) -> int:
        """Id of the stream (channel, symbol, variant), or -1. Never grows. O(1)."""
        if not (0 <= channel <= LARGEST_PART and 0 <= variant <= LARGEST_PART and 0 <= symbol <= 0x7FFF_FFFF):
            return -1
        return self.find_stream(channel, symbol, variant)

    def stream_key(self, stream) -> tuple:
        """(channel, symbol, variant) of a stream."""
        cdef int32_t at = stream
        self.check_stream(at)
        cdef uint64_t key = self.keys[at]
        return <int>(key >> 48), <int>(key & 0xFFFF_FFFF), <int>((key >> 32) & LARGEST_PART)

    def stream_generation(self, stream) -> int:
        """How often a stream id has been released; IndexError if it never was in use."""
        cdef Py_ssize_t at = stream
        if at < 0 or at >= self.stream_used:
            raise IndexError(f"no stream ever had id {stream}")
        return self.streams[at].generation

    @property
    def stream_count(self) -> int:
        """Streams in use, held or not."""
        return self.live_streams
