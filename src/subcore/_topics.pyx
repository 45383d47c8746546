# cython: language_level=3
"""Streams and topics as dense ids: (channel, symbol, variant) -> stream, (stream, cut) -> topic.

Bounded; ids are reused with a new generation. The rows also carry what the ledger counts, so that counting an
interest touches one line of topics and one of streams.
"""

cimport cython
from cpython.mem cimport PyMem_Free
from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy

cimport numpy as cnp
import numpy as np

from subcore._arrays cimport int32_vector, new_block, new_ids
from subcore.errors import CapacityError

cnp.import_array()

cdef extern from "_hash.h" nogil:
    uint64_t subcore_hash_word(uint64_t word, uint64_t seed) noexcept

cdef extern from "_slots.h" nogil:
    uint32_t subcore_home(uint32_t tag, uint32_t slot_count) noexcept
    uint32_t subcore_next(uint32_t at, uint32_t slot_count) noexcept
    int32_t subcore_slot_id(uint64_t slot) noexcept
    uint32_t subcore_slot_tag(uint64_t slot) noexcept
    void subcore_slot_put(uint64_t* slots, uint32_t slot_count, uint32_t tag, int32_t id) noexcept
    void subcore_slot_move_all(uint64_t* to, uint32_t to_count, const uint64_t* source, uint32_t count) noexcept
    void subcore_slot_drop(uint64_t* slots, uint32_t slot_count, uint32_t tag, int32_t id) noexcept

cdef enum:
    ROW_ALIGNMENT = 32
    SMALLEST_ROOM = 8
    LARGEST_PART = 0xFFFF         # of a key: channel, variant, cut


cdef inline uint64_t key_of(int channel, int32_t symbol, int variant) noexcept nogil:
    return (<uint64_t>channel << 48) | (<uint64_t>variant << 32) | <uint64_t>symbol


cdef inline uint32_t tag_of(uint64_t key, uint64_t seed) noexcept nogil:
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


cdef class TopicTable:
    """Base of the ledger: makes, finds and frees streams and topics. Limits are set by the ledger."""

    def __cinit__(self):
        self.free_stream = -1
        self.free_topic = -1

    def __dealloc__(self):
        PyMem_Free(self.streams_block)
        PyMem_Free(self.keys)
        PyMem_Free(self.slots)
        PyMem_Free(self.touched)
        PyMem_Free(self.topic_rows)
        PyMem_Free(self.topic_extras)

    cdef int32_t find_stream(self, int channel, int32_t symbol, int variant) noexcept nogil:
        """Stream id or -1; never grows. One line of slots, one of keys."""
        if symbol < 0 or channel < 0 or channel > LARGEST_PART or variant < 0 or variant > LARGEST_PART:
            return -1
        return self.find_key(key_of(channel, symbol, variant))

    cdef int32_t find_key(self, uint64_t key) noexcept nogil:
        cdef uint32_t slot_count = self.slot_count
        cdef uint32_t tag = tag_of(key, self.seed)
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

    cdef int32_t find_topic(self, int32_t stream, int cut) noexcept nogil:
        """Topic id of a live stream or -1: a walk over the few cuts the stream has."""
        cdef int32_t topic = self.streams[stream].first_topic
        while topic >= 0 and self.topic_extras[topic].cut != cut:
            topic = self.topic_extras[topic].next
        return topic

    cdef int32_t stream_of(self, int32_t topic) noexcept nogil:
        """Stream of a topic; -1 where the id is free or never was."""
        if topic < 0 or topic >= self.topic_used:
            return -1
        return self.topic_rows[topic].stream

    cdef int cut_of(self, int32_t topic) noexcept nogil:
        """Cut of a live topic."""
        return self.topic_extras[topic].cut

    cdef uint32_t wanted_of(self, int32_t stream) noexcept nogil:
        """Interests of unpaused components in a live stream."""
        cdef const uint32_t* wanted = self.streams[stream].wanted
        return wanted[0] + wanted[1] + wanted[2] + wanted[3]

    cdef int check_stream(self, Py_ssize_t stream) except -1:
        if stream < 0 or stream >= self.stream_used or not self.streams[stream].flags & STREAM_LIVE:
            raise IndexError(f"no stream has id {stream}: it was never made, or has been released")
        return 0

    cdef int check_topic(self, Py_ssize_t topic) except -1:
        if topic < 0 or topic >= self.topic_used or self.topic_rows[topic].stream < 0:
            raise IndexError(f"no topic has id {topic}: it was never made, or has been released")
        return 0

    cdef int check_room(self, Py_ssize_t streams, Py_ssize_t topics) except -1:
        if streams > self.stream_limit - self.live_streams:
            raise CapacityError(
                f"the ledger is full: {streams} new streams, {self.stream_limit - self.live_streams} of "
                f"{self.stream_limit} places left; subscribe to fewer, or make it with larger max_streams"
            )
        if topics > self.topic_limit - self.live_topics:
            raise CapacityError(
                f"the ledger is full: {topics} new topics, {self.topic_limit - self.live_topics} of "
                f"{self.topic_limit} places left; subscribe to fewer, or make it with larger max_topics"
            )
        return 0

    cdef int reserve_streams(self, Py_ssize_t extra) except -1:
        """Room for `extra` more streams, or CapacityError or MemoryError with nothing changed."""
        cdef Py_ssize_t room
        self.check_room(extra, 0)
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

    cdef int reserve_topics(self, Py_ssize_t extra) except -1:
        """Room for `extra` more topics, or CapacityError or MemoryError with nothing changed."""
        cdef Py_ssize_t room
        self.check_room(0, extra)
        if extra <= self.topic_room - self.live_topics:
            return 0
        room = next_room(self.topic_room, self.live_topics + extra, self.topic_limit)
        cdef TopicRow* rows = <TopicRow*>new_block(room * sizeof(TopicRow), "topics")
        cdef TopicExtra* extras
        try:
            extras = <TopicExtra*>new_block(room * sizeof(TopicExtra), "topics")
        except MemoryError:
            PyMem_Free(rows)
            raise
        if self.topic_used:
            memcpy(rows, self.topic_rows, self.topic_used * sizeof(TopicRow))
            memcpy(extras, self.topic_extras, self.topic_used * sizeof(TopicExtra))
        PyMem_Free(self.topic_rows)
        PyMem_Free(self.topic_extras)
        self.topic_rows, self.topic_extras, self.topic_room = rows, extras, <int32_t>room
        return 0

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
    cdef int32_t commit_topic(self, int32_t stream, int cut) noexcept nogil:
        """A new topic of a stream, for which there is room; cannot fail."""
        cdef int32_t topic = self.free_topic
        if topic >= 0:
            self.free_topic = self.topic_extras[topic].next
        else:
            topic = self.topic_used
            self.topic_used += 1
        self.topic_rows[topic].stream = stream
        self.topic_extras[topic].cut = <uint16_t>cut
        self.topic_extras[topic].next = self.streams[stream].first_topic
        self.streams[stream].first_topic = topic
        if cut != 0:
            self.streams[stream].flags |= STREAM_HAS_CUTS
        self.live_topics += 1
        return topic

    @cython.nonecheck(False)
    cdef void drop_topic(self, int32_t topic) noexcept nogil:
        """Free a topic that is already out of its stream's list."""
        self.topic_rows[topic].stream = -1
        self.topic_extras[topic].next = self.free_topic
        self.topic_extras[topic].generation = next_generation(self.topic_extras[topic].generation)
        self.free_topic = topic
        self.live_topics -= 1

    cdef size_t table_bytes(self) noexcept nogil:
        cdef size_t stream = sizeof(StreamRow) + 3 * sizeof(uint64_t) + sizeof(int32_t)
        cdef size_t topics = <size_t>self.topic_room * (sizeof(TopicRow) + sizeof(TopicExtra))
        return <size_t>self.stream_room * stream + (ROW_ALIGNMENT if self.stream_room else 0) + topics

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
        self.check_stream(stream)
        cdef uint64_t key = self.keys[<Py_ssize_t>stream]
        return <int>(key >> 48), <int>(key & 0xFFFF_FFFF), <int>((key >> 32) & LARGEST_PART)

    def topic(self, stream, int cut=0) -> int:
        """Id of the topic (stream, cut), new if unknown. CapacityError if full. O(cuts of the stream)."""
        self.check_stream(stream)
        check_part(cut, "a cut")
        cdef int32_t known = self.find_topic(stream, cut)
        if known >= 0:
            return known
        self.reserve_topics(1)
        return self.commit_topic(stream, cut)

    def topic_key(self, topic) -> tuple:
        """(stream, cut) of a topic."""
        self.check_topic(topic)
        return self.topic_rows[<Py_ssize_t>topic].stream, self.topic_extras[<Py_ssize_t>topic].cut

    def topics_of_stream(self, stream) -> np.ndarray:
        """Topics of a stream, held or not, sorted, as an int32 array. O(its topics)."""
        self.check_stream(stream)
        topics = []
        cdef int32_t topic = self.streams[<Py_ssize_t>stream].first_topic
        while topic >= 0:
            topics.append(topic)
            topic = self.topic_extras[topic].next
        return np.array(sorted(topics), np.int32)

    def topics(self, int channel, symbols, int variant=0, int cut=0) -> np.ndarray:
        """Topic ids of (channel, each symbol, variant, cut) in order, as an int32 array; all or none.

        Makes the streams and topics that are missing. CapacityError names what is full. O(len(symbols)).
        """
        check_part(channel, "a channel")
        check_part(variant, "a variant")
        check_part(cut, "a cut")
        cdef cnp.ndarray wanted = int32_vector(symbols, "symbols")
        cdef Py_ssize_t count = cnp.PyArray_DIM(wanted, 0)
        cdef cnp.ndarray topics = new_ids(count)
        cdef Py_ssize_t missing_streams = 0
        cdef Py_ssize_t missing_topics = 0
        cdef const int32_t* symbol = <const int32_t*>cnp.PyArray_DATA(wanted)
        cdef int32_t* out = <int32_t*>cnp.PyArray_DATA(topics)
        cdef Py_ssize_t i
        cdef int32_t stream
        for i in range(count):
            check_symbol(symbol[i])
            stream = self.find_stream(channel, symbol[i], variant)
            out[i] = self.find_topic(stream, cut) if stream >= 0 else -1
            missing_streams += stream < 0
            missing_topics += out[i] < 0
        if missing_topics == 0:
            return topics
        unique = np.unique(wanted)
        if unique.size != count:      # a symbol twice must not ask for room twice
            self.topics(channel, unique, variant, cut)
            return self.topics(channel, wanted, variant, cut)
        self.check_room(missing_streams, missing_topics)
        self.reserve_streams(missing_streams)
        self.reserve_topics(missing_topics)
        for i in range(count):
            if out[i] < 0:
                stream = self.find_stream(channel, symbol[i], variant)
                if stream < 0:
                    stream = self.commit_stream(key_of(channel, symbol[i], variant))
                out[i] = self.commit_topic(stream, cut)
        return topics

    def release_topic(self, topic) -> None:
        """Free a topic that nobody holds; its id comes back with a new generation. O(cuts of its stream).

        ValueError while it is held.
        """
        self.check_topic(topic)
        cdef int32_t freed = topic
        if self.topic_rows[freed].wanted or self.topic_extras[freed].paused:
            raise ValueError(f"topic {topic} is still held: remove its interests first")
        cdef int32_t* link = &self.streams[self.topic_rows[freed].stream].first_topic
        while link[0] != freed:
            link = &self.topic_extras[link[0]].next
        link[0] = self.topic_extras[freed].next
        self.drop_topic(freed)

    def release_stream(self, stream) -> None:
        """Free a stream that nobody holds, and its topics; ids come back with new generations.

        For the engine, once nothing on the wire uses the stream. ValueError while it is held (paused interests
        count) or while its closing has not been taken.
        """
        self.check_stream(stream)
        cdef int32_t freed = stream
        cdef StreamRow* row = &self.streams[freed]
        cdef int32_t topic
        if self.wanted_of(freed) or row.paused:
            raise ValueError(f"stream {stream} is still held: remove its interests first")
        if row.taken_class != NOBODY:
            raise ValueError(f"the closing of stream {stream} has not been taken: call take_edges() first")
        while row.first_topic >= 0:
            topic = row.first_topic
            row.first_topic = self.topic_extras[topic].next
            self.drop_topic(topic)
        subcore_slot_drop(self.slots, self.slot_count, tag_of(self.keys[freed], self.seed), freed)
        row.flags &= STREAM_TOUCHED
        row.generation = next_generation(row.generation)
        row.first_topic = self.free_stream
        self.free_stream = freed
        self.live_streams -= 1

    def stream_generation(self, stream) -> int:
        """How often a stream id has been released; IndexError if it never was in use."""
        cdef Py_ssize_t at = stream
        if at < 0 or at >= self.stream_used:
            raise IndexError(f"no stream ever had id {stream}")
        return self.streams[at].generation

    def topic_generation(self, topic) -> int:
        """How often a topic id has been released; IndexError if it never was in use."""
        cdef Py_ssize_t at = topic
        if at < 0 or at >= self.topic_used:
            raise IndexError(f"no topic ever had id {topic}")
        return self.topic_extras[at].generation

    @property
    def stream_count(self) -> int:
        """Streams in use, held or not."""
        return self.live_streams

    @property
    def topic_count(self) -> int:
        """Topics in use, held or not."""
        return self.live_topics
