# cython: language_level=3
"""The scanner: one pass over a frame, from a venue's JSON to filled structs.

The frame is copied once (scan_frame.h), the table for each of its objects found (scan_which.h), and the object read by
it (scan_machine.h). Nothing here raises on what a frame holds.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy

import sys

from _scan_table cimport scan_discriminator, scan_entry, scan_object
from subcore._events cimport KIND_ASSET, KIND_ORDERBOOK, Balance, Level, make_event
from subcore._scan_wide cimport wide_calls

cdef extern from "scan_machine.h" nogil:
    ctypedef struct scan_state:
        const char* p
        int state
        const char* start
        const char* end
        char** rows
        char** at
        int64_t* row_count
        int64_t* row_size
        int64_t row_limit
        const char* symbol
        int64_t symbol_size
        int symbol_upper
        double variant
        uint8_t* flags
        char* scratch
        char* scratch_end
        uint64_t numbers_fast, numbers_slow, keys_guessed, keys_looked_up
        double (*slow_double)(const char* text) noexcept
        int (*look_ahead)(void* who, const char* symbol, int64_t size, int step) noexcept
        void* who
        int look_step
    const char* scan_blank(const char* p)
    const char* scan_refuse(scan_state* s, const char* p, int state)
    const char* scan_skip(scan_state* s, const char* p, int depth)
    ctypedef struct scan_calls:
        const char* (*object_into)(scan_state* s, const scan_object* o, const char* p, int depth) noexcept nogil
        const char* (*object_rest)(scan_state* s, const scan_object* o, const char* p, uint16_t index) noexcept nogil
    const scan_calls SCAN_CALLS
    void scan_look_from(scan_state* s, const char* p)
    int scan_upper_symbol(scan_state* s)

cdef extern from "scan_frame.h" nogil:
    enum: FRAME_SMALLEST
    ctypedef struct scan_frame:
        int64_t room
    char* scan_frame_scratch(const scan_frame* frame)
    int64_t scan_frame_bytes(int64_t room)
    void scan_frame_free(scan_frame* frame)
    int scan_frame_resize(scan_frame* frame, scan_state* s, int64_t room)
    int scan_frame_take(scan_frame* frame, scan_state* s, const char* data, int64_t size)

cdef extern from "scan_which.h" nogil:
    int scan_find_table(scan_state* s, const scan_discriminator* known, int32_t count, const scan_entry** entry,
                        int* is_first_key)

cdef extern from "Python.h":
    double PyOS_string_to_double(const char* text, char** end, void* overflow) except? -1.0

STATES = (
    "ok", "control", "end", "bad_json", "bad_utf8", "duplicate_key", "depth", "overflow", "int_range", "wrong_type",
    "missing_field", "trailing_bytes", "number_syntax", "unknown_channel",
)
cdef enum:
    MAX_BYTES = 16777216
    MANY_SYMBOLS = 1024           # of fewer, the processor's caches hold what belongs to them


cdef double slow_double(const char* text) noexcept with gil:
    """What float() gives for a number whose grammar was judged already; NaN where memory ran out."""
    cdef char* stop = NULL
    try:
        return PyOS_string_to_double(text, &stop, NULL)
    except MemoryError:
        return NAN


cdef int look_ahead(void* scanner, const char* symbol, int64_t size, int step) noexcept nogil:
    return (<Scanner>scanner).look_ahead(symbol, size, step)


# The collector clears members before __dealloc__ runs, which needs them; no cycle leads through this class alone.
@cython.no_gc_clear
@cython.final
cdef class Scanner:
    """Scans the frames of one venue. Not thread-safe; reuses its buffers, so a record lives until the next frame.

    `interner`: where symbols are looked up (never added); without one, `record.head.symbol` stays -1.
    `max_bytes`: a longer frame is refused with "overflow". `portable`: do without what only newer processors have.
    """

    def __cinit__(self, Schema schema not None, Interner interner=None, *, Py_ssize_t max_bytes=MAX_BYTES,
                  bint portable=False):
        cdef Py_ssize_t side
        self.calls = &SCAN_CALLS
        if not portable and wide_calls() != NULL:
            self.calls = wide_calls()
        if max_bytes < 2:
            raise ValueError(f"max_bytes must be at least 2, not {max_bytes}")
        self.schema = schema
        self.interner = interner
        self.max_bytes = max_bytes
        side = (schema.max_rows + 1) * <Py_ssize_t>max(sizeof(Level), sizeof(Balance))
        self.rows_bytes = 2 * side
        self.machine = PyMem_RawCalloc(1, sizeof(scan_state))
        self.rows = <char*>PyMem_RawCalloc(1, <size_t>self.rows_bytes)
        self.frame = PyMem_RawCalloc(1, sizeof(scan_frame))
        self.variants = Variants(len(schema.channels))
        if (
            self.machine == NULL or self.rows == NULL or self.frame == NULL
            or not scan_frame_resize(<scan_frame*>self.frame, <scan_state*>self.machine, FRAME_SMALLEST)
        ):
            raise MemoryError("no memory for a scanner")
        cdef scan_state* s = <scan_state*>self.machine
        s.rows[0] = s.at[0] = <char*>&self.record
        s.flags = &self.record.head.flags
        s.rows[1] = self.rows
        s.rows[2] = self.rows + side
        s.row_limit = schema.max_rows
        s.slow_double = slow_double
        if interner is not None:
            self.lookout = Lookout(interner)
            s.look_ahead, s.who = look_ahead, <void*>self
        self.done = True

    def __dealloc__(self):
        if self.frame != NULL:
            scan_frame_free(<scan_frame*>self.frame)
        PyMem_RawFree(self.frame)
        PyMem_RawFree(self.machine)
        PyMem_RawFree(self.rows)

    @cython.nonecheck(False)          # the check needs the GIL
    cdef int refuse(self, int state) noexcept nogil:
        cdef scan_state* s = <scan_state*>self.machine
        self.counts[state] += 1
        self.error_position = s.p - s.start
        self.done = True
        return state

    cdef int begin(self, const char* data, Py_ssize_t size) noexcept nogil:
        cdef scan_state* s = <scan_state*>self.machine
        self.symbol_text = NULL
        self.symbol_size = 0
        if size > self.max_bytes or not scan_frame_take(<scan_frame*>self.frame, s, data, size):
            s.p = s.start
            return self.refuse(SCAN_OVERFLOW)
        s.p = scan_blank(s.p)
        self.done = False
        self.in_list = s.p[0] == b"["
        if self.in_list:
            s.p = scan_blank(s.p + 1)
            if s.p[0] == b"]":
                return SCAN_OK if self.after_element() == SCAN_OK else self.refuse(SCAN_TRAILING_BYTES)
        return SCAN_OK

    @cython.nonecheck(False)          # the check needs the GIL
    cdef int next(self) noexcept nogil:
        """The next element: OK with `record` filled, CONTROL, END, or a refusal after which the frame is over."""
        cdef scan_state* s = <scan_state*>self.machine
        cdef uint64_t guessed, fast
        cdef int state, after
        if self.done:
            return SCAN_END
        guessed, fast = s.keys_guessed, s.numbers_fast
        state = self.element()
        if state > SCAN_END:
            # They are counted where an object ends, and what was not so taken back before.
            s.keys_guessed, s.numbers_fast = guessed, fast
            return self.refuse(state)
        after = self.after_element()
        if after != SCAN_OK:
            return self.refuse(after)
        self.counts[state] += 1
        return state

    cdef int after_element(self) noexcept nogil:
        """Past what follows an element: a comma, or the end of the frame."""
        cdef scan_state* s = <scan_state*>self.machine
        s.p = scan_blank(s.p)
        if self.in_list:
            if s.p[0] == b",":
                s.p = scan_blank(s.p + 1)
                return SCAN_OK
            if s.p[0] != b"]":
                return SCAN_BAD_JSON
            s.p = scan_blank(s.p + 1)
        self.done = True
        return SCAN_OK if s.p == s.end else SCAN_TRAILING_BYTES

    @cython.nonecheck(False)          # the check needs the GIL
    cdef int element(self) noexcept nogil:
        """One object at s.p."""
        cdef scan_state* s = <scan_state*>self.machine
        cdef const scan_entry* entry = NULL
        cdef const char* start = s.p
        cdef const char* p
        cdef int state, is_first_key = False
        self.symbol_text = NULL
        self.symbol_size = 0
        s.scratch = scan_frame_scratch(<const scan_frame*>self.frame)
        if start[0] != b"{":
            if scan_skip(s, start, 0) != NULL:
                scan_refuse(s, start, SCAN_WRONG_TYPE)
            return s.state
        s.symbol = NULL
        s.symbol_upper = False
        s.variant = 0
        state = scan_find_table(s, <const scan_discriminator*>self.schema.discriminators,
                                self.schema.discriminator_count, &entry, &is_first_key)
        if state != SCAN_OK:
            return state
        memcpy(&self.record, entry.blank, <size_t>entry.record_size)
        s.at[1], s.at[2] = s.rows[1], s.rows[2]
        s.row_count[1] = 0
        s.row_count[2] = 0
        s.row_size[1] = <int64_t>(sizeof(Balance) if entry.kind == KIND_ASSET else sizeof(Level))
        s.row_size[2] = <int64_t>sizeof(Level)
        scan_look_from(s, s.p)        # the symbol may stand in the text that names the table
        if is_first_key and not entry.key_is_read:
            p = (<const scan_calls*>self.calls).object_rest(s, entry.object, s.p, entry.key_field)
        else:
            p = (<const scan_calls*>self.calls).object_into(s, entry.object, start, 1)
        if p == NULL:
            return s.state
        s.p = p
        return self.finish(entry)

    @cython.nonecheck(False)          # the check needs the GIL
    cdef int finish(self, const void* found) noexcept nogil:
        """What is known only when the object is through: symbol, variant, rows."""
        cdef scan_state* s = <scan_state*>self.machine
        cdef const scan_entry* entry = <const scan_entry*>found
        self.format = entry.format
        if entry.kind == KIND_ORDERBOOK:
            self.record.orderbook.bids = <const Level*>s.rows[1]
            self.record.orderbook.asks = <const Level*>s.rows[2]
            self.record.orderbook.bid_count = <int32_t>s.row_count[1]
            self.record.orderbook.ask_count = <int32_t>s.row_count[2]
        elif entry.kind == KIND_ASSET:
            self.record.asset.balances = <const Balance*>s.rows[1]
            self.record.asset.balance_count = <int32_t>s.row_count[1]
        if s.variant != 0:
            self.record.head.variant = self.variants.find(entry.channel, s.variant)
        return self.finish_symbol() if s.symbol != NULL else SCAN_OK

    @cython.nonecheck(False)          # the check needs the GIL
    cdef bint look_ahead(self, const char* symbol, int64_t size, int step) noexcept nogil:
        """A step of it; whether there is another one. What few symbols lead to is near anyway."""
        if step == 1:
            self.lookout.expect_text(symbol, size)
            return self.interner.used >= MANY_SYMBOLS
        if step == 2:
            self.lookout.expect_symbol(self.record.head.channel)
            return True
        self.lookout.expect_stream()
        return False

    @cython.nonecheck(False)          # the check needs the GIL
    cdef int finish_symbol(self) noexcept nogil:
        cdef scan_state* s = <scan_state*>self.machine
        if s.symbol_upper and not scan_upper_symbol(s):
            return SCAN_OVERFLOW
        self.symbol_text = s.symbol
        self.symbol_size = s.symbol_size
        if s.look_step:
            self.record.head.symbol = self.interner.find_tagged(self.lookout.tag, s.symbol, s.symbol_size)
        elif self.interner is not None:
            self.record.head.symbol = self.interner.find(s.symbol, s.symbol_size)
        return SCAN_OK

    # -- Python's face --

    def scan(self, frame):
        """Scan one frame: [(state, event or None), ...], a refusal last if there was one. For tests and cold use.

        `frame`: bytes or another contiguous buffer. Events have venue "" and no receive time.
        """
        cdef Py_buffer view
        cdef list found = []
        cdef int state
        PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
        state = self.begin(<const char*>view.buf, view.len)
        PyBuffer_Release(&view)
        if state != SCAN_OK:
            return [(STATES[state], None)]
        while True:
            state = self.next()
            if state == SCAN_END:
                return found
            found.append((STATES[state], self.event() if state == SCAN_OK else None))
            if state > SCAN_END:
                return found

    cdef object event(self):
        cdef str symbol = None
        if self.symbol_text != NULL:
            symbol = self.symbol_text[:self.symbol_size].decode("utf-8", "surrogatepass")
        return make_event(&self.record, "", self.schema.channels[self.record.head.channel], symbol, None, 0)

    def set_variants(self, channel, values):
        """Say which number of a channel's variant field has which index, 1 to 65,534; number 0 has index 0.

        `channel`: its index or name. `values`: mapping number -> index; replaces what was set. Other numbers have
        index 65,535. IndexError or ValueError, with nothing changed.
        """
        self.variants.put(self.schema.channels.index(channel) if isinstance(channel, str) else channel, values)

    @property
    def portable(self):
        """bool: the machine in use is the one that runs on every processor."""
        return self.calls == &SCAN_CALLS

    @property
    def variant(self):
        """Index of the last record's variant: 0 none, 65,535 one that nobody set."""
        return self.record.head.variant

    def counters(self):
        """How often each state was reached, numbers by path, keys guessed or looked up."""
        cdef scan_state* s = <scan_state*>self.machine
        counts = {name: self.counts[i] for i, name in enumerate(STATES)}
        counts["numbers_fast"] = s.numbers_fast
        counts["numbers_slow"] = s.numbers_slow
        counts["keys_guessed"] = s.keys_guessed
        counts["keys_looked_up"] = s.keys_looked_up
        return counts

    @property
    def nbytes(self):
        """Bytes of this object and its buffers; the schema and the interner count their own."""
        cdef const scan_frame* frame = <const scan_frame*>self.frame
        return (sys.getsizeof(self) + sizeof(scan_state) + sizeof(scan_frame) + self.rows_bytes
                + scan_frame_bytes(frame.room) + sys.getsizeof(self.variants) + self.variants.size())
