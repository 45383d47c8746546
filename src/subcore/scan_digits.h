/* Digits in text as integers, eight and sixteen at a time.
 *
 * Reads up to 32 bytes from where a number begins, 8 behind it and 17 before its end: the caller's buffer is padded on
 * both sides with zero bytes.
 */
#ifndef SUBCORE_SCAN_DIGITS_H
#define SUBCORE_SCAN_DIGITS_H

#include <stdint.h>
#include <string.h>

#if defined(SCAN_WIDE)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#define SCAN_HOT static inline __attribute__((always_inline))
#define SCAN_COLD static __attribute__((noinline, unused))

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the scanner reads eight characters as one little-endian word"
#endif

static const uint64_t SCAN_POW10[20] = {
    1ull, 10ull, 100ull, 1000ull, 10000ull, 100000ull, 1000000ull, 10000000ull, 100000000ull, 1000000000ull,
    10000000000ull, 100000000000ull, 1000000000000ull, 10000000000000ull, 100000000000000ull,
    1000000000000000ull, 10000000000000000ull, 100000000000000000ull, 1000000000000000000ull,
    10000000000000000000ull};

/* What the hot loops need of memory, in one place: a pointer to it in a register serves them all. */
typedef struct {
    uint8_t zero[16], nine[16], tens[16], hundreds[16], thousands[16], quote[16], slash[16], control[16];
    int8_t from[32];              /* read at +n: from which of n characters each of 16 digits comes, none before them */
    uint8_t kept[32];             /* read at +n: the last n of 16 bytes */
    uint8_t first[32];            /* read at +16 - n: the first n */
    uint8_t before_point[17][16]; /* by `parted`: of 16 digits that end with a number those before its point */
    double power[17];             /* by `parted`: 10 ^ digits behind the point */
} scan_constants;

#define ALL(x) {[0 ... 15] = x}
#define TO(n) {[0 ... 15 - n] = 255}
static const scan_constants SCAN_CONSTANTS __attribute__((aligned(64))) = {
    .zero = ALL('0'), .nine = ALL(9), .quote = ALL('"'), .slash = ALL('\\'), .control = ALL(0x1F),
    .tens = {10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1},
    .hundreds = {100, 0, 1, 0, 100, 0, 1, 0, 100, 0, 1, 0, 100, 0, 1, 0},
    .thousands = {0x10, 0x27, 1, 0, 0x10, 0x27, 1, 0, 0x10, 0x27, 1, 0, 0x10, 0x27, 1, 0},
    .from = {-16, -15, -14, -13, -12, -11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1,
             0,   1,   2,   3,   4,   5,   6,   7,  8,  9,  10, 11, 12, 13, 14, 15},
    .kept = {[16 ... 31] = 255}, .first = {[0 ... 15] = 255},
    .before_point = {{0},   TO(0), TO(1), TO(2),  TO(3),  TO(4),  TO(5),  TO(6), TO(7),
                     TO(8), TO(9), TO(10), TO(11), TO(12), TO(13), TO(14), TO(15)},
    .power = {1e0, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}};
#undef ALL
#undef TO

/* That place, without the compiler knowing what stands there: it would make each constant anew where it is used. */
SCAN_HOT const scan_constants *scan_get_constants(void) {
    const scan_constants *k = &SCAN_CONSTANTS;
    __asm__("" : "+r"(k));
    return k;
}

#if defined(__SSE2__)
SCAN_HOT __m128i scan_get16(const void *at) {
    return _mm_loadu_si128((const __m128i *)at);
}
#endif

static inline uint16_t scan_load2(const char *p) {
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}

static inline uint64_t scan_load8(const char *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* High bit of each byte of the result that is no digit; exact up to and including the first such byte. */
static inline uint64_t scan_non_digits(uint64_t x) {
    return ((x + 0x7676767676767676ull) | x) & 0x8080808080808080ull;
}

/* Eight digits, already without '0' (first digit in the lowest byte), as a number. */
static inline uint64_t scan_value8(uint64_t x) {
    x = x * 10 + (x >> 8);
    return (((x & 0x000000FF000000FFull) * 0x000F424000000064ull) +
            (((x >> 16) & 0x000000FF000000FFull) * 0x0000271000000001ull)) >> 32;
}

/* How many digits stand at p. */
static inline int64_t scan_count_digits(const char *p) {
    const char *start = p;
    for (;;) {
        uint64_t other = scan_non_digits(scan_load8(p) ^ 0x3030303030303030ull);
        if (other != 0)
            return p - start + (__builtin_ctzll(other) >> 3);
        p += 8;
    }
}

/* Append `count` digits at p to value; the caller has seen to it that the result fits. */
static inline uint64_t scan_append(uint64_t value, const char *p, int64_t count) {
    while (count >= 8) {
        value = value * 100000000ull + scan_value8(scan_load8(p) ^ 0x3030303030303030ull);
        p += 8;
        count -= 8;
    }
    if (count > 0) {
        uint64_t x = (scan_load8(p) ^ 0x3030303030303030ull) << (8 * (8 - count));
        value = value * SCAN_POW10[count] + scan_value8(x);
    }
    return value;
}

/* How many of the `count` digits before `end` are zeros at the end. */
static inline int64_t scan_trailing_zeros(const char *end, int64_t count) {
    int64_t zeros = 0;
    while (zeros < count) {
        uint64_t x = scan_load8(end - zeros - 8) ^ 0x3030303030303030ull;
        if (x != 0) {
            zeros += __builtin_clzll(x) >> 3;
            break;
        }
        zeros += 8;
    }
    return zeros < count ? zeros : count;
}

#if defined(__SSE2__)
/* What each of 32 characters is, a bit each. */
typedef struct {
    uint32_t digits, zeros, points;
} scan_kinds;

#if defined(SCAN_WIDE)
static inline scan_kinds scan_classify(const char *p) {
    const __m256i v = _mm256_loadu_si256((const __m256i *)p), x = _mm256_sub_epi8(v, _mm256_set1_epi8('0'));
    scan_kinds k;
    k.digits = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(x, _mm256_set1_epi8(9)), x));
    k.zeros = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, _mm256_setzero_si256()));
    k.points = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('.')));
    return k;
}
#else
static inline scan_kinds scan_classify(const char *p) {
    const __m128i zero = _mm_set1_epi8('0'), nine = _mm_set1_epi8(9), point = _mm_set1_epi8('.');
    __m128i a = _mm_loadu_si128((const __m128i *)p), b = _mm_loadu_si128((const __m128i *)(p + 16));
    __m128i x = _mm_sub_epi8(a, zero), y = _mm_sub_epi8(b, zero);
    scan_kinds k;
    k.digits = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(x, nine), x)) |
               (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(y, nine), y)) << 16;
    k.zeros = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(a, zero)) |
              (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(b, zero)) << 16;
    k.points = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(a, point)) |
               (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(b, point)) << 16;
    return k;
}
#endif

/* Sixteen digits, already without '0', as one integer. */
SCAN_HOT uint64_t scan_integer16(const scan_constants *k, __m128i x) {
#if defined(SCAN_WIDE)
    const __m128i pairs = _mm_maddubs_epi16(x, scan_get16(k->tens));
#else
    const __m128i tens = _mm_mullo_epi16(_mm_and_si128(x, _mm_set1_epi16(0xFF)), _mm_set1_epi16(10));
    const __m128i pairs = _mm_add_epi16(tens, _mm_srli_epi16(x, 8));
#endif
    const __m128i fours = _mm_madd_epi16(pairs, scan_get16(k->hundreds));
    const __m128i both = _mm_madd_epi16(_mm_packs_epi32(fours, fours), scan_get16(k->thousands));
    const uint64_t eights = (uint64_t)_mm_cvtsi128_si64(both);
    return (eights & 0xFFFFFFFF) * 100000000ull + (eights >> 32);
}

/* The `count` digits, at most 16, that end at `end`. */
SCAN_HOT uint64_t scan_upto16(const char *end, unsigned count) {
    const scan_constants *k = &SCAN_CONSTANTS;
    const __m128i x = _mm_sub_epi8(scan_get16(end - 16), scan_get16(k->zero));
    return scan_integer16(k, _mm_and_si128(x, scan_get16(k->kept + count)));
}
#endif

#endif
