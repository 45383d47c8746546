/* Room for one frame, copied between zero bytes, and behind it scratch for texts without their escapes.
 *
 * A zero byte ends every run of the scanner and is no JSON, so it needs no bounds check. Grows with the frames and is
 * given back when they stay small.
 */
#ifndef SUBCORE_SCAN_FRAME_H
#define SUBCORE_SCAN_FRAME_H

#include <Python.h>

#include "scan_value.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

enum {
    FRAME_FRONT = 16,             /* zero bytes before the frame */
    FRAME_BACK = 40,              /* and behind it: more than the longest read past the end */
    FRAME_SMALLEST = 8192,
    FRAME_KEPT = 262144,          /* a room grown beyond this by a great frame is given back ... */
    FRAME_PATIENCE = 256          /* ... after so many small ones */
};

typedef struct {
    char *memory;
    int64_t room;                 /* of frame and of scratch */
    int32_t small_frames;         /* since the room was last needed at its size */
} scan_frame;

static inline char *scan_frame_start(const scan_frame *f) {
    return f->memory + FRAME_FRONT;
}

static inline char *scan_frame_scratch(const scan_frame *f) {
    return f->memory + FRAME_FRONT + f->room + FRAME_BACK;
}

static inline int64_t scan_frame_bytes(int64_t room) {
    return FRAME_FRONT + 2 * (room + FRAME_BACK);
}

/* Nothing may touch what lies between the zero bytes behind the frame and the scratch; known to the address sanitizer
 * alone. */
static inline void scan_frame_shut(const scan_frame *f, int64_t size) {
#if defined(__SANITIZE_ADDRESS__)
    ASAN_POISON_MEMORY_REGION(scan_frame_start(f) + size + FRAME_BACK, f->room - size);
#endif
    (void)f, (void)size;
}

static inline void scan_frame_open(const scan_frame *f) {
#if defined(__SANITIZE_ADDRESS__)
    if (f->memory != 0)
        ASAN_UNPOISON_MEMORY_REGION(f->memory, scan_frame_bytes(f->room));
#endif
    (void)f;
}

static inline void scan_frame_free(scan_frame *f) {
    scan_frame_open(f);
    PyMem_RawFree(f->memory);
    f->memory = 0;
}

/* 0 where there is no memory: what was there stays. */
static inline int scan_frame_resize(scan_frame *f, scan_state *s, int64_t room) {
    char *made = (char *)PyMem_RawMalloc((size_t)scan_frame_bytes(room));
    if (made == 0)
        return 0;
    memset(made, 0, FRAME_FRONT);
    scan_frame_free(f);
    f->memory = made;
    f->room = room;
    f->small_frames = 0;
    s->start = s->end = s->p = scan_frame_start(f);
    s->scratch_end = made + scan_frame_bytes(room);
    return 1;
}

/* Make the room fit a frame; 0 where there is no memory for it. */
static inline int scan_frame_fit(scan_frame *f, scan_state *s, int64_t size) {
    int64_t room = FRAME_SMALLEST;
    if (size <= f->room) {
        if (f->room <= FRAME_KEPT || size > FRAME_KEPT) {
            f->small_frames = 0;
            return 1;
        }
        f->small_frames++;
        if (f->small_frames >= FRAME_PATIENCE && !scan_frame_resize(f, s, FRAME_KEPT))
            f->small_frames = 0;  /* no memory for a smaller room: this one will do */
        return 1;
    }
    while (room < size)
        room *= 2;
    return scan_frame_resize(f, s, room);
}

/* Copy a frame in and stand at its start; 0 where there is no memory for it. */
static inline int scan_frame_take(scan_frame *f, scan_state *s, const char *data, int64_t size) {
    char *start;
    if (!scan_frame_fit(f, s, size))
        return 0;
    scan_frame_open(f);
    start = scan_frame_start(f);
    memcpy(start, data, (size_t)size);
    memset(start + size, 0, FRAME_BACK);
    scan_frame_shut(f, size);
    s->start = s->p = start;
    s->end = start + size;
    return 1;
}

#endif
