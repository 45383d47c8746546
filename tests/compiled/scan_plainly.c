/* Written by hand: the scanner's machine as it is on a processor without SSE2: prints how a frame ended, and what was read. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "scan_machine.h"

static double by_strtod(const char *text) { return strtod(text, 0); }

int main(int count, char **frames) {
    static char frame[4096], record[256], scratch[2048];
    static uint16_t slots[8];
    static scan_field fields[2];
    static scan_object object;
    int i;
    memset(slots, 0xFF, sizeof slots);
    fields[0] = (scan_field){.key = "price", .key_size = 5, .type = SCAN_DOUBLE, .flags = SCAN_BARE, .offset = 8};
    fields[1] = (scan_field){.key = "note", .key_size = 4, .type = SCAN_SKIP, .flags = SCAN_BARE};
    object = (scan_object){.fields = fields, .slots = slots, .count = 2, .slot_mask = 7};
    for (i = 0; i < 2; i++) {
        uint32_t at = scan_hash(fields[i].key, fields[i].key_size) & 7;
        while (slots[at] != NO_FIELD)
            at = (at + 1) & 7;
        slots[at] = (uint16_t)i;
        scan_prepare_key(&fields[i]);
    }
    scan_prepare_object(&object);
    for (i = 1; i < count; i++) {
        scan_state s = {0};
        memset(frame, 0, sizeof frame);
        memset(record, 0, sizeof record);
        strcpy(frame + 64, frames[i]);
        s.start = frame + 64;
        s.end = s.start + strlen(s.start);
        s.scratch = scratch;
        s.scratch_end = scratch + sizeof scratch;
        s.rows[0] = s.at[0] = record;
        s.look_at = LOOK_NEVER;
        s.slow_double = by_strtod;
        const char *end = scan_object_into(&s, &object, s.start, 1);
        printf("%s %d %.17g\n", end ? "read" : "refused", s.state, *(double *)(record + 8));
    }
    return 0;
}
