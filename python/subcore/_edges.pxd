# cython: language_level=3
"""C face of the counts per stream and their edges."""

cimport cython
from libc.stdint cimport int32_t

from subcore._topics cimport STREAM_TOUCHED, TopicTable

cdef class StreamCounts(TopicTable):
    cdef void judge_touched(self, int32_t* counts) noexcept nogil
    cdef void move_edges(self, int32_t** out) noexcept nogil


@cython.nonecheck(False)
cdef inline void touch(TopicTable table, int32_t stream) noexcept nogil:
    if not table.streams[stream].flags & STREAM_TOUCHED:
        table.streams[stream].flags |= STREAM_TOUCHED
        table.touched[table.touched_count] = stream
        table.touched_count += 1


@cython.nonecheck(False)
cdef inline void count_in(TopicTable table, int32_t topic, int cls, bint paused) noexcept nogil:
    cdef int32_t stream = table.topic_rows[topic].stream
    if paused:
        table.topic_extras[topic].paused += 1
        table.streams[stream].paused += 1
    else:
        table.topic_rows[topic].wanted += 1
        table.streams[stream].wanted[cls] += 1
        touch(table, stream)


@cython.nonecheck(False)
cdef inline void count_out(TopicTable table, int32_t topic, int cls, bint paused) noexcept nogil:
    cdef int32_t stream = table.topic_rows[topic].stream
    if paused:
        table.topic_extras[topic].paused -= 1
        table.streams[stream].paused -= 1
    else:
        table.topic_rows[topic].wanted -= 1
        table.streams[stream].wanted[cls] -= 1
        touch(table, stream)
