/* Numbers in JSON text, exactly: what float(text) and int(text) give, or a named refusal.
 */
#ifndef SUBCORE_SCAN_NUMBER_H
#define SUBCORE_SCAN_NUMBER_H

#include <math.h>

#include "scan_digits.h"

enum { NUMBER_FAST = 0, NUMBER_SLOW = 1 };

/* The parts of a number: value = (-1)^negative * digits * 10^exponent. */
typedef struct {
    uint64_t digits;
    int64_t exponent;
    int negative;
    int is_integer;    /* neither fraction nor exponent */
    int cut;           /* `digits` are only the first 19: the value lies above them, below digits + 1 */
} scan_number;

static const double SCAN_EXACT10[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static const uint64_t SCAN_POW5[28] = {
    1ull, 5ull, 25ull, 125ull, 625ull, 3125ull, 15625ull, 78125ull, 390625ull, 1953125ull, 9765625ull, 48828125ull,
    244140625ull, 1220703125ull, 6103515625ull, 30517578125ull, 152587890625ull, 762939453125ull, 3814697265625ull,
    19073486328125ull, 95367431640625ull, 476837158203125ull, 2384185791015625ull, 11920928955078125ull,
    59604644775390625ull, 298023223876953125ull, 1490116119384765625ull, 7450580596923828125ull};

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

/* Multiply by `scale` (> 0) into *out; 0 if the result leaves int64. INT64_MIN is left too: it means absent. */
static inline int scan_to_int(const scan_number *n, int64_t scale, int64_t *out) {
    int64_t value;
    if (n->cut || n->digits > INT64_MAX || __builtin_mul_overflow((int64_t)n->digits, scale, &value))
        return 0;
    *out = n->negative ? -value : value;
    return 1;
}

#endif
