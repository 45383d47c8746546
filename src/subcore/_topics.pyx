# cython: language_level=3
"""Topics as dense ids: (stream, cut) -> topic.

Bounded; ids are reused with a new generation. A row also carries what the ledger counts, so that counting an interest
touches one line of topics.
"""

cimport cython
from cpython.mem cimport PyMem_Free
from libc.stdint cimport int32_t, uint16_t
from libc.string cimport memcpy

cimport numpy as cnp
import numpy as np

from subcore._arrays cimport int32_vector, new_block, new_ids
from subcore._streams cimport (
    NOBODY, STREAM_HAS_CUTS, StreamRow, check_part, check_symbol, key_of, next_generation, next_room,
)
from subcore.errors import CapacityError

cnp.import_array()


cdef Py_ssize_t find_all(TopicTable table, int channel, int variant, int cut, const int32_t* symbols, int32_t* topics,
                         Py_ssize_t count, Py_ssize_t* missing_streams) noexcept nogil:
    """The topics of these symbols, -1 where there is none; how many there are not. Runs no foreign code."""
    cdef Py_ssize_t missing_topics = 0
    cdef Py_ssize_t i
    missing_streams[0] = 0
    table.find_streams(channel, variant, symbols, topics, count)
    for i in range(count):
        missing_streams[0] += topics[i] < 0
        topics[i] = table.find_topic(topics[i], cut) if topics[i] >= 0 else -1
        missing_topics += topics[i] < 0
    return missing_topics


cdef class TopicTable(StreamTable):
    """Base of the ledger: makes, finds and frees streams and topics. Limits are set by the ledger."""

    def __cinit__(self):
        self.free_topic = -1

    def __dealloc__(self):
        PyMem_Free(self.topic_rows)
        PyMem_Free(self.topic_extras)

    @cython.nonecheck(False)
    cdef int32_t find_topic(self, int32_t stream, int cut) noexcept nogil:
        """Topic id of a live stream or -1: a walk over the few cuts the stream has."""
        cdef const StreamRow* row = &self.streams[stream]
        cdef int32_t topic = row.first_topic
        if not row.flags & STREAM_HAS_CUTS:       # at most the one topic of cut 0
            return topic if cut == 0 else -1
        while topic >= 0 and self.topic_extras[topic].cut != cut:
            topic = self.topic_extras[topic].next
        return topic

    cdef int32_t stream_of(self, int32_t topic) noexcept nogil:
        """Stream of a topic; -1 where the id is free or never was."""
        if topic < 0 or topic >= self.topic_used:
            return -1
        return self.topic_rows[topic].stream

    @cython.nonecheck(False)
    cdef int cut_of(self, int32_t topic) noexcept nogil:
        """Cut of a live topic."""
        if not self.streams[self.topic_rows[topic].stream].flags & STREAM_HAS_CUTS:
            return 0
        return self.topic_extras[topic].cut

    cdef int check_topic(self, Py_ssize_t topic) except -1:
        if topic < 0 or topic >= self.topic_used or self.topic_rows[topic].stream < 0:
            raise IndexError(f"no topic has id {topic}: it was never made, or has been released")
        return 0

    cdef int check_topic_room(self, Py_ssize_t extra) except -1:
        if extra > self.topic_limit - self.live_topics:
            raise CapacityError(
                f"the ledger is full: {extra} new topics, {self.topic_limit - self.live_topics} of "
                f"{self.topic_limit} places left; subscribe to fewer, or make it with larger max_topics"
            )
        return 0

    cdef int reserve_topics(self, Py_ssize_t extra) except -1:
        """Room for `extra` more topics, or CapacityError or MemoryError with nothing changed."""
        cdef Py_ssize_t room
        self.check_topic_room(extra)
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
        return self.stream_bytes() + <size_t>self.topic_room * (sizeof(TopicRow) + sizeof(TopicExtra))

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
        cdef Py_ssize_t missing_streams, missing_topics
        cdef const int32_t* symbol = <const int32_t*>cnp.PyArray_DATA(wanted)
        cdef int32_t* out = <int32_t*>cnp.PyArray_DATA(topics)
        cdef Py_ssize_t i
        cdef int32_t stream
        for i in range(count):
            if symbol[i] < 0:
                check_symbol(symbol[i])
        if find_all(self, channel, variant, cut, symbol, out, count, &missing_streams) == 0:
            return topics
        unique = np.unique(wanted)
        if unique.size != count:      # a symbol twice must not ask for room twice
            self.topics(channel, unique, variant, cut)
            return self.topics(channel, wanted, variant, cut)
        # Once more: a destructor that ran in between may have made some of them, or let some go.
        missing_topics = find_all(self, channel, variant, cut, symbol, out, count, &missing_streams)
        self.check_stream_room(missing_streams)
        self.check_topic_room(missing_topics)
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
        self.drop_stream(freed)

    def topic_generation(self, topic) -> int:
        """How often a topic id has been released; IndexError if it never was in use."""
        cdef Py_ssize_t at = topic
        if at < 0 or at >= self.topic_used:
            raise IndexError(f"no topic ever had id {topic}")
        return self.topic_extras[at].generation

    @property
    def topic_count(self) -> int:
        """Topics in use, held or not."""
        return self.live_topics
