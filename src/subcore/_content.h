/* Hash of what an event says, fast enough to be taken of every event: four lanes of words, texts without their tails.
 *
 * Equal contents have equal hashes; unequal ones differ but for chance (64 bits, seeded per process).
 */
#ifndef SUBCORE_CONTENT_H
#define SUBCORE_CONTENT_H

#include "_hash.h"

/* subcore_fold, with both halves of the product kept in registers: gcc sends them through memory. */
static inline uint64_t subcore_mix(uint64_t a, uint64_t b) {
#if defined(__GNUC__) && defined(__x86_64__)
    uint64_t low, high;
    __asm__("mulq %3" : "=a"(low), "=d"(high) : "0"(a), "rm"(b) : "cc");
    return low ^ high;
#else
    return subcore_fold(a, b);
#endif
}

/* `count` 8-byte words. */
static inline uint64_t subcore_hash_words(const char *at, size_t count, uint64_t seed) {
    uint64_t a = seed ^ SUBCORE_K0, b = seed ^ SUBCORE_K1, c = seed ^ SUBCORE_K2, d = seed + count;
    for (; count >= 8; count -= 8, at += 64) {
        a = subcore_mix(subcore_load64(at) ^ a, subcore_load64(at + 8) ^ SUBCORE_K0);
        b = subcore_mix(subcore_load64(at + 16) ^ b, subcore_load64(at + 24) ^ SUBCORE_K1);
        c = subcore_mix(subcore_load64(at + 32) ^ c, subcore_load64(at + 40) ^ SUBCORE_K2);
        d = subcore_mix(subcore_load64(at + 48) ^ d, subcore_load64(at + 56) ^ SUBCORE_K0);
    }
    for (; count >= 2; count -= 2, at += 16) {
        d = subcore_mix(subcore_load64(at) ^ d, subcore_load64(at + 8) ^ SUBCORE_K1);
    }
    if (count) {
        d = subcore_mix(subcore_load64(at) ^ d, SUBCORE_K2);
    }
    return subcore_mix(a ^ subcore_mix(b, SUBCORE_K1), c ^ subcore_mix(d, SUBCORE_K2));
}

/* `count` texts side by side, each held in 16 bytes, size first; what lies behind the end of one is left from earlier
 * texts and does not count. They do not wait for each other: each is told apart by its place, their hashes are joined
 * by xor. The mask of a size is a window of `kept`: no branch, as sizes follow no pattern. */
static inline uint64_t subcore_hash_texts16(const char *at, size_t count, uint64_t seed) {
    static const unsigned char kept[32] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                           255, 255, 255, 255, 255, 0};
    uint64_t joined = 0;
    for (; count; count--, at += 16, seed += SUBCORE_K1) {
        unsigned size = (unsigned char)at[0] < 15 ? (unsigned char)at[0] : 15;
        const char *mask = (const char *)kept + 15 - size;
        uint64_t low = subcore_load64(at) & subcore_load64(mask);
        uint64_t high = subcore_load64(at + 8) & subcore_load64(mask + 8);
        joined ^= subcore_mix(low ^ seed, high ^ SUBCORE_K2);
    }
    return joined;
}

#endif
