/* Numbers as venues spell nearly all of theirs: what they hold and where they end, found with few branches.
 *
 * NULL is no refusal: what is not usual, or broken, is left to scan_split(), which judges every spelling.
 */
#ifndef SUBCORE_SCAN_USUAL_H
#define SUBCORE_SCAN_USUAL_H

#include "scan_number.h"

/* May this stand behind a number? What may not is left to those that name the error. */
SCAN_HOT int scan_ends_number(char c) {
    return __builtin_expect(c == ',', 1) || c == '}' || c == '"' || c == ']';
}

#if defined(__SSE2__)
/* Which of 16 characters without '0' are no digits, a bit each; those beyond count as such. */
SCAN_HOT uint32_t scan_others(const scan_constants *k, __m128i x) {
    return ~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(x, scan_get16(k->nine)), x));
}

/* The digits of the first `end` characters at p as one integer, which has no more than 16 of them. x: what stands at p
 * without '0'; `parted`: 0 = no point, else 1 + how many digits follow it. These end the run of digits already; those
 * before the point close up. */
#if defined(SCAN_WIDE)
SCAN_HOT uint64_t scan_joined(const scan_constants *k, const char *p, __m128i x, uint64_t end, uint64_t parted) {
    const __m128i from = _mm_add_epi8(scan_get16(k->from + end), scan_get16(k->before_point[parted]));
    (void)p;
    return scan_integer16(k, _mm_shuffle_epi8(x, from));
}
#else
SCAN_HOT uint64_t scan_joined(const scan_constants *k, const char *p, __m128i x, uint64_t end, uint64_t parted) {
    const __m128i before = scan_get16(k->before_point[parted]);
    x = _mm_sub_epi8(scan_get16(p + end - 16), scan_get16(k->zero));
    x = _mm_or_si128(_mm_andnot_si128(before, x), _mm_and_si128(before, _mm_slli_si128(x, 1)));
    return scan_integer16(k, _mm_and_si128(x, scan_get16(k->kept + end - (parted != 0))));
}
#endif

/* The usual number: no sign, no exponent, at most 16 characters and 15 digits. The position behind it, or NULL where
 * it is no such number or is broken. What stands behind it is for the caller to judge: it may belong to the number.
 *
 * Where the next value begins hangs on where this one ends, so that is found by few steps, and what is in between is
 * converted beside them. */
SCAN_HOT const char *scan_usual(const scan_constants *k, const char *p, double *out) {
    const __m128i x = _mm_sub_epi8(scan_get16(p), scan_get16(k->zero));
    const uint32_t others = scan_others(k, x);
    const uint64_t whole = (uint64_t)(unsigned)__builtin_ctz(others);
    uint64_t end = whole, parted = 0;
    if (whole - 1 > 14)
        return 0;
    if (__builtin_expect(p[whole] == '.', 1)) {
        end = (uint64_t)(unsigned)__builtin_ctz(others & (others - 1));
        parted = end - whole;
        if (parted == 1)
            return 0;
    }
    if (*p == '0' && whole != 1)
        return 0;
    *out = (double)(int64_t)scan_joined(k, p, x, end, parted) / k->power[parted];
    return p + end;
}

/* An integer of at most sixteen digits; NULL where it is no such number. */
SCAN_HOT const char *scan_usual_int(const scan_constants *k, const char *p, uint64_t *value) {
    const __m128i x = _mm_sub_epi8(scan_get16(p), scan_get16(k->zero));
    const uint64_t whole = (uint64_t)(unsigned)__builtin_ctz(scan_others(k, x));
    if (whole == 0 || (*p == '0' && whole != 1))
        return 0;
    *value = scan_joined(k, p, x, whole, 0);
    return p + whole;
}

/* As scan_usual, up to 31 characters, a minus before them; what stands behind is judged. Zeros that end a fraction
 * are left out: they add nothing. Of more than 19 digits the first 19 bound the number from both sides. */
SCAN_COLD const char *scan_long_double(const char *p, double *out) {
    const scan_constants *k = scan_get_constants();
    const int negative = *p == '-';
    const scan_kinds kinds = scan_classify(p += negative);
    const uint32_t other = ~kinds.digits, point = kinds.points & other & (0 - other), rest = other ^ point;
    if (rest == 0)
        return 0;
    const uint32_t whole = (uint32_t)__builtin_ctz(other), end = (uint32_t)__builtin_ctz(rest);
    if (whole - 1 > 15 || ((kinds.zeros & 1) && whole > 1) || (point && end == whole + 1) || !scan_ends_number(p[end]))
        return 0;
    const uint32_t other_than_0 = kinds.digits & ~kinds.zeros & ((rest & (0 - rest)) - 1);
    const uint32_t last = 32 - (uint32_t)__builtin_clz(other_than_0 | 1);
    uint32_t parted = last > whole ? last - whole : 0, stop = last > whole ? last : whole;
    uint32_t count = stop - (parted != 0), cut = 0;
    if (count > 19) {
        cut = count - 19;
        stop -= cut, parted -= cut, count = 19;
    }
    if (parted > 16)
        return 0;
    const __m128i before = scan_get16(k->before_point[parted]), zero = scan_get16(k->zero);
    const __m128i behind = _mm_andnot_si128(before, _mm_sub_epi8(scan_get16(p + stop - 16), zero));
    const __m128i x = _mm_or_si128(behind, _mm_and_si128(before, _mm_sub_epi8(scan_get16(p + stop - 17), zero)));
    uint64_t digits;
    if (count <= 16)
        digits = scan_integer16(k, _mm_and_si128(x, scan_get16(k->kept + count)));
    else
        digits = scan_append(0, p, count - 16) * SCAN_POW10[16] + scan_integer16(k, x);
    const int64_t exponent = parted ? 1 - (int64_t)parted : 0;
    double above;
    if (scan_scale(digits, exponent, out) != NUMBER_FAST)
        return 0;
    if (cut && (scan_scale(digits + 1, exponent, &above) != NUMBER_FAST || above != *out))
        return 0;
    if (negative)
        *out = -*out;
    return p + end;
}
#else
/* Without these instructions every number goes the general way. */
static inline const char *scan_usual(const scan_constants *k, const char *p, double *out) {
    (void)k, (void)p, (void)out;
    return 0;
}

static inline const char *scan_long_double(const char *p, double *out) {
    (void)p, (void)out;
    return 0;
}
#endif

#endif
