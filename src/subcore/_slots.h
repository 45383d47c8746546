/* Open addressing over 8-byte slots {tag, id + 1}: the index from a hashed key to a dense id.
 *
 * The tag (32 hash bits) chooses the home slot by multiply-shift, so any number of slots works, and filters
 * comparisons. Removal shifts the rest of the run back: no tombstones. 0 = empty. The owner keeps at least one slot
 * empty, which ends every search.
 */
#ifndef SUBCORE_SLOTS_H
#define SUBCORE_SLOTS_H

#include <stdint.h>

static inline uint32_t subcore_home(uint32_t tag, uint32_t slot_count) {
    return (uint32_t)(((uint64_t)tag * slot_count) >> 32);
}

/* Dense ids spread over a table: golden-ratio steps keep neighbours apart. */
static inline uint32_t subcore_spread(uint32_t id) {
    return id * UINT32_C(0x9E3779B1);
}

static inline uint32_t subcore_next(uint32_t at, uint32_t slot_count) {
    return at + 1 == slot_count ? 0 : at + 1;
}

/* May the entry at `at`, at home in `home`, move back to `hole`? Not if its home lies cyclically in (hole, at]. */
static inline int subcore_may_move(uint32_t hole, uint32_t home, uint32_t at) {
    return hole < at ? (home <= hole || home > at) : (home <= hole && home > at);
}

static inline int32_t subcore_slot_id(uint64_t slot) {
    return (int32_t)(uint32_t)slot - 1;
}

static inline uint32_t subcore_slot_tag(uint64_t slot) {
    return (uint32_t)(slot >> 32);
}

/* The id that a tag most likely leads to, or -1; any number of slots, none too. Looks at few of them, and not at what
 * the id stands for. */
static inline int32_t subcore_slot_guess(const uint64_t *slots, uint32_t slot_count, uint32_t tag) {
    uint32_t at = subcore_home(tag, slot_count);
    for (int step = 0; step < 8 && (uint32_t)step < slot_count && slots[at] != 0; step++) {
        if (subcore_slot_tag(slots[at]) == tag) {
            return subcore_slot_id(slots[at]);
        }
        at = subcore_next(at, slot_count);
    }
    return -1;
}

static inline void subcore_slot_put(uint64_t *slots, uint32_t slot_count, uint32_t tag, int32_t id) {
    uint32_t at = subcore_home(tag, slot_count);
    while (slots[at] != 0) {
        at = subcore_next(at, slot_count);
    }
    slots[at] = ((uint64_t)tag << 32) | ((uint32_t)id + 1);
}

static inline void subcore_slot_move_all(uint64_t *to, uint32_t to_count, const uint64_t *from, uint32_t from_count) {
    for (uint32_t at = 0; at < from_count; at++) {
        if (from[at] != 0) {
            subcore_slot_put(to, to_count, subcore_slot_tag(from[at]), subcore_slot_id(from[at]));
        }
    }
}

/* Take a present entry out. */
static inline void subcore_slot_drop(uint64_t *slots, uint32_t slot_count, uint32_t tag, int32_t id) {
    uint32_t hole = subcore_home(tag, slot_count);
    while (subcore_slot_id(slots[hole]) != id) {
        hole = subcore_next(hole, slot_count);
    }
    for (uint32_t at = subcore_next(hole, slot_count); slots[at] != 0; at = subcore_next(at, slot_count)) {
        if (subcore_may_move(hole, subcore_home(subcore_slot_tag(slots[at]), slot_count), at)) {
            slots[hole] = slots[at];
            hole = at;
        }
    }
    slots[hole] = 0;
}

static inline void subcore_prefetch(const void *at) {
    __builtin_prefetch(at, 1, 3);
}

#endif
