/* Strings in JSON text: strict UTF-8, escapes, no control characters.
 *
 * Every function may read up to 16 bytes past what it was asked about: the caller's buffer is padded with zero bytes,
 * and a zero byte ends every loop here.
 */
#ifndef SUBCORE_SCAN_TEXT_H
#define SUBCORE_SCAN_TEXT_H

#include "scan_digits.h"

enum { TEXT_OK = 0, TEXT_BAD_JSON = 1, TEXT_BAD_UTF8 = 2 };

/* First byte at or after p that ends a plain run: a quote, a backslash, a control character, or not ASCII. */
static inline const char *scan_plain_run(const char *p) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(0x20);
    for (;; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)p);
        /* signed: bytes over 0x7F are negative, so "less than space" catches them too */
        __m128i stop = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                                    _mm_cmplt_epi8(v, space));
        int mask = _mm_movemask_epi8(stop);
        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#else
    while ((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
#endif
}

#if defined(__SSE2__)
/* A text of at most 15 plain characters, from behind its opening quote, into 16 bytes: size, characters, zeros. The
 * position behind its closing quote; NULL, with nothing written, where it is longer or not plain. */
SCAN_HOT const char *scan_store_short(const scan_constants *k, const char *p, char *at) {
    __m128i v = scan_get16(p);
    /* signed: bytes over 0x7F are negative, so "at most the last control character" catches them too */
    const __m128i low = _mm_cmplt_epi8(v, _mm_set1_epi8(0x20));
    const __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(v, scan_get16(k->quote)), _mm_cmpeq_epi8(v, scan_get16(k->slash)));
    const uint32_t stop = (uint32_t)_mm_movemask_epi8(_mm_or_si128(marks, low)) | 0x10000;
    const uint64_t size = (uint64_t)(unsigned)__builtin_ctz(stop);
    if (p[size] != '"' || size > 15)
        return 0;
    v = _mm_and_si128(v, scan_get16(k->first + 16 - size));
    v = _mm_or_si128(_mm_slli_si128(v, 1), _mm_cvtsi32_si128((int)size));
    _mm_storeu_si128((__m128i *)at, v);
    return p + size + 1;
}
#endif

/* Past one character of more than one byte at p, or 0: overlong forms, surrogates and values over U+10FFFF are none. */
static inline const char *scan_utf8_char(const char *text) {
    const unsigned char *p = (const unsigned char *)text;
    unsigned char lead = p[0], second = p[1];
    if ((second & 0xC0) != 0x80 || lead < 0xC2 || lead > 0xF4)
        return 0;
    if (lead < 0xE0)
        return text + 2;
    if ((p[2] & 0xC0) != 0x80)
        return 0;
    if (lead < 0xF0)
        return (lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ? 0 : text + 3;
    if ((p[3] & 0xC0) != 0x80)
        return 0;
    return (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F) ? 0 : text + 4;
}

static inline int scan_hex4(const char *p, uint32_t *value) {
    uint32_t v = 0;
    int i;
    for (i = 0; i < 4; i++) {
        uint32_t c = (unsigned char)p[i], letter = (c | 0x20) - 'a';
        uint32_t digit = c - '0' < 10 ? c - '0' : letter < 6 ? letter + 10 : 16;
        if (digit == 16)
            return 0;
        v = v * 16 + digit;
    }
    *value = v;
    return 1;
}

/* Past the escape at p (which is a backslash), or 0. A \u escape takes 6 bytes, whatever it stands for. */
static inline const char *scan_escape(const char *p) {
    uint32_t ignored;
    switch (p[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return p + 2;
    case 'u':
        return scan_hex4(p + 2, &ignored) ? p + 6 : 0;
    default:
        return 0;
    }
}

/* From behind an opening quote to the closing one (*end). *escaped: a backslash occurred. */
static inline int scan_string(const char *p, const char **end, int *escaped) {
    *escaped = 0;
    for (;;) {
        p = scan_plain_run(p);
        *end = p;
        if (*p == '"')
            return TEXT_OK;
        if (*p == '\\') {
            *escaped = 1;
            p = scan_escape(p);
            if (p == 0)
                return TEXT_BAD_JSON;
        } else if ((unsigned char)*p >= 0x80) {
            p = scan_utf8_char(p);
            if (p == 0)
                return TEXT_BAD_UTF8;
        } else
            return TEXT_BAD_JSON;
    }
}

static inline char *scan_put_utf8(char *out, uint32_t c) {
    if (c < 0x80)
        *out++ = (char)c;
    else if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (char)(0xE0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    } else {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3F));
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    }
    return out;
}

/* The text between p and end (already judged by scan_string) without escapes. Never longer than what it came from, so
 * out may be p. A pair of surrogate escapes is one character; a lone one stays, in the three bytes that Python's
 * "surrogatepass" reads. Returns the end of what was written. */
static inline char *scan_unescape(const char *p, const char *end, char *out) {
    static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    while (p < end) {
        uint32_t c = 0, low = 0;
        const char *found;
        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        if (p[1] != 'u') {
            for (found = plain; *found != p[1]; found += 2)
                ;
            *out++ = found[1];
            p += 2;
            continue;
        }
        scan_hex4(p + 2, &c);
        p += 6;
        if (c >= 0xD800 && c < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' && scan_hex4(p + 2, &low) &&
            low >= 0xDC00 && low < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            p += 6;
        }
        out = scan_put_utf8(out, c);
    }
    return out;
}

#endif
