/* Which table an object belongs to: the first of its keys that is a discriminator leads to it. */
#ifndef SUBCORE_SCAN_WHICH_H
#define SUBCORE_SCAN_WHICH_H

#include "scan_machine.h"

/* The value of the first discriminator. NULL and CONTROL, with s->p behind the object, where it has none. */
static const char *scan_find_discriminator(scan_state *s, const scan_discriminator *known, int32_t count,
                                           const scan_discriminator **found, int *is_first_key) {
    const char *p = scan_blank(s->p + 1), *text;
    int64_t size;
    int32_t i;
    *is_first_key = 1;
    while (*p != '}') {
        for (i = 0; i < count; i++)
            if (scan_is_key(&known[i].key, p)) {
                *found = &known[i];
                return scan_blank(p + known[i].key.pattern_size);
            }
        p = scan_any_key(s, p, &text, &size);
        if (p == 0)
            return 0;
        for (i = 0; i < count; i++)
            if (known[i].key.key_size == size && memcmp(known[i].key.key, text, (size_t)size) == 0) {
                *found = &known[i];
                return p;
            }
        *is_first_key = 0;
        p = scan_skip(s, p, 1);
        if (p != 0)
            p = scan_after_value(s, p, '}');
        if (p == 0)
            return 0;
    }
    return scan_refuse(s, p + 1, STATE_CONTROL);
}

/* Take the symbol off a text that is symbol and table's name; keep it where it may stand in the scratch. */
static int scan_split_symbol(scan_state *s, const scan_discriminator *d, const char **text, int64_t *size) {
    const char *part = (const char *)memchr(*text, d->split, (size_t)*size);
    if (part == 0)
        return 0;
    s->symbol = *text;
    s->symbol_size = part - *text;
    s->symbol_upper = d->symbol_upper;
    if (*text == s->scratch)
        s->scratch += *size;
    *size -= s->symbol_size + 1;
    *text = part + 1;
    return 1;
}

/* The table for the object at s->p, which goes behind the text that names it; or CONTROL, or a refusal. */
static int scan_find_table(scan_state *s, const scan_discriminator *known, int32_t count, const scan_entry **entry,
                           int *is_first_key) {
    const scan_discriminator *d = 0;
    const char *text, *p, *whole = s->p, *start = scan_find_discriminator(s, known, count, &d, is_first_key);
    int64_t size;
    if (start == 0)
        return s->state;
    p = scan_take_text(s, start, &text, &size);
    if (p == 0)
        return s->state;
    s->p = start;
    if (d->split && !scan_split_symbol(s, d, &text, &size)) {
        p = scan_skip(s, whole, 0);      /* it names no market: something beside data is said */
        if (p != 0)
            scan_refuse(s, p, STATE_CONTROL);
        return s->state;
    }
    *entry = scan_find_entry(d, text, size);
    if (*entry == 0)
        return STATE_UNKNOWN_CHANNEL;
    s->p = p;
    return STATE_OK;
}

#endif
