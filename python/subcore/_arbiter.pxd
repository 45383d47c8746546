# cython: language_level=3
"""What is remembered of streams that two links carry, and which of their frames are copies."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t

from subcore._events cimport Record
from subcore._repeats cimport LastSeen

cdef enum:
    CONTENTS_KEPT = 16
    KEYS_KEPT = 4096
    BEHIND_AT_LEAST = 16

cdef struct Carried:               # one stream with two carriers
    int32_t stream
    int32_t link                   # where the second of two proofs is awaited
    int64_t not_before_ns          # a live frame is that proof from then on
    int64_t last_exchange_ns       # of what was forwarded; ABSENT = none yet
    int64_t last_number            # of the last state without a time, as the venue counts; ABSENT = none yet
    int64_t forwarded_ns           # when the state last forwarded was received
    uint64_t* keys                 # ring of what was forwarded, then the set over it: one block, owned
    uint16_t key_room              # 0 or a power of two up to 4,096
    uint16_t key_count
    uint16_t key_next              # where the next one goes
    uint8_t content_count
    uint8_t content_next
    uint8_t behind_count           # states in a row that lay behind the last one, up to BEHIND_AT_LEAST
    uint64_t contents[CONTENTS_KEPT]   # hashes of the state last forwarded, a ring

cdef class Arbiter:
    cdef Carried* carried          # dense; the owner of the stream's row knows its place
    cdef int32_t count
    cdef int32_t room
    cdef size_t key_bytes
    cdef uint64_t seed

    # Whether the event was forwarded before or lies behind what was; remembers it, here and in `seen`, if not.
    cdef bint is_copy(self, int32_t place, const Record* record, LastSeen* seen) noexcept nogil

    # The place of a new stream that starts from what is known of it. MemoryError: nothing was changed.
    cdef int32_t add(self, int32_t stream, int64_t last_exchange_ns, const LastSeen* seen) except -1

    # Forgets a place. Returns the stream that now has it, -1 if it was the last.
    cdef int32_t remove(self, int32_t place) noexcept nogil

    cdef size_t size(self) noexcept nogil

    cdef bint is_known_state(self, Carried* carried, const Record* record, LastSeen* seen) noexcept nogil
    cdef bint is_behind(self, Carried* carried, const Record* record, int64_t number) noexcept nogil
    cdef bint is_known_event(self, Carried* carried, const Record* record, LastSeen* seen) noexcept nogil
    cdef bint has_key(self, const Carried* carried, uint64_t key) noexcept nogil
    cdef bint keep_key(self, Carried* carried, uint64_t key) noexcept nogil
    cdef bint grow_keys(self, Carried* carried) noexcept nogil
    cdef void drop_oldest(self, Carried* carried) noexcept nogil
    cdef void set_slot(self, Carried* carried, uint16_t at) noexcept nogil
    cdef bint make_room(self, Py_ssize_t count) noexcept nogil
