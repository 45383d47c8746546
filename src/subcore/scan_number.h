/* Numbers in JSON text, exactly: what float(text) and int(text) give, or a named refusal.
 *
 * Reads up to 32 bytes from where a number begins, 8 behind it and 16 before its end: the caller's buffer is padded on
 * both sides with zero bytes.
 */
#ifndef SUBCORE_SCAN_NUMBER_H
#define SUBCORE_SCAN_NUMBER_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define SCAN_HOT static inline __attribute__((always_inline))
#define SCAN_COLD static __attribute__((noinline, unused))

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the scanner reads eight characters as one little-endian word"
#endif

enum { NUMBER_FAST = 0, NUMBER_SLOW = 1 };

/* The parts of a number: value = (-1)^negative * digits * 10^exponent. */
typedef struct {
    uint64_t digits;
    int64_t exponent;
    int negative;
    int is_integer;    /* neither fraction nor exponent */
    int cut;           /* `digits` are only the first 19: the value lies above them, below digits + 1 */
} scan_number;

static const uint64_t SCAN_POW10[20] = {
    1ull, 10ull, 100ull, 1000ull, 10000ull, 100000ull, 1000000ull, 10000000ull, 100000000ull, 1000000000ull,
    10000000000ull, 100000000000ull, 1000000000000ull, 10000000000000ull, 100000000000000ull,
    1000000000000000ull, 10000000000000000ull, 100000000000000000ull, 1000000000000000000ull,
    10000000000000000000ull};

static const double SCAN_EXACT10[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static const uint64_t SCAN_POW5[28] = {
    1ull, 5ull, 25ull, 125ull, 625ull, 3125ull, 15625ull, 78125ull, 390625ull, 1953125ull, 9765625ull, 48828125ull,
    244140625ull, 1220703125ull, 6103515625ull, 30517578125ull, 152587890625ull, 762939453125ull, 3814697265625ull,
    19073486328125ull, 95367431640625ull, 476837158203125ull, 2384185791015625ull, 11920928955078125ull,
    59604644775390625ull, 298023223876953125ull, 1490116119384765625ull, 7450580596923828125ull};

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

/* JSON's grammar of an exponent, at the 'e'; NULL if it is not kept. Saturates far outside a double's range. */
static inline const char *scan_exponent(const char *p, int64_t *exponent) {
    int negative;
    int64_t value = 0;
    p++;
    negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    if (*p < '0' || *p > '9')
        return 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (value < 100000)
            value = value * 10 + (*p - '0');
    *exponent += negative ? -value : value;
    return p;
}

/* Digits of a number whose parts were found: the first 19 of them. */
static inline void scan_collect(scan_number *n, const char *whole, int64_t wholes, int64_t fractions) {
    int64_t room = *whole == '0' ? 19 : 19 - wholes;
    if (room < 0) {
        n->digits = scan_append(0, whole, 19);
        n->exponent += wholes - 19;
        n->cut = 1;
        return;
    }
    n->cut = fractions > room;
    if (n->cut)
        fractions = room;
    n->exponent -= fractions;
    n->digits = scan_append(scan_append(0, whole, wholes), whole + wholes + 1, fractions);
}

/* A number of any length at p, behind its sign. */
static const char *scan_split_long(const char *p, scan_number *n) {
    const char *start = p;
    int64_t whole = scan_count_digits(p), fraction = 0;
    if (whole == 0)
        return 0;
    if (*p == '0' && whole > 1)
        return 0;
    p += whole;
    n->exponent = 0;
    n->is_integer = 1;
    if (*p == '.') {
        n->is_integer = 0;
        fraction = scan_count_digits(++p);
        if (fraction == 0)
            return 0;
        p += fraction;
        fraction -= scan_trailing_zeros(p, fraction);
    }
    if ((*p | 0x20) == 'e') {
        n->is_integer = 0;
        p = scan_exponent(p, &n->exponent);
        if (p == 0)
            return 0;
    }
    scan_collect(n, start, whole, fraction);
    return p;
}

#if defined(__SSE2__)
/* What each of 32 characters is, a bit each. */
typedef struct {
    uint32_t digits, zeros, points;
} scan_kinds;

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

/* Sixteen digits, already without '0', as two numbers of eight: the first in the lower half. */
SCAN_HOT uint64_t scan_value16(__m128i x) {
    const __m128i tens = _mm_set1_epi16(10), hundreds = _mm_set1_epi32(1 << 16 | 100),
                  thousands = _mm_set1_epi32(1 << 16 | 10000);
    __m128i pairs = _mm_add_epi16(_mm_mullo_epi16(_mm_and_si128(x, _mm_set1_epi16(0xFF)), tens), _mm_srli_epi16(x, 8));
    __m128i fours = _mm_madd_epi16(pairs, hundreds);
    return (uint64_t)_mm_cvtsi128_si64(_mm_madd_epi16(_mm_packs_epi32(fours, fours), thousands));
}

/* The last `count` of 16 bytes. */
SCAN_HOT __m128i scan_last(unsigned count) {
    static const uint8_t kept[32] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255,
                                     255, 255, 255, 255, 255, 255, 255, 255, 255};
    return _mm_loadu_si128((const __m128i *)(kept + count));
}

/* The `count` digits, at most 16, that end at `end`. */
SCAN_HOT uint64_t scan_upto16(const char *end, unsigned count) {
    __m128i x = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(end - 16)), _mm_set1_epi8('0'));
    uint64_t both = scan_value16(_mm_and_si128(x, scan_last(count)));
    return (both & 0xFFFFFFFF) * 100000000ull + (both >> 32);
}
#endif

/* Split a number into its parts; the position behind it, or NULL where JSON's grammar is broken or none begins.
 *
 * The lengths of the parts differ from one number to the next, and a branch on them is guessed wrongly: so all is
 * found at once, from bits of the next 32 characters, and only rare numbers take another way. */
SCAN_COLD const char *scan_split(const char *p, scan_number *n) {
    n->negative = *p == '-';
    p += n->negative;
#if defined(__SSE2__)
    scan_kinds k = scan_classify(p);
    uint32_t other = ~k.digits, first = other & (0 - other), point = k.points & first, rest = other ^ point;
    if (rest == 0 || other == 0)
        return scan_split_long(p, n);
    unsigned whole = (unsigned)__builtin_ctz(other), end = (unsigned)__builtin_ctz(rest);
    /* positions of digits that are not 0, those before the end; what follows the last of them adds nothing */
    uint32_t other_than_0 = k.digits & ~k.zeros & ((rest & (0 - rest)) - 1);
    unsigned last = 32 - (unsigned)__builtin_clz(other_than_0 | 1), stop = last > whole ? last : whole;
    unsigned fraction = stop - whole - (stop > whole);
    if (whole == 0 || ((k.zeros & 1) && whole > 1) || (point && end == whole + 1))
        return 0;
    n->exponent = 0;
    n->is_integer = point == 0;
    const char *behind = p + end;
    if ((*behind | 0x20) == 'e') {
        n->is_integer = 0;
        behind = scan_exponent(behind, &n->exponent);
        if (behind == 0)
            return 0;
    }
    if (whole <= 16 && fraction <= 16) {
        unsigned room = *p == '0' ? 16 : 19 - whole, taken = fraction < room ? fraction : room;
        n->cut = taken < fraction;
        n->exponent -= (int64_t)taken;
        n->digits = scan_upto16(p + whole, whole) * SCAN_POW10[taken] + scan_upto16(p + whole + 1 + taken, taken);
    } else
        scan_collect(n, p, whole, fraction);
    return behind;
#else
    return scan_split_long(p, n);
#endif
}

/* 2^k for a k that keeps it a normal double. */
static inline double scan_power2(int k) {
    uint64_t bits = (uint64_t)(1023 + k) << 52;
    double power;
    memcpy(&power, &bits, 8);
    return power;
}

/* digits / 10^q, correctly rounded, for 0 < digits and 0 < q <= 27: 5^q fits 64 bits, so one exact 128/64 division
 * with the remainder ORed in as a sticky bit leaves a single rounding. */
static inline double scan_divide(uint64_t digits, int q) {
    int up = __builtin_clzll(digits), down = __builtin_clzll(SCAN_POW5[q]);
    uint64_t numerator = digits << up, divisor = SCAN_POW5[q] << down, quotient, remainder;
#if defined(__x86_64__)
    __asm__("divq %4" : "=a"(quotient), "=d"(remainder) : "a"(numerator << 63), "d"(numerator >> 1), "r"(divisor) : "cc");
#else
    unsigned __int128 wide = (unsigned __int128)numerator << 63;
    quotient = (uint64_t)(wide / divisor);
    remainder = (uint64_t)(wide % divisor);
#endif
    return (double)(quotient | (remainder != 0)) * scan_power2(down - up - 63 - q);
}

/* digits * 10^exponent, correctly rounded; NUMBER_SLOW where only a general algorithm is exact. */
static inline int scan_scale(uint64_t digits, int64_t exponent, double *out) {
    if (digits <= (1ull << 53) && exponent >= -22 && exponent <= 22)
        *out = exponent < 0 ? (double)digits / SCAN_EXACT10[-exponent] : (double)digits * SCAN_EXACT10[exponent];
    else if (digits == 0)
        *out = 0.0;
    else if (exponent == 0)
        *out = (double)digits;
    else if (exponent < 0 && exponent >= -27)
        *out = scan_divide(digits, (int)-exponent);
    else
        return NUMBER_SLOW;
    return NUMBER_FAST;
}

/* The double the parts stand for. Of more than 19 digits the first 19 bound it from both sides: where both bounds round
 * to one double, that is it. */
static inline int scan_to_double(const scan_number *n, double *out) {
    double value, above;
    if (scan_scale(n->digits, n->exponent, &value) != NUMBER_FAST)
        return NUMBER_SLOW;
    if (n->cut && (scan_scale(n->digits + 1, n->exponent, &above) != NUMBER_FAST || above != value))
        return NUMBER_SLOW;
    *out = n->negative ? -value : value;
    return NUMBER_FAST;
}

#if defined(__SSE2__)
/* Which of 16 characters are digits: each byte all ones or zero. */
SCAN_HOT __m128i scan_digits(__m128i v) {
    __m128i x = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    return _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(9)), x);
}

/* May this stand behind a number? What may not is left to those that name the error. */
SCAN_HOT int scan_ends_number(char c) {
    return __builtin_expect(c == ',', 1) || c == '}' || c == '"' || c == ']';
}

/* The usual number: no sign, no exponent, at most 16 characters. The position behind it, or NULL where it is no such
 * number or is broken.
 *
 * Where the next value begins hangs on where this one ends, so that is found first, by one step: the run of points and
 * digits. What is in the run is judged and converted beside the chain, without branches: what they would depend on
 * differs from number to number. */
SCAN_HOT const char *scan_usual(const char *p, double *out) {
    const __m128i v = _mm_loadu_si128((const __m128i *)p);
    const __m128i points = _mm_cmpeq_epi8(v, _mm_set1_epi8('.'));
    const uint32_t end = (uint32_t)__builtin_ctz(~(uint32_t)_mm_movemask_epi8(_mm_or_si128(points, scan_digits(v))));
    const uint32_t behind = 1u << end, other = (uint32_t)_mm_movemask_epi8(points) & (behind - 1);
    const uint32_t whole = (uint32_t)__builtin_ctz(other | behind), point = other != 0;
    const uint32_t count = end - point, fraction = count - whole;
    if (!scan_ends_number(p[end]))
        return 0;
    /* two points, one at an end, a zero before other digits, or nothing at all */
    if ((other & ((other - 1) | 1 | behind >> 1)) | (end == 0) | ((*p == '0') & (whole > 1)))
        return 0;
    /* the digits that end the run stay, those before a point close up */
    const __m128i digits = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(p + end - 16)), _mm_set1_epi8('0'));
    const __m128i stay = scan_last(count - (whole & (0 - point)));
    const __m128i moved = _mm_and_si128(_mm_slli_si128(digits, 1), scan_last(count));
    const uint64_t both = scan_value16(_mm_or_si128(_mm_and_si128(stay, digits), _mm_andnot_si128(stay, moved)));
    const uint64_t value = (both & 0xFFFFFFFF) * 100000000ull + (both >> 32);
    if (value > 1ull << 53)
        return 0;
    *out = (double)(int64_t)value / SCAN_EXACT10[fraction];
    return p + end;
}

/* As scan_usual, up to 31 characters: all from bits of 32, for the same reasons. */
SCAN_HOT const char *scan_unusual(const char *p, double *out) {
    const scan_kinds k = scan_classify(p);
    const uint32_t other = ~k.digits, point = k.points & other & (0 - other), rest = other ^ point;
    double above;
    if (rest == 0)
        return 0;
    const uint32_t whole = (uint32_t)__builtin_ctz(other), end = (uint32_t)__builtin_ctz(rest);
    if (whole - 1 > 15 || ((k.zeros & 1) && whole > 1) || (point && end == whole + 1) || !scan_ends_number(p[end]))
        return 0;
    /* positions of digits that are not 0, those before the end; what follows the last of them adds nothing */
    const uint32_t other_than_0 = k.digits & ~k.zeros & ((rest & (0 - rest)) - 1);
    const uint32_t last = 32 - (uint32_t)__builtin_clz(other_than_0 | 1);
    const uint32_t fraction = last > whole ? last - whole - 1 : 0;
    const uint32_t room = *p == '0' ? 16 : 19 - whole, taken = fraction < room ? fraction : room;
    if (fraction > 16)
        return 0;
    const uint64_t digits =
        scan_upto16(p + whole, whole) * SCAN_POW10[taken] + scan_upto16(p + whole + 1 + taken, taken);
    if (scan_scale(digits, -(int64_t)taken, out) != NUMBER_FAST)
        return 0;
    if (taken < fraction && (scan_scale(digits + 1, -(int64_t)taken, &above) != NUMBER_FAST || above != *out))
        return 0;
    return p + end;
}

/* An integer of at most sixteen digits; NULL where it is no such number. */
SCAN_HOT const char *scan_usual_int(const char *p, uint64_t *value) {
    __m128i digits = scan_digits(_mm_loadu_si128((const __m128i *)p));
    unsigned whole = (unsigned)__builtin_ctz(~(unsigned)_mm_movemask_epi8(digits));
    char next = p[whole];
    if (whole - 1 > 15 || (*p == '0' && whole > 1) || next == '.' || (next | 0x20) == 'e' || (next >= '0' && next <= '9'))
        return 0;
    *value = scan_upto16(p + whole, whole);
    return p + whole;
}
#endif

/* Multiply by `scale` (> 0) into *out; 0 if the result leaves int64. INT64_MIN is left too: it means absent. */
static inline int scan_to_int(const scan_number *n, int64_t scale, int64_t *out) {
    int64_t value;
    if (n->cut || n->digits > INT64_MAX || __builtin_mul_overflow((int64_t)n->digits, scale, &value))
        return 0;
    *out = n->negative ? -value : value;
    return 1;
}

#endif
