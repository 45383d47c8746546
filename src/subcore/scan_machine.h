/* The scanner's inner machine: one pass over one JSON object into a record. It never fails: it ends in a state. */
#ifndef SUBCORE_SCAN_MACHINE_H
#define SUBCORE_SCAN_MACHINE_H

#include "scan_value.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#define MAX_DEPTH 32
#define MAX_DIGITS 4300 /* of a skipped integer: what Python's int() converts by default */

/* Part of the buffer that nothing may touch until it is opened again; known to the address sanitizer alone. */
static inline void scan_shut(const char *start, const char *end) {
#if defined(__SANITIZE_ADDRESS__)
    ASAN_POISON_MEMORY_REGION(start, end - start);
#endif
    (void)start, (void)end;
}

static inline void scan_open(const char *start, const char *end) {
#if defined(__SANITIZE_ADDRESS__)
    ASAN_UNPOISON_MEMORY_REGION(start, end - start);
#endif
    (void)start, (void)end;
}

static int scan_object_into(scan_state *s, const scan_object *o, int depth);
static int scan_skip(scan_state *s, int depth);
static int scan_rows(scan_state *s, const scan_field *f, int depth);

static inline int scan_value(scan_state *s, const scan_field *f, int depth) {
    char *base = f->target == 0 ? s->record : s->rows[f->target] + s->row_count[f->target] * s->row_size[f->target];
    char *at = base + f->offset;
    int32_t word;
    int state;
    if (*s->p == 'n' && f->flags & SCAN_NULLABLE)
        return scan_take_literal(s, "null", 4);
    switch (f->type) {
    case SCAN_DOUBLE:
        return scan_take_double(s, f, (double *)at);
    case SCAN_INT:
        return scan_take_int(s, f, (int64_t *)at);
    case SCAN_ID:
        return *s->p == '"' ? scan_store_text(s, base + f->text_offset, f->capacity) : scan_take_int(s, f, (int64_t *)at);
    case SCAN_TEXT:
        return scan_store_text(s, at, f->capacity);
    case SCAN_SYMBOL:
        return scan_take_symbol(s, f);
    case SCAN_ENUM:
        state = scan_take_word(s, f, &word);
        *(uint8_t *)at = (uint8_t)word;
        return state;
    case SCAN_FLAGS:
        state = scan_take_word(s, f, &word);
        *s->flags |= (uint8_t)word;
        return state;
    case SCAN_TRUTH:
        return scan_take_truth(s, (uint8_t *)at);
    case SCAN_VARIANT:
        state = scan_take_double(s, f, &s->variant);
        *(double *)at = s->variant;
        return state;
    case SCAN_TIME_TEXT:
        return scan_take_time(s, (int64_t *)at);
    case SCAN_OBJECT:
        if (*s->p != '{')
            return scan_mistyped(s, s->p);
        return scan_object_into(s, f->child, depth + 1);
    case SCAN_ROWS:
        return scan_rows(s, f, depth + 1);
    default:
        return scan_skip(s, depth);
    }
}

/* A key at its opening quote, as text; then past its colon. */
static int scan_top_key(scan_state *s, const char **text, int64_t *size) {
    const char *p = s->p;
    int state;
    if (*p != '"')
        return scan_stop(s, p, STATE_BAD_JSON);
    state = scan_take_text(s, text, size);
    if (state != STATE_OK)
        return state;
    p = scan_blank(s->p);
    if (*p != ':')
        return scan_stop(s, p, STATE_BAD_JSON);
    s->p = scan_blank(p + 1);
    return STATE_OK;
}

/* The same by hash. */
static int scan_key(scan_state *s, const scan_object *o, uint16_t *field) {
    const char *text;
    int64_t size;
    int state = scan_top_key(s, &text, &size);
    s->keys_looked_up++;
    if (state == STATE_OK)
        *field = o == 0 ? NO_FIELD : scan_find_field(o, text, size);
    return state;
}

/* An object at its brace. The guess of the next key is the one that followed this key last time. */
static int scan_object_into(scan_state *s, const scan_object *o, int depth) {
    uint16_t *guess = (uint16_t *)&o->first, index;
    uint64_t seen = 0;
    int state;
    const char *p = scan_blank(s->p + 1);
    if (depth > MAX_DEPTH)
        return scan_stop(s, s->p, STATE_DEPTH);
    if (*p == '}') {
        s->p = p + 1;
        return o->required ? STATE_MISSING_FIELD : STATE_OK;
    }
    for (;;) {
        index = *guess;
        if (index != NO_FIELD && scan_is_key(&o->fields[index], p)) {
            s->keys_guessed++;
            p += o->fields[index].pattern_size;
            s->p = *p <= ' ' ? scan_blank(p) : p;
        } else {
            s->p = p;
            state = scan_key(s, o, &index);
            if (state != STATE_OK)
                return state;
        }
        if (index == NO_FIELD) {
            state = scan_skip(s, depth);
        } else {
            if (seen >> index & 1)
                return scan_stop(s, p, STATE_DUPLICATE_KEY);
            seen |= 1ull << index;
            *guess = index;
            guess = &o->fields[index].next;
            state = scan_value(s, &o->fields[index], depth);
        }
        if (state != STATE_OK)
            return state;
        p = s->p;
        if (*p == ',' && p[1] == '"') {
            p++;
            continue;
        }
        p = scan_blank(p);
        if (*p == '}')
            break;
        if (*p != ',')
            return scan_stop(s, p, STATE_BAD_JSON);
        p = scan_blank(p + 1);
    }
    s->p = p + 1;
    return (o->required & ~seen) == 0 ? STATE_OK : STATE_MISSING_FIELD;
}

/* One row given as an array: fields by position; what comes after the last is skipped. */
static int scan_row_array(scan_state *s, const scan_object *o, int depth) {
    int32_t index = 0;
    int state;
    const char *p = scan_blank(s->p + 1);
    if (depth > MAX_DEPTH)
        return scan_stop(s, s->p, STATE_DEPTH);
    for (; *p != ']'; index++) {
        s->p = p;
        state = index < o->count ? scan_value(s, &o->fields[index], depth) : scan_skip(s, depth);
        if (state != STATE_OK)
            return state;
        p = scan_blank(s->p);
        if (*p == ',') {
            p = scan_blank(p + 1);
            if (*p == ']')
                return scan_stop(s, p, STATE_BAD_JSON);
        } else if (*p != ']')
            return scan_stop(s, p, STATE_BAD_JSON);
    }
    s->p = p + 1;
    return index >= o->count ? STATE_OK : STATE_MISSING_FIELD;
}

static inline void scan_blank_row(scan_state *s, const scan_object *o, int side) {
    if (o->blank != 0 && o->sides >> (side - 1) & 1)
        memcpy(s->rows[side] + s->row_count[side] * s->row_size[side], o->blank, (size_t)s->row_size[side]);
}

static inline void scan_keep_row(scan_state *s, const scan_field *f, int side) {
    if (!(f->child->sides >> (side - 1) & 1))
        return;
    /* a thin side is padded with levels of price 0: no level of the book */
    if (f->flags & SCAN_DROP_ZERO && *(double *)(s->rows[side] + s->row_count[side] * s->row_size[side]) == 0)
        return;
    s->row_count[side]++;
}

static int scan_rows(scan_state *s, const scan_field *f, int depth) {
    const char *p = s->p;
    int64_t count = 0;
    int state;
    int positional = f->flags & SCAN_POSITIONAL;
    if (*p != '[')
        return scan_mistyped(s, p);
    if (depth + 1 > MAX_DEPTH)
        return scan_stop(s, p, STATE_DEPTH);
    p = scan_blank(p + 1);
    for (; *p != ']'; count++) {
        if (*p != (positional ? '[' : '{'))
            return scan_mistyped(s, p);
        /* by side too: two arrays of one object may fill the same side */
        if (count >= s->row_limit || s->row_count[1] >= s->row_limit || s->row_count[2] >= s->row_limit)
            return scan_stop(s, p, STATE_OVERFLOW);
        s->p = p;
        scan_blank_row(s, f->child, 1);
        scan_blank_row(s, f->child, 2);
        state = positional ? scan_row_array(s, f->child, depth + 1) : scan_object_into(s, f->child, depth + 1);
        if (state != STATE_OK)
            return state;
        scan_keep_row(s, f, 1);
        scan_keep_row(s, f, 2);
        p = scan_blank(s->p);
        if (*p == ',') {
            p = scan_blank(p + 1);
            if (*p == ']')
                return scan_stop(s, p, STATE_BAD_JSON);
        } else if (*p != ']')
            return scan_stop(s, p, STATE_BAD_JSON);
    }
    s->p = p + 1;
    return STATE_OK;
}

/* Any value, judged as strictly as one that is kept. */
static int scan_skip(scan_state *s, int depth) {
    const char *p = s->p, *end;
    scan_number n;
    uint16_t ignored;
    int escaped, state;
    switch (*p) {
    case '"':
        state = scan_string(p + 1, &end, &escaped);
        return scan_stop(s, state == TEXT_OK ? end + 1 : end, state == TEXT_OK ? STATE_OK : scan_text_state(state));
    case 't':
        return scan_take_literal(s, "true", 4);
    case 'f':
        return scan_take_literal(s, "false", 5);
    case 'n':
        return scan_take_literal(s, "null", 4);
    case '{':
    case '[':
        break;
    default:
        state = scan_split(p, &n);
        if (state == NUMBER_NONE)
            return scan_stop(s, p, STATE_BAD_JSON);
        if (state == NUMBER_BAD)
            return scan_stop(s, p, STATE_NUMBER_SYNTAX);
        if (n.is_integer && n.end - p > MAX_DIGITS)
            return scan_stop(s, p, STATE_INT_RANGE);
        return scan_stop(s, n.end, STATE_OK);
    }
    if (depth + 1 > MAX_DEPTH)
        return scan_stop(s, p, STATE_DEPTH);
    escaped = *p == '{';   /* an object, else an array */
    p = scan_blank(p + 1);
    if (*p == (escaped ? '}' : ']'))
        return scan_stop(s, p + 1, STATE_OK);
    for (;;) {
        s->p = p;
        state = escaped ? scan_key(s, 0, &ignored) : STATE_OK;
        if (state == STATE_OK)
            state = scan_skip(s, depth + 1);
        if (state != STATE_OK)
            return state;
        p = scan_blank(s->p);
        if (*p == (escaped ? '}' : ']'))
            return scan_stop(s, p + 1, STATE_OK);
        if (*p != ',')
            return scan_stop(s, p, STATE_BAD_JSON);
        p = scan_blank(p + 1);
    }
}

#endif
