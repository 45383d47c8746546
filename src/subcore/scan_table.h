/* What the scanner runs on: a venue's field table, compiled. Built once by the schema, then read only, but for the
 * guesses of which key follows which. */
#ifndef SUBCORE_SCAN_TABLE_H
#define SUBCORE_SCAN_TABLE_H

#include <stdint.h>
#include <string.h>

#include "scan_number.h"

enum {
    STATE_OK = 0, STATE_CONTROL, STATE_END, STATE_BAD_JSON, STATE_BAD_UTF8, STATE_DUPLICATE_KEY, STATE_DEPTH,
    STATE_OVERFLOW, STATE_INT_RANGE, STATE_WRONG_TYPE, STATE_MISSING_FIELD, STATE_TRAILING_BYTES,
    STATE_NUMBER_SYNTAX, STATE_UNKNOWN_CHANNEL, STATE_COUNT
};

enum {
    SCAN_SKIP = 0,   /* known, of no use: any value */
    SCAN_DOUBLE, SCAN_INT, SCAN_ID, SCAN_TEXT, SCAN_SYMBOL, SCAN_ENUM, SCAN_FLAGS, SCAN_TRUTH, SCAN_VARIANT,
    SCAN_TIME_TEXT, SCAN_QUOTED_DOUBLE, SCAN_OBJECT, SCAN_ROWS
};

enum { SCAN_REQUIRED = 1, SCAN_NULLABLE = 2, SCAN_QUOTED = 4, SCAN_BARE = 8, SCAN_UPPER = 16, SCAN_POSITIONAL = 32,
       SCAN_DROP_ZERO = 64 };

#define MAX_FIELDS 64        /* a bit each in one word */
#define KEY_BYTES 32         /* of a key with its quotes and colon, at most */
#define NO_FIELD 0xFFFF

typedef struct {
    const char *text;
    int32_t size;
    int32_t value;
    uint64_t head;                /* its first 8 bytes, zeros behind a shorter one */
    uint64_t mask;                /* of those it has */
    int is_short;                 /* these are all, and plain characters */
} scan_word;

typedef struct scan_object scan_object;

typedef struct scan_field scan_field;

struct scan_field {
    char pattern[KEY_BYTES];      /* "key": as it stands on the wire */
    uint32_t loose;               /* a bit for each byte behind it: those may differ */
    int32_t pattern_size;
    uint64_t bit;                 /* of this field among the object's */
    scan_field *next;             /* the field whose key followed last time, or SCAN_NO_GUESS */
    const char *key;
    int32_t key_size;
    uint8_t type;
    uint8_t flags;
    uint8_t target;               /* 0: the record; 1, 2: row of that side */
    uint8_t capacity;             /* of a text */
    uint16_t offset;
    uint16_t text_offset;         /* SCAN_ID: where a text goes */
    int64_t scale;
    const scan_object *child;
    const scan_word *map;
    int32_t map_size;
};

struct scan_object {
    scan_field *fields;
    uint16_t *slots;              /* hash of key -> field, NO_FIELD = empty */
    uint64_t required;
    uint64_t numbers;             /* fields that hold one */
    uint64_t all;
    int32_t count;
    int32_t number_count;
    uint32_t slot_mask;
    scan_field *first;            /* the field whose key came first last time, or SCAN_NO_GUESS */
    uint8_t sides;                /* rows: bit 0 side 1, bit 1 side 2 */
    const char *blank;            /* a row with everything absent, or NULL where every field is required */
};

typedef struct {                  /* what a discriminator's text leads to */
    const char *text;
    int32_t size;
    uint16_t channel;
    uint16_t format;
    uint16_t key_field;           /* the discriminator's key among the object's fields, or NO_FIELD */
    const scan_object *object;
    const char *blank;            /* a record with everything absent */
    int32_t record_size;
    uint8_t kind;
    uint8_t key_is_read;          /* that field fills a member: the object must be read from its start */
} scan_entry;

typedef struct {
    scan_field key;               /* only its pattern and key are used */
    scan_entry *entries;
    uint16_t *slots;
    uint32_t slot_mask;
    int32_t count;
    char split;                   /* 0, or what parts the symbol from the channel */
    uint8_t symbol_upper;
} scan_discriminator;

/* Stands for no guess: no key begins like this, and the scanner looks for none where an object ends. */
static const scan_field SCAN_NO_GUESS = {.pattern = "}", .pattern_size = 1};

/* Texts of up to any size; all bytes of those up to 16 take part. */
static inline uint32_t scan_hash(const char *text, int64_t size) {
    uint64_t head = 0, tail = 0;
    if (size >= 8) {
        memcpy(&head, text, 8);
        memcpy(&tail, text + size - 8, 8);
    } else
        memcpy(&head, text, (size_t)size);
    head = (head ^ (tail * 0x9E3779B97F4A7C15ull) ^ (uint64_t)size) * 0xD6E8FEB86659FD93ull;
    return (uint32_t)(head >> 32);
}

static inline void scan_prepare_key(scan_field *f) {
    f->pattern_size = f->key_size + 3;
    memset(f->pattern, 0, sizeof f->pattern);
    f->pattern[0] = '"';
    memcpy(f->pattern + 1, f->key, (size_t)f->key_size);
    memcpy(f->pattern + 1 + f->key_size, "\":", 2);
    f->loose = ~(~0u >> (KEY_BYTES - f->pattern_size));
    f->next = (scan_field *)&SCAN_NO_GUESS;
}

static inline int scan_is_number(const scan_field *f) {
    return f->type == SCAN_DOUBLE || f->type == SCAN_QUOTED_DOUBLE || f->type == SCAN_INT || f->type == SCAN_ID ||
           f->type == SCAN_VARIANT;
}

static inline void scan_prepare_object(scan_object *o) {
    int32_t i;
    o->first = (scan_field *)&SCAN_NO_GUESS;
    o->all = ~0ull >> (64 - o->count);
    for (i = 0; i < o->count; i++) {
        o->fields[i].bit = 1ull << i;
        if (scan_is_number(&o->fields[i])) {
            o->numbers |= 1ull << i;
            o->number_count++;
        }
    }
}

static inline void scan_prepare_word(scan_word *w) {
    int32_t known = w->size < 8 ? w->size : 8, i;
    w->head = 0;
    memcpy(&w->head, w->text, (size_t)known);
    w->mask = known == 0 ? 0 : ~0ull >> (64 - 8 * known);
    w->is_short = w->size <= 8;
    for (i = 0; i < w->size; i++)
        w->is_short &= w->text[i] >= 0x20 && w->text[i] < 0x7F && w->text[i] != '"' && w->text[i] != '\\';
}

/* Does this field's key, colon included, stand at p? */
SCAN_HOT int scan_is_key(const scan_field *f, const char *p) {
#if defined(SCAN_WIDE)
    const __m256i same = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)f->pattern),
                                           _mm256_loadu_si256((const __m256i *)p));
    return ((uint32_t)_mm256_movemask_epi8(same) | f->loose) == ~0u;
#elif defined(__SSE2__)
    __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)f->pattern), _mm_loadu_si128((const __m128i *)p));
    if (((uint32_t)_mm_movemask_epi8(same) | (f->loose & 0xFFFF)) != 0xFFFF)
        return 0;
    if (f->pattern_size <= 16)
        return 1;
    same = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(f->pattern + 16)), _mm_loadu_si128((const __m128i *)(p + 16)));
    return ((uint32_t)_mm_movemask_epi8(same) | f->loose >> 16) == 0xFFFF;
#else
    return memcmp(f->pattern, p, (size_t)f->pattern_size) == 0;
#endif
}

static inline uint16_t scan_find_field(const scan_object *o, const char *text, int64_t size) {
    uint32_t at = scan_hash(text, size) & o->slot_mask;
    for (; o->slots[at] != NO_FIELD; at = (at + 1) & o->slot_mask) {
        const scan_field *f = &o->fields[o->slots[at]];
        if (f->key_size == size && memcmp(f->key, text, (size_t)size) == 0)
            return o->slots[at];
    }
    return NO_FIELD;
}

static inline const scan_entry *scan_find_entry(const scan_discriminator *d, const char *text, int64_t size) {
    uint32_t at = scan_hash(text, size) & d->slot_mask;
    for (; d->slots[at] != NO_FIELD; at = (at + 1) & d->slot_mask) {
        const scan_entry *e = &d->entries[d->slots[at]];
        if (e->size == size && memcmp(e->text, text, (size_t)size) == 0)
            return e;
    }
    return 0;
}

#endif
