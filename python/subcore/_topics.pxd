# cython: language_level=3
"""C face of the table of streams and topics."""

from libc.stdint cimport int32_t, uint16_t, uint32_t

from subcore._streams cimport STREAM_HAS_CUTS, StreamRow, StreamTable

cdef struct TopicRow:         # 8 bytes: what counting an interest touches
    int32_t stream            # -1 = free
    uint32_t wanted           # interests of unpaused components

cdef struct TopicExtra:
    int32_t next              # next topic of the stream; next free id where the topic is free
    uint32_t paused           # interests of paused components
    uint32_t generation
    uint16_t cut
    uint16_t reserved

cdef class TopicTable(StreamTable):
    cdef TopicRow* topic_rows
    cdef TopicExtra* topic_extras
    cdef int32_t topic_room, topic_used, live_topics, topic_limit, free_topic

    cdef int32_t find_topic(self, int32_t stream, int cut) noexcept nogil
    cdef int32_t stream_of(self, int32_t topic) noexcept nogil
    cdef int cut_of(self, int32_t topic) noexcept nogil

    cdef int check_topic_room(self, Py_ssize_t extra) except -1
    cdef int reserve_topics(self, Py_ssize_t extra) except -1
    cdef int32_t commit_topic(self, int32_t stream, int cut) noexcept nogil
    cdef void drop_topic(self, int32_t topic) noexcept nogil
    cdef int check_topic(self, Py_ssize_t topic) except -1
    cdef size_t table_bytes(self) noexcept nogil


cdef inline int width_wanted(const StreamRow* row, const TopicRow* topics, const TopicExtra* extras) noexcept nogil:
    """Widest cut among topics that unpaused components hold; 0 = full, and without any."""
    cdef int32_t topic = row.first_topic
    cdef int width = 0
    if not row.flags & STREAM_HAS_CUTS:
        return 0
    while topic >= 0:
        if topics[topic].wanted:
            if extras[topic].cut == 0:
                return 0
            width = max(width, <int>extras[topic].cut)
        topic = extras[topic].next
    return width
