# cython: language_level=3
"""C face of the table of streams."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    CLASS_COUNT = 4
    LARGEST_PART = 0xFFFF     # of a key: channel, variant; and of a topic: cut
    SMALLEST_ROOM = 8
    NOBODY = 255              # in place of a class: no unpaused holder

cdef enum StreamFlag:
    STREAM_LIVE = 1
    STREAM_TOUCHED = 2        # stands in the list of streams touched since the last take
    STREAM_HAS_CUTS = 4       # has had a topic whose cut is not 0; without any, its width needs no walk

cdef struct StreamRow:        # 32 bytes, never across a cache line: what counting an interest touches
    uint32_t wanted[4]        # interests of unpaused components, by class
    uint32_t paused           # interests of paused components
    int32_t first_topic       # newest topic, -1 = none; next free id where the stream is free
    uint32_t generation
    uint16_t taken_width      # as of the last take
    uint8_t taken_class       # as of the last take; NOBODY = closed
    uint8_t flags

cdef class StreamTable:
    cdef StreamRow* streams
    cdef void* streams_block      # what was allocated; streams is its first aligned row
    cdef uint64_t* keys           # channel << 48 | variant << 32 | symbol
    cdef uint64_t* slots          # {hash bits of the key, stream + 1}
    cdef int32_t* touched         # room for every stream
    cdef uint64_t seed
    cdef uint32_t slot_count
    cdef int32_t stream_room, stream_used, live_streams, stream_limit, free_stream
    cdef int32_t touched_count

    cdef int32_t find_stream(self, int channel, int32_t symbol, int variant) noexcept nogil
    cdef void find_streams(self, int channel, int variant, const int32_t* symbols, int32_t* out,
                           Py_ssize_t count) noexcept nogil
    cdef uint32_t wanted_of(self, int32_t stream) noexcept nogil

    cdef int32_t find_key(self, uint64_t key) noexcept nogil
    cdef int32_t find_tagged(self, uint32_t tag, uint64_t key) noexcept nogil
    cdef void move_streams(self, void* block, uint64_t* keys, uint64_t* slots, int32_t* touched,
                           int32_t room) noexcept
    cdef int check_stream_room(self, Py_ssize_t extra) except -1
    cdef int reserve_streams(self, Py_ssize_t extra) except -1
    cdef int32_t commit_stream(self, uint64_t key) noexcept nogil
    cdef void drop_stream(self, int32_t stream) noexcept nogil
    cdef int check_stream(self, Py_ssize_t stream) except -1
    cdef size_t stream_bytes(self) noexcept nogil


cdef uint64_t key_of(int channel, int32_t symbol, int variant) noexcept nogil
cdef uint32_t tag_of(uint64_t key, uint64_t seed) noexcept nogil
cdef int check_part(Py_ssize_t value, str what) except -1
cdef int check_symbol(Py_ssize_t symbol) except -1
cdef Py_ssize_t next_room(Py_ssize_t room, Py_ssize_t needed, Py_ssize_t limit) noexcept nogil


cdef inline uint32_t next_generation(uint32_t generation) noexcept nogil:
    if generation == <uint32_t>0xFFFF_FFFF:
        return 0
    return generation + 1


cdef inline int class_wanted(const StreamRow* row) noexcept nogil:
    """Highest class among unpaused holders; NOBODY without any. Free of unpredictable branches."""
    cdef int cls = NOBODY
    cls = 0 if row.wanted[0] else cls
    cls = 1 if row.wanted[1] else cls
    cls = 2 if row.wanted[2] else cls
    return 3 if row.wanted[3] else cls
