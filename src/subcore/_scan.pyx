# cython: language_level=3
"""The scanner: one pass over a frame, from a venue's JSON to filled structs.

The frame is copied once between zero bytes, so that the machine (scan_machine.h) needs no bounds check: a zero byte
ends every run it makes, and a zero byte inside a frame is no JSON. Nothing here raises on what a frame holds.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from libc.math cimport NAN, isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

import sys

from subcore._events cimport KIND_ASSET, KIND_ORDERBOOK, Balance, Level, make_event
from subcore._scan_wide cimport wide_calls

cdef extern from "scan_machine.h" nogil:
    ctypedef struct scan_field:
        int32_t pattern_size
        int32_t key_size
        const char* key
    ctypedef struct scan_object:
        pass
    ctypedef struct scan_entry:
        uint16_t channel
        uint16_t format
        uint16_t key_field
        const scan_object* object
        const char* blank
        int32_t record_size
        uint8_t kind
        uint8_t key_is_read
    ctypedef struct scan_discriminator:
        scan_field key
        char split
        uint8_t symbol_upper
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
    void scan_shut(const char* start, const char* end)
    void scan_open(const char* start, const char* end)
    const char* scan_blank(const char* p)
    const char* scan_refuse(scan_state* s, const char* p, int state)
    const char* scan_mistyped(scan_state* s, const char* p)
    int scan_is_key(const scan_field* f, const char* p)
    const char* scan_take_text(scan_state* s, const char* p, const char** text, int64_t* size)
    const char* scan_any_key(scan_state* s, const char* p, const char** text, int64_t* size)
    const char* scan_after_value(scan_state* s, const char* p, char closing)
    const char* scan_skip(scan_state* s, const char* p, int depth)
    ctypedef struct scan_calls:
        const char* (*object_into)(scan_state* s, const scan_object* o, const char* p, int depth) noexcept nogil
        const char* (*object_rest)(scan_state* s, const scan_object* o, const char* p, uint16_t index) noexcept nogil
    const scan_calls SCAN_CALLS
    const scan_entry* scan_find_entry(const scan_discriminator* d, const char* text, int64_t size)
    void scan_look_from(scan_state* s, const char* p)
    int scan_upper_symbol(scan_state* s)

cdef extern from "Python.h":
    double PyOS_string_to_double(const char* text, char** end, void* overflow) except? -1.0

STATES = (
    "ok", "control", "end", "bad_json", "bad_utf8", "duplicate_key", "depth", "overflow", "int_range", "wrong_type",
    "missing_field", "trailing_bytes", "number_syntax", "unknown_channel",
)
cdef enum:
    FRONT = 16                    # zero bytes before the frame
    BACK = 40                     # and behind it: more than the longest read past the end
    SMALLEST_ROOM = 8192
    KEPT_ROOM = 262144            # a buffer grown beyond this by a great frame is given back ...
    KEPT_FRAMES = 256             # ... after so many small ones
    MAX_BYTES = 16777216
    UNKNOWN_VARIANT = 0xFFFF
    MAX_VARIANTS = 65534
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
        self.variants = <VariantTable*>PyMem_RawCalloc(<size_t>len(schema.channels), sizeof(VariantTable))
        if self.machine == NULL or self.rows == NULL or self.variants == NULL or not self.resize(SMALLEST_ROOM):
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
        cdef Py_ssize_t i
        if self.variants != NULL:
            for i in range(len(self.schema.channels)):
                PyMem_RawFree(self.variants[i].rows)
        PyMem_RawFree(self.variants)
        PyMem_RawFree(self.machine)
        PyMem_RawFree(self.rows)
        if self.buffer != NULL:
            scan_open(self.buffer, self.buffer + FRONT + self.room + BACK)
        PyMem_RawFree(self.buffer)

    @cython.nonecheck(False)          # the check needs the GIL
    cdef int fit(self, Py_ssize_t size) noexcept nogil:
        """Make the buffer fit a frame; false where there is no memory for it."""
        cdef Py_ssize_t room = SMALLEST_ROOM
        if size <= self.room:
            if self.room <= KEPT_ROOM or size > KEPT_ROOM:
                self.small_frames = 0
                return True
            self.small_frames += 1
            return self.small_frames < KEPT_FRAMES or self.resize(KEPT_ROOM)
        while room < size:
            room *= 2
        return self.resize(room)

    cdef int resize(self, Py_ssize_t room) noexcept nogil:
        cdef char* made = <char*>PyMem_RawMalloc(<size_t>(FRONT + 2 * (room + BACK)))
        cdef scan_state* s = <scan_state*>self.machine
        if made == NULL:
            return False
        memset(made, 0, FRONT)
        if self.buffer != NULL:
            scan_open(self.buffer, self.buffer + FRONT + self.room + BACK)
        PyMem_RawFree(self.buffer)
        self.buffer = made
        self.room = room
        self.small_frames = 0
        s.start = s.end = s.p = made + FRONT
        s.scratch_end = made + FRONT + 2 * (room + BACK)
        return True

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
        if size > self.max_bytes or not self.fit(size):
            s.p = s.start
            return self.refuse(SCAN_OVERFLOW)
        s.start = self.buffer + FRONT
        s.end = s.start + size
        scan_open(s.start, self.buffer + FRONT + self.room + BACK)
        memcpy(<char*>s.start, data, <size_t>size)
        memset(<char*>s.end, 0, BACK)
        scan_shut(s.end + BACK, self.buffer + FRONT + self.room + BACK)
        s.p = scan_blank(s.start)
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
        cdef int state, after
        if self.done:
            return SCAN_END
        state = self.element()
        if state > SCAN_END:
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

    cdef int element(self) noexcept nogil:
        """One object at s.p."""
        cdef scan_state* s = <scan_state*>self.machine
        cdef const scan_entry* entry = NULL
        cdef const char* start = s.p
        cdef const char* p
        cdef int state
        self.symbol_text = NULL
        self.symbol_size = 0
        s.scratch = self.buffer + FRONT + self.room + BACK
        if start[0] != b"{":
            if scan_skip(s, start, 0) != NULL:
                scan_refuse(s, start, SCAN_WRONG_TYPE)
            return s.state
        s.symbol = NULL
        s.symbol_upper = False
        s.variant = 0
        state = self.find_table(<const void**>&entry)
        if state != SCAN_OK:
            return state
        memcpy(&self.record, entry.blank, <size_t>entry.record_size)
        s.at[1], s.at[2] = s.rows[1], s.rows[2]
        s.row_count[1] = 0
        s.row_count[2] = 0
        s.row_size[1] = <int64_t>(sizeof(Balance) if entry.kind == KIND_ASSET else sizeof(Level))
        s.row_size[2] = <int64_t>sizeof(Level)
        scan_look_from(s, s.p)        # the symbol may stand in the text that names the table
        if self.is_first_key and not entry.key_is_read:
            p = (<const scan_calls*>self.calls).object_rest(s, entry.object, s.p, entry.key_field)
        else:
            p = (<const scan_calls*>self.calls).object_into(s, entry.object, start, 1)
        if p == NULL:
            return s.state
        s.p = p
        return self.finish(entry)

    cdef const char* find_discriminator(self, const void** found) noexcept nogil:
        """The value of the first discriminator. NULL and CONTROL, with s.p behind the object, where it has none."""
        cdef scan_state* s = <scan_state*>self.machine
        cdef const scan_discriminator* known = <const scan_discriminator*>self.schema.discriminators
        cdef int32_t i, count = self.schema.discriminator_count
        cdef const char* p = scan_blank(s.p + 1)
        cdef const char* text = NULL
        cdef int64_t size = 0
        self.is_first_key = True
        while p[0] != b"}":
            for i in range(count):
                if scan_is_key(&known[i].key, p):
                    found[0] = &known[i]
                    return scan_blank(p + known[i].key.pattern_size)
            p = scan_any_key(s, p, &text, &size)
            if p == NULL:
                return NULL
            for i in range(count):
                if known[i].key.key_size == size and memcmp(known[i].key.key, text, <size_t>size) == 0:
                    found[0] = &known[i]
                    return p
            self.is_first_key = False
            p = scan_skip(s, p, 1)
            if p != NULL:
                p = scan_after_value(s, p, b"}")
            if p == NULL:
                return NULL
        return scan_refuse(s, p + 1, SCAN_CONTROL)

    cdef int find_table(self, const void** entry) noexcept nogil:
        """The table for the object at s.p, which goes behind the text that names it; or CONTROL, or a refusal."""
        cdef scan_state* s = <scan_state*>self.machine
        cdef const scan_discriminator* d = NULL
        cdef const char* text = NULL
        cdef int64_t size = 0
        cdef const char* whole = s.p
        cdef const char* start = self.find_discriminator(<const void**>&d)
        cdef const char* p
        if start == NULL:
            return s.state
        p = scan_take_text(s, start, &text, &size)
        if p == NULL:
            return s.state
        s.p = start
        if d.split and not self.split_symbol(d, &text, &size):
            p = scan_skip(s, whole, 0)          # it names no market: something beside data is said
            if p != NULL:
                scan_refuse(s, p, SCAN_CONTROL)
            return s.state
        entry[0] = scan_find_entry(d, text, size)
        if entry[0] == NULL:
            return SCAN_UNKNOWN_CHANNEL
        s.p = p
        return SCAN_OK

    cdef bint split_symbol(self, const void* found, const char** text, int64_t* size) noexcept nogil:
        """Take the symbol off a text that is symbol and table's name; keep it where it may stand in the scratch."""
        cdef scan_state* s = <scan_state*>self.machine
        cdef const scan_discriminator* d = <const scan_discriminator*>found
        cdef const char* part = <const char*>memchr(text[0], d.split, <size_t>size[0])
        if part == NULL:
            return False
        s.symbol = text[0]
        s.symbol_size = part - text[0]
        s.symbol_upper = d.symbol_upper
        if text[0] == s.scratch:
            s.scratch += size[0]
        size[0] -= s.symbol_size + 1
        text[0] = part + 1
        return True

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
            self.record.head.variant = find_variant(&self.variants[entry.channel], s.variant)
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
        cdef Py_ssize_t at = self.schema.channels.index(channel) if isinstance(channel, str) else channel
        cdef list pairs = sorted((float(value), int(index)) for value, index in values.items())
        cdef VariantTable made
        if not 0 <= at < len(self.schema.channels):
            raise IndexError(f"no channel has index {at}; there are {len(self.schema.channels)}")
        for value, index in pairs:
            if not isfinite(value) or value == 0 or not 1 <= index <= MAX_VARIANTS:
                raise ValueError(f"a variant is a finite number that is not 0, with an index 1 to {MAX_VARIANTS}; "
                                 f"not {value!r}: {index}")
        made.count = <int32_t>len(pairs)
        made.rows = <Variant*>PyMem_RawMalloc(max(1, len(pairs)) * sizeof(Variant))
        if made.rows == NULL:
            raise MemoryError(f"no memory for {len(pairs)} variants")
        for i, (value, index) in enumerate(pairs):
            made.rows[<Py_ssize_t>i].value = value
            made.rows[<Py_ssize_t>i].index = index
        PyMem_RawFree(self.variants[at].rows)
        self.variants[at] = made

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
        cdef Py_ssize_t size = sys.getsizeof(self) + sizeof(scan_state) + self.rows_bytes
        cdef Py_ssize_t i
        for i in range(len(self.schema.channels)):
            size += <Py_ssize_t>sizeof(VariantTable) + max(0, self.variants[i].count) * <Py_ssize_t>sizeof(Variant)
        return size + FRONT + 2 * (self.room + BACK)


cdef uint16_t find_variant(const VariantTable* table, double value) noexcept nogil:
    cdef int32_t low = 0, high = table.count, middle
    while low < high:
        middle = (low + high) // 2
        if table.rows[middle].value < value:
            low = middle + 1
        else:
            high = middle
    return table.rows[low].index if low < table.count and table.rows[low].value == value else UNKNOWN_VARIANT
