/* One value of a JSON object: what may begin it, what it holds, where it goes. Nothing here fails: it ends in a state.
 *
 * Between zero bytes no bounds check is needed: a zero byte is no JSON, so every run ends there.
 */
#ifndef SUBCORE_SCAN_VALUE_H
#define SUBCORE_SCAN_VALUE_H

#include <assert.h>
#include <math.h>

#include "scan_table.h"
#include "scan_text.h"

typedef struct {
    const char *p;                /* where the scan stands; where it stopped, after a refusal */
    const char *start;            /* of the frame */
    const char *end;              /* behind it: a zero byte */
    char *record;
    char *rows[3];                /* [1], [2]: the two sides' rows */
    int64_t row_count[3];
    int64_t row_size[3];
    int64_t row_limit;
    const char *symbol;
    int64_t symbol_size;
    int symbol_upper;
    double variant;
    uint8_t *flags;               /* of the record's head */
    char *scratch;                /* room for texts without their escapes */
    char *scratch_end;
    uint64_t numbers_fast, numbers_slow, keys_guessed, keys_looked_up;
    double (*slow_double)(const char *text, const char *end);
} scan_state;

static inline const char *scan_blank(const char *p) {
    while (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')
        p++;
    return p;
}

static inline int scan_stop(scan_state *s, const char *p, int state) {
    assert(p >= s->start && p <= s->end);
    s->p = p;
    return state;
}

/* What does not begin a value of the wanted type: a value of another type, NaN or Infinity, or no value at all. */
static inline int scan_mistyped(scan_state *s, const char *p) {
    if (*p == 'N' || *p == 'I')
        return scan_stop(s, p, STATE_NUMBER_SYNTAX);
    return scan_stop(s, p, *p != 0 && strchr("\"{[tfn-0123456789", *p) ? STATE_WRONG_TYPE : STATE_BAD_JSON);
}

static inline int scan_text_state(int text) {
    return text == TEXT_BAD_UTF8 ? STATE_BAD_UTF8 : STATE_BAD_JSON;
}

/* A string value at its opening quote; the text without escapes, in place or in the scratch. */
static inline int scan_take_text(scan_state *s, const char **text, int64_t *size) {
    const char *start = s->p + 1, *end;
    int escaped, result = scan_string(start, &end, &escaped);
    if (result != TEXT_OK)
        return scan_stop(s, end, scan_text_state(result));
    *text = start;
    *size = end - start;
    if (escaped) {
        if (*size > s->scratch_end - s->scratch)
            return scan_stop(s, start, STATE_OVERFLOW);
        *size = scan_unescape(start, end, s->scratch) - s->scratch;
        *text = s->scratch;
    }
    s->p = end + 1;
    return STATE_OK;
}

/* A number, bare or (where the field allows) quoted. A quoted one must fill its string and be spelled as JSON does. */
static inline int scan_take_number(scan_state *s, const scan_field *f, scan_number *n) {
    const char *p = s->p;
    int quoted = *p == '"', result;
    if (!(f->flags & (quoted ? SCAN_QUOTED : SCAN_BARE)))
        return scan_mistyped(s, p);
    p += quoted;
    result = scan_split(p, n);
    if (result == NUMBER_BAD || (result == NUMBER_NONE && quoted))
        return scan_stop(s, p, STATE_NUMBER_SYNTAX);
    if (result == NUMBER_NONE)
        return scan_mistyped(s, p);
    if (quoted && *n->end != '"')
        return scan_stop(s, n->end, STATE_NUMBER_SYNTAX);
    s->p = n->end + quoted;
    return STATE_OK;
}

static inline int scan_take_double(scan_state *s, const scan_field *f, double *out) {
    scan_number n;
    const char *start = s->p;
    int state = scan_take_number(s, f, &n);
    if (state != STATE_OK)
        return state;
    if (scan_to_double(&n, out) == NUMBER_FAST) {
        s->numbers_fast++;
        return STATE_OK;
    }
    s->numbers_slow++;
    *out = s->slow_double(start + (*start == '"'), n.end);
    return isfinite(*out) ? STATE_OK : scan_stop(s, start, STATE_OVERFLOW);
}

static inline int scan_take_int(scan_state *s, const scan_field *f, int64_t *out) {
    scan_number n;
    const char *start = s->p;
    int state = scan_take_number(s, f, &n);
    if (state != STATE_OK)
        return state;
    if (!n.is_integer)
        return scan_stop(s, start, STATE_WRONG_TYPE);
    if (!scan_to_int(&n, f->scale, out))
        return scan_stop(s, start, STATE_INT_RANGE);
    s->numbers_fast++;
    return STATE_OK;
}

static inline int scan_store_text(scan_state *s, char *at, int capacity) {
    const char *text, *start = s->p;
    int64_t size;
    int state;
    if (*start != '"')
        return scan_mistyped(s, start);
    state = scan_take_text(s, &text, &size);
    if (state != STATE_OK)
        return state;
    if (size > capacity)
        return scan_stop(s, start, STATE_OVERFLOW);
    at[0] = (char)size;
    memcpy(at + 1, text, (size_t)size);
    return STATE_OK;
}

/* yyyy-mm-ddThh:mm:ss, UTC, as nanoseconds since 1970. */
static inline int scan_parse_time(const char *t, int64_t size, int64_t *out) {
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t v[6] = {0}, y, days;
    int i, part = 0, leap;
    if (size != 19)
        return 0;
    for (i = 0; i < 19; i++) {
        if (form[i] == 'd' ? t[i] < '0' || t[i] > '9' : t[i] != form[i])
            return 0;
        if (form[i] == 'd')
            v[part] = v[part] * 10 + (t[i] - '0');
        else
            part++;
    }
    leap = (v[0] % 4 == 0 && v[0] % 100 != 0) || v[0] % 400 == 0;
    if (v[0] < 1970 || v[0] > 2261 || v[1] < 1 || v[1] > 12 || v[2] < 1 ||
        v[2] > lengths[v[1] - 1] + (leap && v[1] == 2) || v[3] > 23 || v[4] > 59 || v[5] > 59)
        return 0;
    y = v[1] <= 2 ? v[0] - 1 : v[0];   /* years from March: the day of the leap comes last */
    days = y * 365 + y / 4 - y / 100 + y / 400 + (153 * (v[1] + (v[1] > 2 ? -3 : 9)) + 2) / 5 + v[2] - 1 - 719468;
    *out = (((days * 24 + v[3]) * 60 + v[4]) * 60 + v[5]) * 1000000000ll;
    return 1;
}

static inline int scan_take_word(scan_state *s, const scan_field *f, int32_t *value) {
    const char *text;
    int64_t size;
    int32_t i;
    int state;
    *value = 0;
    if (*s->p != '"')
        return scan_mistyped(s, s->p);
    state = scan_take_text(s, &text, &size);
    for (i = 0; state == STATE_OK && i < f->map_size; i++)
        if (f->map[i].size == size && memcmp(f->map[i].text, text, (size_t)size) == 0)
            *value = f->map[i].value;
    return state;
}

static inline int scan_take_literal(scan_state *s, const char *word, size_t size) {
    if (strncmp(s->p, word, size) != 0)
        return scan_stop(s, s->p, STATE_BAD_JSON);
    s->p += size;
    return STATE_OK;
}

static inline int scan_take_truth(scan_state *s, uint8_t *out) {
    if (*s->p == 't') {
        *out = 2;
        return scan_take_literal(s, "true", 4);
    }
    if (*s->p == 'f') {
        *out = 1;
        return scan_take_literal(s, "false", 5);
    }
    return scan_mistyped(s, s->p);
}

/* The symbol is looked up when the frame is through, so its text must outlive other texts that need the scratch. */
static inline int scan_take_symbol(scan_state *s, const scan_field *f) {
    int state;
    if (*s->p != '"')
        return scan_mistyped(s, s->p);
    state = scan_take_text(s, &s->symbol, &s->symbol_size);
    if (state == STATE_OK && s->symbol == s->scratch)
        s->scratch += s->symbol_size;
    s->symbol_upper = (f->flags & SCAN_UPPER) != 0;
    return state;
}

/* A text in upper case (ASCII letters), in the scratch. */
static inline int scan_upper(scan_state *s, const char **text, int64_t size) {
    int64_t i;
    if (size > s->scratch_end - s->scratch)
        return scan_stop(s, s->p, STATE_OVERFLOW);
    for (i = 0; i < size; i++)
        s->scratch[i] = (*text)[i] >= 'a' && (*text)[i] <= 'z' ? (char)((*text)[i] - 32) : (*text)[i];
    *text = s->scratch;
    return STATE_OK;
}

static inline int scan_take_time(scan_state *s, int64_t *out) {
    const char *text, *start = s->p;
    int64_t size;
    int state;
    if (*start != '"')
        return scan_mistyped(s, start);
    state = scan_take_text(s, &text, &size);
    if (state != STATE_OK)
        return state;
    return scan_parse_time(text, size, out) ? STATE_OK : scan_stop(s, start, STATE_WRONG_TYPE);
}

#endif
