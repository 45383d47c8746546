/* One value of a JSON object: what may begin it, what it holds, where it goes. Nothing here fails: it ends in a state.
 *
 * A taker is given where a value begins and returns the position behind it, or NULL after scan_refuse(). Positions stay
 * in registers: through memory each would cost five cycles of the one chain that the whole scan hangs on. Between zero
 * bytes no bounds check is needed: a zero byte is no JSON, so every run ends there.
 */
#ifndef SUBCORE_SCAN_VALUE_H
#define SUBCORE_SCAN_VALUE_H

#include <assert.h>
#include <math.h>

#include "scan_table.h"
#include "scan_text.h"
#include "scan_usual.h"

typedef struct {
    const char *p;                /* where the scan stopped, after a refusal */
    int state;                    /* why */
    const char *start;            /* of the frame */
    const char *end;              /* behind it: a zero byte */
    char *rows[3];                /* [0]: the record; [1], [2]: the two sides' rows */
    char *at[3];                  /* where members go now: the record, or a side's next row */
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
    double (*slow_double)(const char *text);
    int (*look_ahead)(void *who, const char *symbol, int64_t size, int step);      /* or NULL */
    void *who;
    const char *look_at;          /* where the next step is due */
    int look_step;                /* the last one taken */
    const scan_field *found;      /* by a key that was not guessed */
} scan_state;

#define LOOK_BYTES 128
#define LOOK_NEVER ((const char *)UINTPTR_MAX)

/* What a symbol leads to lies far off where there are many. Its owner is called when the symbol was read, and again
 * some bytes further on as long as it says so: each step has fetched from memory what the next one needs. */
SCAN_COLD void scan_look(scan_state *s, const char *p) {
    s->look_step++;
    s->look_at = s->look_ahead(s->who, s->symbol, s->symbol_size, s->look_step) ? p + LOOK_BYTES : LOOK_NEVER;
}

static inline void scan_look_on(scan_state *s, const char *p) {
    if (p >= s->look_at)
        scan_look(s, p);
}

static inline void scan_look_from(scan_state *s, const char *p) {
    s->look_step = 0;
    s->look_at = LOOK_NEVER;
    if (s->look_ahead != 0 && s->symbol != 0 && !s->symbol_upper)
        scan_look(s, p);
}

static inline const char *scan_blank(const char *p) {
    while (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')
        p++;
    return p;
}

static inline const char *scan_refuse(scan_state *s, const char *p, int state) {
    assert(p >= s->start && p <= s->end);
    s->p = p;
    s->state = state;
    return 0;
}

/* What does not begin a value of the wanted type: a value of another type, what only looks like a number, or nothing. */
static inline const char *scan_mistyped(scan_state *s, const char *p) {
    if (*p != 0 && strchr("NI+.", *p))
        return scan_refuse(s, p, STATE_NUMBER_SYNTAX);
    return scan_refuse(s, p, *p != 0 && strchr("\"{[tfn-0123456789", *p) ? STATE_WRONG_TYPE : STATE_BAD_JSON);
}

/* A string at its opening quote; its text without escapes, in place or in the scratch. */
static inline const char *scan_take_text(scan_state *s, const char *p, const char **text, int64_t *size) {
    const char *end;
    int escaped, result;
    if (*p != '"')
        return scan_mistyped(s, p);
    result = scan_string(++p, &end, &escaped);
    if (result != TEXT_OK)
        return scan_refuse(s, end, result == TEXT_BAD_UTF8 ? STATE_BAD_UTF8 : STATE_BAD_JSON);
    *text = p;
    *size = end - p;
    if (escaped) {
        if (*size > s->scratch_end - s->scratch)
            return scan_refuse(s, p, STATE_OVERFLOW);
        *size = scan_unescape(p, end, s->scratch) - s->scratch;
        *text = s->scratch;
    }
    return end + 1;
}

/* A number, bare or (where the field allows) quoted. A quoted one must fill its string and be spelled as JSON does. */
static inline const char *scan_take_number(scan_state *s, const scan_field *f, const char *p, scan_number *n) {
    int quoted = *p == '"';
    const char *end;
    if (!(f->flags & (quoted ? SCAN_QUOTED : SCAN_BARE)))
        return scan_mistyped(s, p);
    p += quoted;
    end = scan_split(p, n);
    if (end == 0)
        return quoted || *p == '-' || (*p >= '0' && *p <= '9') ? scan_refuse(s, p, STATE_NUMBER_SYNTAX)
                                                               : scan_mistyped(s, p);
    if (quoted && *end != '"')
        return scan_refuse(s, end, STATE_NUMBER_SYNTAX);
    return end + quoted;
}

/* Any number as a double. */
SCAN_COLD const char *scan_take_any_double(scan_state *s, const scan_field *f, const char *p, double *out) {
    scan_number n;
    const char *end = scan_take_number(s, f, p, &n);
    if (end == 0)
        return 0;
    if (scan_to_double(&n, out) == NUMBER_FAST)
        return end;
    s->numbers_slow++;
    s->numbers_fast--;            /* all are counted as fast where the object ends */
    *out = s->slow_double(p + (*p == '"'));
    return isfinite(*out) ? end : scan_refuse(s, p, STATE_OVERFLOW);
}

/* A number that may be quoted. */
SCAN_COLD const char *scan_take_double(scan_state *s, const scan_field *f, const char *p, double *out) {
#if defined(__SSE2__)
    const int quoted = *p == '"';
    const char *end = f->flags & (quoted ? SCAN_QUOTED : SCAN_BARE) ? scan_long_double(p + quoted, out) : 0;
    if (end != 0 && (*end == '"') == quoted)
        return end + quoted;
#endif
    return scan_take_any_double(s, f, p, out);
}

SCAN_COLD const char *scan_take_int(scan_state *s, const scan_field *f, const char *p, int64_t *out) {
    scan_number n;
    const char *end = scan_take_number(s, f, p, &n);
    if (end == 0)
        return 0;
    if (!n.is_integer)
        return scan_refuse(s, p, STATE_WRONG_TYPE);
    if (!scan_to_int(&n, f->scale, out))
        return scan_refuse(s, p, STATE_INT_RANGE);
    return end;
}

/* A text into the struct: its size, then its bytes. */
SCAN_COLD const char *scan_store_text(scan_state *s, const char *p, char *at, int capacity) {
    const char *text, *end;
    int64_t size;
    end = scan_take_text(s, p, &text, &size);
    if (end == 0)
        return 0;
    if (size > capacity)
        return scan_refuse(s, p, STATE_OVERFLOW);
    at[0] = (char)size;
    memcpy(at + 1, text, (size_t)size);
    return end;
}

static inline int64_t scan_two(const char *t, int *bad) {
    unsigned tens = (unsigned char)t[0] - '0', ones = (unsigned char)t[1] - '0';
    *bad |= tens > 9 || ones > 9;
    return tens * 10 + ones;
}

/* yyyy-mm-ddThh:mm:ss, UTC, as nanoseconds since 1970. */
SCAN_COLD int scan_parse_time(const char *t, int64_t size, int64_t *out) {
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year, month, day, hour, minute, second, y, days;
    int leap, bad = 0;
    if (size != 19)
        return 0;
    bad |= (t[4] ^ '-') | (t[7] ^ '-') | (t[10] ^ 'T') | (t[13] ^ ':') | (t[16] ^ ':');
    year = scan_two(t, &bad) * 100 + scan_two(t + 2, &bad);
    month = scan_two(t + 5, &bad);
    day = scan_two(t + 8, &bad);
    hour = scan_two(t + 11, &bad);
    minute = scan_two(t + 14, &bad);
    second = scan_two(t + 17, &bad);
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (bad || year < 1970 || year > 2261 || month < 1 || month > 12 || day < 1 ||
        day > lengths[month - 1] + (leap && month == 2) || hour > 23 || minute > 59 || second > 59)
        return 0;
    y = month <= 2 ? year - 1 : year;   /* years from March: the day of the leap comes last */
    days = y * 365 + y / 4 - y / 100 + y / 400 + (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1 - 719468;
    *out = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000000000ll;
    return 1;
}

static inline const char *scan_take_time(scan_state *s, const char *p, int64_t *out) {
    const char *text, *end;
    int64_t size;
    end = scan_take_text(s, p, &text, &size);
    if (end == 0)
        return 0;
    return scan_parse_time(text, size, out) ? end : scan_refuse(s, p, STATE_WRONG_TYPE);
}

/* `word` is null, true or false. */
static inline const char *scan_take_literal(scan_state *s, const char *p, const char *word, size_t size) {
    return memcmp(p, word, size) == 0 ? p + size : scan_refuse(s, p, STATE_BAD_JSON);
}

/* true or false, where the venue declared a code for it. */
SCAN_COLD const char *scan_take_bare_word(scan_state *s, const scan_field *f, const char *p, uint8_t *code) {
    const char *word = *p == 't' ? "true" : "false";
    int32_t size = *p == 't' ? 4 : 5;
    int32_t i;
    for (i = 0; (*p == 't' || *p == 'f') && i < f->map_size; i++)
        if (f->map[i].size == size && memcmp(f->map[i].text, word, (size_t)size) == 0) {
            *code = (uint8_t)f->map[i].value;
            return scan_take_literal(s, p, word, (size_t)size);
        }
    *code = 0;
    return scan_mistyped(s, p);
}

/* A text that stands for a code; 0 for one that nobody declared. */
SCAN_COLD const char *scan_take_word(scan_state *s, const scan_field *f, const char *p, uint8_t *code) {
    const char *text, *end;
    int64_t size;
    int32_t i;
    if (*p != '"')
        return scan_take_bare_word(s, f, p, code);
    end = scan_take_text(s, p, &text, &size);
    *code = 0;
    for (i = 0; end != 0 && i < f->map_size; i++)
        if (f->map[i].size == size && memcmp(f->map[i].text, text, (size_t)size) == 0)
            *code = (uint8_t)f->map[i].value;
    return end;
}

/* As scan_take_word, for a short one that was declared and is spelled without escapes; NULL for others. */
SCAN_COLD const char *scan_usual_word(const scan_field *f, const char *p, uint8_t *code) {
    const scan_word *word = f->map, *end = word + f->map_size;
    const uint64_t head = scan_load8(p + 1);
    for (; *p == '"' && word < end; word++)
        if (((head ^ word->head) & word->mask) == 0 && word->is_short && p[1 + word->size] == '"') {
            *code = (uint8_t)word->value;
            return p + word->size + 2;
        }
    return 0;
}

static inline const char *scan_take_truth(scan_state *s, const char *p, uint8_t *out) {
    if (*p == 't') {
        *out = 2;
        return scan_take_literal(s, p, "true", 4);
    }
    if (*p == 'f') {
        *out = 1;
        return scan_take_literal(s, p, "false", 5);
    }
    return scan_mistyped(s, p);
}

/* The symbol is looked up when the frame is through, so its text must outlive other texts that need the scratch. */
static inline const char *scan_take_symbol(scan_state *s, const scan_field *f, const char *p) {
    const char *end = scan_take_text(s, p, &s->symbol, &s->symbol_size);
    if (end != 0 && s->symbol == s->scratch)
        s->scratch += s->symbol_size;
    s->symbol_upper = (f->flags & SCAN_UPPER) != 0;
    if (end != 0)
        scan_look_from(s, end);
    return end;
}

/* The symbol in upper case (ASCII letters), in the scratch; 0 where that has no room. */
static inline int scan_upper_symbol(scan_state *s) {
    char *out = s->scratch;
    int64_t i;
    if (s->symbol_size > s->scratch_end - s->scratch)
        return 0;
    for (i = 0; i < s->symbol_size; i++)
        out[i] = s->symbol[i] >= 'a' && s->symbol[i] <= 'z' ? (char)(s->symbol[i] - 32) : s->symbol[i];
    s->symbol = out;
    return 1;
}

#endif
