# cython: language_level=3
"""C face of _slots.h. It stays beside its header: no .pxd that is shipped needs one."""

from libc.stdint cimport int32_t, uint32_t, uint64_t

cdef extern from "_slots.h" nogil:
    uint32_t subcore_home(uint32_t tag, uint32_t slot_count) noexcept
    uint32_t subcore_spread(uint32_t id) noexcept
    uint32_t subcore_next(uint32_t at, uint32_t slot_count) noexcept
    bint subcore_may_move(uint32_t hole, uint32_t home, uint32_t at) noexcept
    int32_t subcore_slot_id(uint64_t slot) noexcept
    uint32_t subcore_slot_tag(uint64_t slot) noexcept
    int32_t subcore_slot_guess(const uint64_t* slots, uint32_t slot_count, uint32_t tag) noexcept
    void subcore_slot_put(uint64_t* slots, uint32_t slot_count, uint32_t tag, int32_t id) noexcept
    void subcore_slot_move_all(uint64_t* to, uint32_t to_count, const uint64_t* source, uint32_t count) noexcept
    void subcore_slot_drop(uint64_t* slots, uint32_t slot_count, uint32_t tag, int32_t id) noexcept
    void subcore_prefetch(const void* at) noexcept
