# cython: language_level=3
"""What interests add up to per stream, and the edges between two looks at it.

A stream's class is the highest among its unpaused holders, its width the widest cut among their topics. Edges are
differences from the state at the previous take, so changes that cancel before it yield nothing.
"""

cimport cython
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memset

cimport numpy as cnp
import numpy as np

from _slots cimport subcore_prefetch
from subcore._arrays cimport int32_vector, new_ids, sort_ids
from subcore._streams cimport CLASS_COUNT, NOBODY, STREAM_LIVE, STREAM_TOUCHED, StreamRow, class_wanted
from subcore._topics cimport TopicExtra, TopicRow, width_wanted

cnp.import_array()


@cython.final
cdef class Edges:
    """Streams that differ from the previous take, each array sorted int32.

    `opened`: nobody -> somebody wants it; `closed`: the reverse; `changed`: still wanted, class or width differs.
    """
    cdef readonly object opened
    cdef readonly object closed
    cdef readonly object changed

    def __bool__(self) -> bool:
        return len(self.opened) > 0 or len(self.closed) > 0 or len(self.changed) > 0

    def __repr__(self) -> str:
        return f"Edges(opened={self.opened}, closed={self.closed}, changed={self.changed})"


cdef enum:
    EDGE_NONE = 0
    EDGE_OPENED = 1
    EDGE_CLOSED = 2
    EDGE_CHANGED = 3
    EDGE_KINDS = 4
    KIND_SHIFT = 28
    STREAM_BITS = 0x0FFF_FFFF               # the ledger allows 1 << 26 streams
    AHEAD = 8                               # streams between a prefetch and its use


cdef inline int edge_of(const StreamRow* row, const TopicRow* topics, const TopicExtra* extras) noexcept nogil:
    cdef int cls = class_wanted(row)
    if cls == NOBODY or row.taken_class == NOBODY:
        if cls == row.taken_class:
            return EDGE_NONE
        return EDGE_CLOSED if cls == NOBODY else EDGE_OPENED
    if cls != row.taken_class or width_wanted(row, topics, extras) != row.taken_width:
        return EDGE_CHANGED
    return EDGE_NONE


cdef class StreamCounts(TopicTable):
    """Counts per stream by class, and what changed since they were last taken."""

    @cython.nonecheck(False)
    cdef void judge_touched(self, int32_t* counts) noexcept nogil:
        """Write the kind of edge beside each touched stream (ids leave the upper bits free), and count the kinds."""
        cdef int32_t i
        cdef int kind
        cdef const StreamRow* row
        memset(counts, 0, EDGE_KINDS * sizeof(int32_t))
        for i in range(self.touched_count):
            if i + AHEAD < self.touched_count:
                subcore_prefetch(&self.streams[self.touched[i + AHEAD]])
            row = &self.streams[self.touched[i] & STREAM_BITS]
            kind = EDGE_NONE
            if row.flags & STREAM_LIVE:
                kind = edge_of(row, self.topic_rows, self.topic_extras)
            self.touched[i] = (self.touched[i] & STREAM_BITS) | (kind << KIND_SHIFT)
            counts[kind] += 1

    @cython.nonecheck(False)
    cdef void move_edges(self, int32_t** out) noexcept nogil:
        """Tell the judged edges and make the present state the one taken."""
        cdef int32_t i, stream
        cdef int kind
        cdef StreamRow* row
        for i in range(self.touched_count):
            stream = self.touched[i] & STREAM_BITS
            kind = self.touched[i] >> KIND_SHIFT
            row = &self.streams[stream]
            row.flags &= <uint8_t>~STREAM_TOUCHED
            if kind != EDGE_NONE:
                out[kind][0] = stream
                out[kind] += 1
                row.taken_class = <uint8_t>class_wanted(row)
                row.taken_width = <uint16_t>width_wanted(row, self.topic_rows, self.topic_extras)
        self.touched_count = 0

    def take_edges(self) -> Edges:
        """What differs from the previous take, which this call becomes. O(streams touched since)."""
        cdef int32_t counts[EDGE_KINDS]
        cdef int32_t* out[EDGE_KINDS]
        cdef Edges edges = Edges()      # may run the collector, so before anything is counted
        self.judge_touched(counts)
        edges.opened = new_ids(counts[EDGE_OPENED])
        edges.closed = new_ids(counts[EDGE_CLOSED])
        edges.changed = new_ids(counts[EDGE_CHANGED])
        out[EDGE_OPENED] = <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>edges.opened)
        out[EDGE_CLOSED] = <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>edges.closed)
        out[EDGE_CHANGED] = <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>edges.changed)
        self.move_edges(out)
        for kind in (edges.opened, edges.closed, edges.changed):
            sort_ids(kind)
        return edges

    @property
    def has_edges(self) -> bool:
        """Whether a stream was touched since the last take: what is read of it may be newer than that. O(1)."""
        return self.touched_count > 0

    def count(self, stream) -> int:
        """Interests of unpaused components in a stream. O(1)."""
        self.check_stream(stream)
        return self.wanted_of(stream)

    def class_of(self, stream) -> int:
        """Highest class among a stream's unpaused holders, -1 without any. O(1)."""
        self.check_stream(stream)
        cdef int cls = class_wanted(&self.streams[<Py_ssize_t>stream])
        return cls if cls != NOBODY else -1

    def width(self, stream) -> int:
        """Widest cut among a stream's topics that unpaused components hold; 0 = full. O(its topics)."""
        self.check_stream(stream)
        return width_wanted(&self.streams[<Py_ssize_t>stream], self.topic_rows, self.topic_extras)

    def class_counts(self, stream) -> tuple:
        """Interests of unpaused components in a stream, by class 0 to 3. O(1)."""
        self.check_stream(stream)
        cdef const uint32_t* wanted = self.streams[<Py_ssize_t>stream].wanted
        return wanted[0], wanted[1], wanted[2], wanted[3]

    def columns(self, streams) -> tuple:
        """(counts by class (n, 4), classes (n,), widths (n,)) of streams, as int32 arrays. O(len(streams)).

        A class is -1 where nobody unpaused holds the stream.
        """
        cdef cnp.ndarray ids = int32_vector(streams, "streams")
        cdef Py_ssize_t count = cnp.PyArray_DIM(ids, 0)
        cdef cnp.ndarray counts = np.empty((count, CLASS_COUNT), np.int32)
        cdef cnp.ndarray classes = new_ids(count)
        cdef cnp.ndarray widths = new_ids(count)
        cdef const int32_t* stream = <const int32_t*>cnp.PyArray_DATA(ids)
        cdef int32_t* out = <int32_t*>cnp.PyArray_DATA(counts)
        cdef int32_t* cls = <int32_t*>cnp.PyArray_DATA(classes)
        cdef int32_t* width = <int32_t*>cnp.PyArray_DATA(widths)
        cdef Py_ssize_t i
        cdef int k
        for i in range(count):
            self.check_stream(stream[i])
            for k in range(CLASS_COUNT):
                out[CLASS_COUNT * i + k] = <int32_t>self.streams[stream[i]].wanted[k]
            cls[i] = class_wanted(&self.streams[stream[i]])
            if cls[i] == NOBODY:
                cls[i] = -1
            width[i] = width_wanted(&self.streams[stream[i]], self.topic_rows, self.topic_extras)
        return counts, classes, widths

    def wanted_streams(self) -> np.ndarray:
        """Streams that an unpaused component holds, sorted, as an int32 array. O(all streams)."""
        cdef cnp.ndarray ids = new_ids(self.live_streams)
        cdef int32_t* out = <int32_t*>cnp.PyArray_DATA(ids)
        cdef int32_t stream
        cdef Py_ssize_t found = 0
        for stream in range(self.stream_used):
            if self.streams[stream].flags & STREAM_LIVE and self.wanted_of(stream):
                out[found] = stream
                found += 1
        return ids[:found].copy()
