/* Seeded hashing and short comparisons for the core's tables.
 *
 * A header because 128-bit products do not survive Cython's type system, and because unsigned wrap-around is meant
 * here (the debug build checks Cython arithmetic for overflow). Nothing reads outside [text, text + size).
 */
#ifndef SUBCORE_HASH_H
#define SUBCORE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t subcore_load64(const char *at) {
    uint64_t value;
    memcpy(&value, at, 8);
    return value;
}

static inline uint32_t subcore_load32(const char *at) {
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

/* Folded 64 x 64 -> 128 multiply: every input bit reaches every output bit. */
static inline uint64_t subcore_fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#define SUBCORE_K0 UINT64_C(0xa0761d6478bd642f)
#define SUBCORE_K1 UINT64_C(0xe7037ed1a0b428db)
#define SUBCORE_K2 UINT64_C(0x8ebc6af09c88c6e3)

/* Text of up to a few hundred bytes -> 64 bits, 16 bytes a round, the tail read as overlapping words. */
static inline uint64_t subcore_hash_text(const char *text, size_t size, uint64_t seed) {
    uint64_t state = seed ^ subcore_fold(seed ^ SUBCORE_K0, SUBCORE_K1);
    uint64_t a, b;
    size_t left = size;
    while (left > 16) {
        state = subcore_fold(subcore_load64(text) ^ SUBCORE_K1, subcore_load64(text + 8) ^ state);
        text += 16;
        left -= 16;
    }
    if (left >= 8) {
        a = subcore_load64(text);
        b = subcore_load64(text + left - 8);
    } else if (left >= 4) {
        a = subcore_load32(text);
        b = subcore_load32(text + left - 4);
    } else if (left > 0) {
        a = ((uint64_t)(uint8_t)text[0] << 16) | ((uint64_t)(uint8_t)text[left >> 1] << 8) | (uint8_t)text[left - 1];
        b = 0;
    } else {
        a = b = 0;
    }
    return subcore_fold(SUBCORE_K2 ^ size, subcore_fold(a ^ SUBCORE_K1, b ^ state));
}

/* One machine word -> 64 well-mixed bits. */
static inline uint64_t subcore_hash_word(uint64_t word, uint64_t seed) {
    return subcore_fold(word ^ SUBCORE_K0, seed ^ SUBCORE_K1);
}

/* memcmp() == 0 without the call for the sizes that market codes have. */
static inline int subcore_same_text(const char *x, const char *y, size_t size) {
    if (size > 24) {
        return memcmp(x, y, size) == 0;
    }
    if (size >= 8) {
        uint64_t differ = subcore_load64(x) ^ subcore_load64(y);
        differ |= subcore_load64(x + size - 8) ^ subcore_load64(y + size - 8);
        if (size > 16) {
            differ |= subcore_load64(x + 8) ^ subcore_load64(y + 8);
        }
        return differ == 0;
    }
    if (size >= 4) {
        return ((subcore_load32(x) ^ subcore_load32(y)) | (subcore_load32(x + size - 4) ^ subcore_load32(y + size - 4))) == 0;
    }
    for (size_t i = 0; i < size; i++) {
        if (x[i] != y[i]) {
            return 0;
        }
    }
    return 1;
}

#endif
