# cython: language_level=3
"""C face of the counts per stream and their edges."""

cimport cython
from libc.stdint cimport int32_t

from subcore._streams cimport STREAM_TOUCHED, StreamRow
from subcore._topics cimport TopicRow, TopicTable

cdef class StreamCounts(TopicTable):
    cdef void judge_touched(self, int32_t* counts) noexcept nogil
    cdef void move_edges(self, int32_t** out) noexcept nogil


# A class or width is another only once a count of interests has come from nothing or gone to nothing: nothing else
# makes a stream one to look at.


@cython.nonecheck(False)
cdef inline void touch(TopicTable table, int32_t stream) noexcept nogil:
    if not table.streams[stream].flags & STREAM_TOUCHED:
        table.streams[stream].flags |= STREAM_TOUCHED
        table.touched[table.touched_count] = stream
        table.touched_count += 1


@cython.nonecheck(False)
cdef inline void count_in(TopicTable table, int32_t topic, int cls, bint paused) noexcept nogil:
    cdef TopicRow* row = &table.topic_rows[topic]
    cdef StreamRow* stream = &table.streams[row.stream]
    if paused:
        table.topic_extras[topic].paused += 1
        stream.paused += 1
        return
    if row.wanted == 0 or stream.wanted[cls] == 0:
        touch(table, row.stream)
    row.wanted += 1
    stream.wanted[cls] += 1


@cython.nonecheck(False)
cdef inline void count_out(TopicTable table, int32_t topic, int cls, bint paused) noexcept nogil:
    cdef TopicRow* row = &table.topic_rows[topic]
    cdef StreamRow* stream = &table.streams[row.stream]
    if paused:
        table.topic_extras[topic].paused -= 1
        stream.paused -= 1
        return
    row.wanted -= 1
    stream.wanted[cls] -= 1
    if row.wanted == 0 or stream.wanted[cls] == 0:
        touch(table, row.stream)
