/* The scanner's inner machine: one pass over one JSON object into a record. It never fails: it ends in a state. */
#ifndef SUBCORE_SCAN_MACHINE_H
#define SUBCORE_SCAN_MACHINE_H

#include "scan_value.h"

#define MAX_DEPTH 32
#define MAX_DIGITS 4300 /* of a skipped integer: what Python's int() converts by default */

static const char *scan_object_into(scan_state *s, const scan_object *o, const char *p, int depth);
static const char *scan_rows(scan_state *s, const scan_field *f, const char *p, int depth);
static const char *scan_skip(scan_state *s, const char *p, int depth);

SCAN_COLD const char *scan_take_null(scan_state *s, const scan_field *f, const char *p) {
    if (scan_is_number(f))
        s->numbers_fast--;        /* all are counted as fast where the object ends */
    return scan_take_literal(s, p, "null", 4);
}

/* A value of the record or of a row, spelled as it may be. */
SCAN_COLD const char *scan_plain_value(scan_state *s, const scan_field *f, const char *p, char *base, int depth) {
    char *at = base + f->offset;
    uint8_t code;
    if (*p == 'n' && f->flags & SCAN_NULLABLE)
        return scan_take_null(s, f, p);
    scan_look_on(s, p);
    switch (f->type) {
    case SCAN_DOUBLE:
    case SCAN_QUOTED_DOUBLE:
        return scan_take_double(s, f, p, (double *)at);
    case SCAN_INT:
        return scan_take_int(s, f, p, (int64_t *)at);
    case SCAN_ID:
        if (*p != '"')
            return scan_take_int(s, f, p, (int64_t *)at);
        s->numbers_fast--;        /* it is counted where the object ends */
        return scan_store_text(s, p, base + f->text_offset, f->capacity);
    case SCAN_TEXT:
        return scan_store_text(s, p, at, f->capacity);
    case SCAN_SYMBOL:
        return scan_take_symbol(s, f, p);
    case SCAN_ENUM:
        return scan_take_word(s, f, p, (uint8_t *)at);
    case SCAN_FLAGS:
        p = scan_take_word(s, f, p, &code);
        *s->flags |= code;
        return p;
    case SCAN_TRUTH:
        return scan_take_truth(s, p, (uint8_t *)at);
    case SCAN_VARIANT:
        p = scan_take_any_double(s, f, p, &s->variant);
        *(double *)at = s->variant;
        return p;
    case SCAN_TIME_TEXT:
        return scan_take_time(s, p, (int64_t *)at);
    default:
        return scan_skip(s, p, depth);
    }
}

/* A value other than a bare double, spelled as most are, or NULL with nothing said: scan_plain_value takes all others. A number goes on where
 * nothing stands behind it that may. */
SCAN_HOT const char *scan_usual_value(const scan_constants *k, scan_state *s, const scan_field *f, const char *p, char *at) {
    scan_look_on(s, p);
#if defined(__SSE2__)
    if (f->type == SCAN_QUOTED_DOUBLE) {
        p = *p == '"' ? scan_usual(k, p + 1, (double *)at) : 0;
        return p != 0 && *p == '"' ? p + 1 : 0;
    }
    if (f->type == SCAN_TEXT && f->capacity == 15)
        return *p == '"' ? scan_store_short(k, p + 1, at) : 0;
    if (f->type <= SCAN_ID && f->flags & SCAN_BARE) {
        uint64_t value;
        int64_t dropped, *out = f->type == SCAN_SKIP ? &dropped : (int64_t *)at;
        p = scan_usual_int(k, p, &value);
        return p != 0 && !__builtin_mul_overflow((int64_t)value, f->scale, out) ? p : 0;
    }
#endif
    if (f->type == SCAN_ENUM)
        return scan_usual_word(f, p, (uint8_t *)at);
    if (f->type == SCAN_FLAGS) {
        uint8_t code = 0;
        p = scan_usual_word(f, p, &code);
        *s->flags |= code;
        return p;
    }
    if (f->type == SCAN_TIME_TEXT)
        return *p == '"' && p[20] == '"' && scan_parse_time(p + 1, 19, (int64_t *)at) ? p + 21 : 0;
    if (f->type == SCAN_SKIP && *p == '"') {
        p = scan_plain_run(p + 1);
        return *p == '"' ? p + 1 : 0;
    }
    return 0;
}

/* A key at its opening quote, as text; then past its colon. */
static const char *scan_any_key(scan_state *s, const char *p, const char **text, int64_t *size) {
    if (*p != '"')
        return scan_refuse(s, p, STATE_BAD_JSON);
    p = scan_take_text(s, p, text, size);
    if (p == 0)
        return 0;
    p = scan_blank(p);
    return *p == ':' ? scan_blank(p + 1) : scan_refuse(s, p, STATE_BAD_JSON);
}

/* Past the comma behind a value, or to the closing bracket; NULL where neither stands there. */
SCAN_COLD const char *scan_behind_value(scan_state *s, const char *p, char closing) {
    p = scan_blank(p);
    if (*p == closing)
        return p;
    if (*p != ',')
        return scan_refuse(s, p, STATE_BAD_JSON);
    p = scan_blank(p + 1);
    return *p == closing ? scan_refuse(s, p, STATE_BAD_JSON) : p;
}

SCAN_HOT const char *scan_after_value(scan_state *s, const char *p, char closing) {
    if (*p == closing)
        return p;
    return scan_load2(p) == (',' | '"' << 8) ? p + 1 : scan_behind_value(s, p, closing);
}

/* A key that was not guessed: to the value behind it, s->found being its field; or, where there is none, past the value
 * and its comma. */
SCAN_COLD const char *scan_looked_up_key(scan_state *s, const scan_object *o, const char *p, scan_field **guess,
                                         int depth) {
    const char *text;
    int64_t size;
    uint16_t index;
    s->keys_looked_up++;
    s->found = 0;
    p = scan_any_key(s, p, &text, &size);
    if (p == 0)
        return 0;
    index = scan_find_field(o, text, size);
    if (index != NO_FIELD) {
        s->found = *guess = &o->fields[index];
        s->keys_guessed--;        /* all known ones are counted as guessed where the object ends */
        return p;
    }
    p = scan_skip(s, p, depth);
    return p == 0 ? 0 : scan_after_value(s, p, '}');
}

/* At an object's end: its keys and numbers, all at once. */
SCAN_HOT void scan_count(scan_state *s, const scan_object *o, uint64_t seen) {
    if (seen == o->all) {
        s->keys_guessed += o->count;
        s->numbers_fast += o->number_count;
    } else {
        s->keys_guessed += __builtin_popcountll(seen);
        s->numbers_fast += __builtin_popcountll(seen & o->numbers);
    }
}

/* The value behind a key that is known. */
SCAN_COLD const char *scan_unusual_value(scan_state *s, const scan_field *f, const char *p, char *base, int depth) {
    p = scan_blank(p);
    if (f->type < SCAN_OBJECT)
        return scan_plain_value(s, f, p, base, depth);
    if (f->type == SCAN_ROWS)
        return scan_rows(s, f, p, depth + 1);
    return *p == '{' ? scan_object_into(s, f->child, p, depth + 1) : scan_mistyped(s, p);
}

/* The rest of an object from the key at p on, or from its closing brace. `seen`: fields taken already. `in_row`, known
 * where this is compiled into: its values go to rows of sides, and none holds an object or rows.
 *
 * Each key is guessed to be the one that followed the one before it last time, and each value to be spelled as most
 * are; what is not goes another way. */
SCAN_HOT const char *scan_members(scan_state *s, const scan_object *o, const char *p, uint64_t seen, scan_field **guess,
                                  int depth, const int in_row) {
    const scan_constants *k = scan_get_constants();
    while (*p != '}') {
        const scan_field *f;
        const char *key, *end;
        char *base;
    next:
        f = *guess;
        key = p;
        if (scan_is_key(f, p))
            p += f->pattern_size;
        else {
            p = scan_looked_up_key(s, o, p, guess, depth);
            if (p == 0)
                return 0;
            f = s->found;
            if (f == 0)
                continue;
        }
        if (seen & f->bit)
            return scan_refuse(s, key, STATE_DUPLICATE_KEY);
        seen |= f->bit;
        guess = (scan_field **)&f->next;
        base = in_row ? s->at[f->target] : s->rows[0];
        if (f->type == SCAN_DOUBLE) {
            double *at = (double *)(base + f->offset);
            end = scan_usual(k, p, at);
            if (end == 0 || (scan_load2(end) != (',' | '"' << 8) && *end != '}'))
                end = scan_long_double(p, at);
        } else
            end = scan_usual_value(k, s, f, p, base + f->offset);
        if (end != 0 && scan_load2(end) == (',' | '"' << 8)) {
            p = end + 1;
            goto next;
        }
        if (end == 0 || *end != '}') {
            end = scan_unusual_value(s, f, p, base, depth);
            if (end == 0)
                return 0;
        }
        p = scan_after_value(s, end, '}');
        if (p == 0)
            return 0;
    }
    scan_count(s, o, seen);
    return (o->required & ~seen) == 0 ? p + 1 : scan_refuse(s, p, STATE_MISSING_FIELD);
}

static const char *scan_fields(scan_state *s, const scan_object *o, const char *p, uint64_t seen, scan_field **guess,
                               int depth) {
    return scan_members(s, o, p, seen, guess, depth, 0);
}

/* An object at its brace. */
static const char *scan_object_into(scan_state *s, const scan_object *o, const char *p, int depth) {
    if (depth > MAX_DEPTH)
        return scan_refuse(s, p, STATE_DEPTH);
    return scan_fields(s, o, scan_blank(p + 1), 0, (scan_field **)&o->first, depth);
}

/* An object whose first key, the field `index`, was read already, up to p. */
static const char *scan_object_rest(scan_state *s, const scan_object *o, const char *p, uint16_t index) {
    uint64_t seen = index == NO_FIELD ? 0 : 1ull << index;
    scan_field **guess = (scan_field **)(index == NO_FIELD ? &o->first : &o->fields[index].next);
    p = scan_after_value(s, p, '}');
    return p == 0 ? 0 : scan_fields(s, o, p, seen, guess, 1);
}

/* One row given as an object. */
SCAN_HOT const char *scan_row_object(scan_state *s, const scan_object *o, const char *p, int depth) {
    return scan_members(s, o, scan_blank(p + 1), 0, (scan_field **)&o->first, depth, 1);
}

SCAN_HOT const char *scan_row_value(const scan_constants *k, scan_state *s, const scan_field *f, const char *p, int depth) {
    char *base = s->at[f->target], *at = base + f->offset;
    const char *end = f->type == SCAN_DOUBLE ? scan_usual(k, p, (double *)at) : scan_usual_value(k, s, f, p, at);
    return end != 0 && scan_ends_number(*end) ? end : scan_plain_value(s, f, p, base, depth);
}

/* One row given as an array: fields by position; what comes after the last is skipped. */
static inline const char *scan_row_array(scan_state *s, const scan_object *o, const char *p, int depth) {
    const scan_constants *k = scan_get_constants();
    int32_t index = 0;
    p = scan_blank(p + 1);
    for (; *p != ']'; index++) {
        const scan_field *f = &o->fields[index];
        p = index < o->count ? scan_row_value(k, s, f, p, depth) : scan_skip(s, p, depth);
        if (p == 0)
            return 0;
        p = scan_after_value(s, p, ']');
        if (p == 0)
            return 0;
    }
    s->numbers_fast += o->number_count;
    return index >= o->count ? p + 1 : scan_refuse(s, p, STATE_MISSING_FIELD);
}

static inline void scan_blank_row(scan_state *s, const scan_object *o, int side) {
    if (o->sides >> (side - 1) & 1)
        memcpy(s->at[side], o->blank, (size_t)s->row_size[side]);
}

SCAN_HOT void scan_keep_row(scan_state *s, const scan_field *f, int side) {
    /* a thin side is padded with levels of price 0: no level of the book */
    const int dropped = f->flags & SCAN_DROP_ZERO && *(const double *)s->at[side] == 0;
    if (f->child->sides >> (side - 1) & 1 && !dropped) {
        s->at[side] += s->row_size[side];
        s->row_count[side]++;
    }
}

static const char *scan_rows(scan_state *s, const scan_field *f, const char *p, int depth) {
    const scan_object *o = f->child;
    int64_t count = 0;
    const int positional = (f->flags & SCAN_POSITIONAL) != 0;
    const char opening = positional ? '[' : '{';
    if (*p != '[')
        return scan_mistyped(s, p);
    if (depth + 1 > MAX_DEPTH)
        return scan_refuse(s, p, STATE_DEPTH);
    p = scan_blank(p + 1);
    for (; *p != ']'; count++) {
        if (*p != opening)
            return scan_mistyped(s, p);
        scan_look_on(s, p);
        /* by side too: two arrays of one object may fill the same side */
        if (count >= s->row_limit || s->row_count[1] >= s->row_limit || s->row_count[2] >= s->row_limit)
            return scan_refuse(s, p, STATE_OVERFLOW);
        if (o->blank != 0) {
            scan_blank_row(s, o, 1);
            scan_blank_row(s, o, 2);
        }
        p = positional ? scan_row_array(s, o, p, depth + 1) : scan_row_object(s, o, p, depth + 1);
        if (p == 0)
            return 0;
        scan_keep_row(s, f, 1);
        scan_keep_row(s, f, 2);
        p = scan_after_value(s, p, ']');
        if (p == 0)
            return 0;
    }
    return p + 1;
}

static const char *scan_skip_number(scan_state *s, const char *p) {
    scan_number n;
    const char *end = scan_split(p, &n);
    if (end == 0)
        return *p == '-' || (*p >= '0' && *p <= '9') || (*p != 0 && strchr("NI+.", *p))
                   ? scan_refuse(s, p, STATE_NUMBER_SYNTAX)
                   : scan_refuse(s, p, STATE_BAD_JSON);
    return n.is_integer && end - p > MAX_DIGITS ? scan_refuse(s, p, STATE_INT_RANGE) : end;
}

static const char *scan_skip_members(scan_state *s, const char *p, int depth) {
    const int keyed = *p == '{';
    const char closing = keyed ? '}' : ']', *text;
    int64_t size;
    if (depth > MAX_DEPTH)
        return scan_refuse(s, p, STATE_DEPTH);
    p = scan_blank(p + 1);
    while (*p != closing) {
        if (keyed)
            p = scan_any_key(s, p, &text, &size);
        if (p != 0)
            p = scan_skip(s, p, depth);
        if (p == 0)
            return 0;
        p = scan_after_value(s, p, closing);
        if (p == 0)
            return 0;
    }
    return p + 1;
}

/* Any value, judged as strictly as one that is kept. */
static const char *scan_skip(scan_state *s, const char *p, int depth) {
    const char *end;
    int escaped, result;
    switch (*p) {
    case '"':
        result = scan_string(p + 1, &end, &escaped);
        if (result != TEXT_OK)
            return scan_refuse(s, end, result == TEXT_BAD_UTF8 ? STATE_BAD_UTF8 : STATE_BAD_JSON);
        return end + 1;
    case 't':
        return scan_take_literal(s, p, "true", 4);
    case 'f':
        return scan_take_literal(s, p, "false", 5);
    case 'n':
        return scan_take_literal(s, p, "null", 4);
    case '{':
    case '[':
        return scan_skip_members(s, p, depth + 1);
    default:
        return scan_skip_number(s, p);
    }
}

/* What a scanner calls of one machine: this file may be compiled for several kinds of processors. */
typedef struct {
    const char *(*object_into)(scan_state *s, const scan_object *o, const char *p, int depth);
    const char *(*object_rest)(scan_state *s, const scan_object *o, const char *p, uint16_t index);
} scan_calls;

static const scan_calls SCAN_CALLS = {scan_object_into, scan_object_rest};

#endif
