/* Numbers in JSON text, exactly: what float(text) and int(text) give, or a named refusal.
 *
 * Reads up to 8 bytes past the number and 8 before it: the caller's buffer is padded on both sides with zero bytes.
 */
#ifndef SUBCORE_SCAN_NUMBER_H
#define SUBCORE_SCAN_NUMBER_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the scanner reads eight characters as one little-endian word"
#endif

enum { NUMBER_FAST = 0, NUMBER_SLOW = 1, NUMBER_BAD = 2, NUMBER_NONE = 3 };

/* The parts of a number: value = (-1)^negative * digits * 10^exponent. */
typedef struct {
    const char *end;
    uint64_t digits;
    int64_t exponent;
    int negative;
    int is_integer;    /* neither fraction nor exponent */
    int fits;          /* the digits are all in `digits` */
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

/* Split a number into its parts. NUMBER_NONE: no number begins here. NUMBER_BAD: one begins and breaks the grammar. */
static inline int scan_split(const char *p, scan_number *n) {
    int64_t whole, fraction = 0;
    const char *start, *point;
    n->negative = *p == '-';
    p += n->negative;
    start = p;
    if (*p < '0' || *p > '9')
        return n->negative || *p == '+' || *p == '.' || *p == 'N' || *p == 'I' ? NUMBER_BAD : NUMBER_NONE;
    whole = scan_count_digits(p);
    if (*p == '0' && whole > 1)
        return NUMBER_BAD;
    p += whole;
    n->exponent = 0;
    n->is_integer = 1;
    point = p;
    if (*p == '.') {
        n->is_integer = 0;
        fraction = scan_count_digits(++p);
        if (fraction == 0)
            return NUMBER_BAD;
        p += fraction;
        fraction -= scan_trailing_zeros(p, fraction);
        n->exponent = -fraction;
    }
    if ((*p | 0x20) == 'e') {
        n->is_integer = 0;
        p = scan_exponent(p, &n->exponent);
        if (p == 0)
            return NUMBER_BAD;
    }
    n->end = p;
    n->fits = whole + fraction <= 19;
    if (n->fits)
        n->digits = scan_append(scan_append(0, start, whole), point + 1, fraction);
    return NUMBER_FAST;
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
    return ldexp((double)(quotient | (remainder != 0)), down - up - 63 - q);
}

/* The double the parts stand for; NUMBER_SLOW where only a general algorithm is exact. */
static inline int scan_to_double(const scan_number *n, double *out) {
    double value;
    if (!n->fits)
        return NUMBER_SLOW;
    if (n->digits <= (1ull << 53)) {
        if (n->exponent >= -22 && n->exponent <= 0)
            value = (double)n->digits / SCAN_EXACT10[-n->exponent];
        else if (n->exponent > 0 && n->exponent <= 22)
            value = (double)n->digits * SCAN_EXACT10[n->exponent];
        else if (n->digits == 0)
            value = 0.0;
        else if (n->exponent < 0 && n->exponent >= -27)
            value = scan_divide(n->digits, (int)-n->exponent);
        else
            return NUMBER_SLOW;
    } else if (n->exponent == 0)
        value = (double)n->digits;
    else if (n->exponent < 0 && n->exponent >= -27)
        value = scan_divide(n->digits, (int)-n->exponent);
    else
        return NUMBER_SLOW;
    *out = n->negative ? -value : value;
    return NUMBER_FAST;
}

/* Multiply by `scale` (> 0) into *out; 0 if the result leaves int64. INT64_MIN is left too: it means absent. */
static inline int scan_to_int(const scan_number *n, int64_t scale, int64_t *out) {
    int64_t value;
    if (!n->fits || n->digits > INT64_MAX || __builtin_mul_overflow((int64_t)n->digits, scale, &value))
        return 0;
    *out = n->negative ? -value : value;
    return 1;
}

#endif
