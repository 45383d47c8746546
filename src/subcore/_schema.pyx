# cython: language_level=3
"""Compiles a venue's declared fields into the tables the scanner runs on. Runs once a venue; checks everything."""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy

import sys

from _scan_table cimport (
    MAX_FIELDS, NO_FIELD, SCAN_BARE, SCAN_DOUBLE, SCAN_DROP_ZERO, SCAN_ENUM, SCAN_FLAGS, SCAN_ID, SCAN_INT,
    SCAN_NULLABLE, SCAN_OBJECT, SCAN_POSITIONAL, SCAN_QUOTED, SCAN_QUOTED_DOUBLE, SCAN_ROWS, SCAN_SKIP,
    SCAN_SYMBOL, SCAN_TEXT, SCAN_TIME_TEXT, SCAN_TRUTH, SCAN_UPPER, SCAN_VARIANT, scan_discriminator,
    scan_entry, scan_field, scan_find_field, scan_hash, scan_object, scan_prepare_key, scan_prepare_object,
    scan_prepare_word, scan_word,
)
from subcore._event_tables cimport (
    FIELD_INTEGER, FIELD_NUMBER, FIELD_STEP, FIELD_TEXT, FIELD_TRADE_ID, FIELD_TRUTH, Field, FieldTable,
    field_table,
)
from subcore._events cimport (
    ABSENT,
    KIND_ASSET,
    KIND_CANDLE,
    KIND_ORDER,
    KIND_ORDERBOOK,
    KIND_TICKER,
    KIND_TRADE,
    AssetData,
    Balance,
    CandleData,
    EventHead,
    Level,
    OrderbookData,
    OrderData,
    Record,
    TickerData,
    TradeData,
)

from subcore import fields as declare
from subcore.errors import UsageError

cdef enum:
    LONGEST_KEY = 29              # what KEY_BYTES leave beside quotes and colon
    MAX_ROWS = 65536
    MAX_DISCRIMINATORS = 16
    MAX_CHANNELS = 4096
    BID = 1                       # the sides rows go to; balances stand where bids do
    ASK = 2

cdef dict KINDS = {
    "ticker": (KIND_TICKER, sizeof(TickerData)),
    "trade": (KIND_TRADE, sizeof(TradeData)),
    "orderbook": (KIND_ORDERBOOK, sizeof(OrderbookData)),
    "candle": (KIND_CANDLE, sizeof(CandleData)),
    "order": (KIND_ORDER, sizeof(OrderData)),
    "asset": (KIND_ASSET, sizeof(AssetData)),
}


cdef uint32_t slots_for(Py_ssize_t count):
    cdef uint32_t slots = 4
    while slots < 2 * count:
        slots *= 2
    return slots


cdef int row_place(str kind, str member, uint8_t* target, uint16_t* offset) except -1:
    """Where a row's member goes: its side, its offset in the row; returns its SCAN_ type."""
    cdef Level level
    cdef Balance balance
    target[0] = ASK if member.startswith("ask_") else BID
    if kind == "orderbook" and member in ("bid_price", "ask_price"):
        offset[0] = <uint16_t>(<char*>&level.price - <char*>&level)
        return SCAN_DOUBLE
    if kind == "orderbook" and member in ("bid_size", "ask_size"):
        offset[0] = <uint16_t>(<char*>&level.size - <char*>&level)
        return SCAN_DOUBLE
    if kind == "asset" and member == "currency":
        offset[0] = <uint16_t>(<char*>&balance.currency - <char*>&balance)
        return SCAN_TEXT
    if kind == "asset" and member in ("available", "locked"):
        offset[0] = <uint16_t>(<char*>(&balance.available if member == "available" else &balance.locked)
                               - <char*>&balance)
        return SCAN_DOUBLE
    raise UsageError(f"rows of a {kind} have no member {member!r}")


@cython.no_gc_clear
cdef class _Compiler:
    """Makes the tables and owns their memory."""

    cdef tuple channels
    cdef list blocks              # addresses of what was allocated
    cdef list kept                # texts the tables point into
    cdef Py_ssize_t size

    def __cinit__(self, tuple channels):
        self.channels = channels
        self.blocks = []
        self.kept = []

    def __dealloc__(self):
        for address in self.blocks:
            PyMem_Free(<void*><uintptr_t>address)

    cdef void* block(self, size_t size) except NULL:
        cdef void* made = PyMem_Calloc(1, size)
        if made == NULL:
            raise MemoryError(f"no memory for a schema ({size} bytes)")
        self.blocks.append(<uintptr_t>made)
        self.size += <Py_ssize_t>size
        return made

    cdef const char* keep(self, str text) except NULL:
        cdef bytes data = text.encode()
        self.kept.append(data)
        self.size += <Py_ssize_t>sys.getsizeof(data)
        return data

    cdef int compile_discriminator(self, scan_discriminator* d, one, int index) except -1:
        self.name_field(&d.key, one.key)
        if len(one.split.encode()) > 1:
            raise UsageError(f"split must be one ASCII character, not {one.split!r}")
        d.split = ord(one.split) if one.split else 0
        d.symbol_upper = one.symbol_upper
        matches = [(text, channel, table) for table in one.tables for text, channel in table.matches.items()]
        if not 1 <= len(matches) <= 4096 or len({text for text, _, _ in matches}) != len(matches):
            raise UsageError(f"discriminator {one.key!r} needs 1 to 4096 texts, each once")
        d.count = <int32_t>len(matches)
        d.entries = <scan_entry*>self.block(len(matches) * sizeof(scan_entry))
        compiled = {}
        for table in one.tables:
            compiled[id(table)] = <uintptr_t>self.compile_object(table.kind, table.fields, False, False)
        for place, (text, channel, table) in enumerate(matches):
            self.compile_entry(&d.entries[<Py_ssize_t>place], text, channel, table, index,
                               <const scan_object*><uintptr_t>compiled[id(table)])
            self.link_key(d, &d.entries[<Py_ssize_t>place])
        d.slot_mask = slots_for(d.count) - 1
        d.slots = self.hash_slots(d.slot_mask, [text for text, _, _ in matches])
        return 0

    cdef int link_key(self, scan_discriminator* d, scan_entry* entry) except -1:
        """A frame is read on behind its discriminator, unless that fills a member too."""
        entry.key_field = scan_find_field(entry.object, d.key.key, d.key.key_size)
        entry.key_is_read = entry.key_field != NO_FIELD and entry.object.fields[entry.key_field].type != SCAN_SKIP
        return 0

    cdef int compile_entry(self, scan_entry* entry, str text, str channel, table, int format,
                           const scan_object* made) except -1:
        kind, size = self.kind_of(table.kind)
        if channel not in self.channels:
            raise UsageError(f"{text!r} names channel {channel!r}, which is not among {', '.join(self.channels)}")
        entry.text = self.keep(text)
        entry.size = <int32_t>len(text.encode())
        entry.channel = <uint16_t>self.channels.index(channel)
        entry.format = <uint16_t>format
        entry.object = made
        entry.blank = self.blank_record(kind, entry.channel)
        entry.record_size = <int32_t>size
        entry.kind = <uint8_t>kind
        return 0

    cdef tuple kind_of(self, str kind):
        if kind not in KINDS:
            raise UsageError(f"no event kind is called {kind!r}; there are {', '.join(KINDS)}")
        return KINDS[kind]

    cdef const char* blank_record(self, int kind, uint16_t channel) except NULL:
        """A record of this kind with everything absent."""
        cdef char* blank = <char*>self.block(sizeof(Record))
        cdef EventHead* head = <EventHead*>blank
        cdef FieldTable table = field_table(kind)
        cdef double nothing = NAN
        cdef int64_t absent = ABSENT
        cdef int i
        head.exchange_time_ns = ABSENT
        head.stream = -1
        head.symbol = -1
        head.channel = channel
        head.kind = <uint8_t>kind
        for i in range(table.count):
            if table.fields[i].type in (FIELD_NUMBER, FIELD_STEP):
                memcpy(blank + table.fields[i].offset, &nothing, sizeof(nothing))
            elif table.fields[i].type in (FIELD_INTEGER, FIELD_TRADE_ID):
                memcpy(blank + table.fields[i].offset, &absent, sizeof(absent))
        return blank

    cdef uint16_t* hash_slots(self, uint32_t mask, texts) except NULL:
        cdef uint16_t* slots = <uint16_t*>self.block((mask + 1) * sizeof(uint16_t))
        cdef uint32_t at
        cdef bytes data
        for at in range(mask + 1):
            slots[at] = NO_FIELD
        for index, text in enumerate(texts):
            data = text.encode()
            at = scan_hash(data, len(data)) & mask
            while slots[at] != NO_FIELD:
                at = (at + 1) & mask
            slots[at] = <uint16_t>index
        return slots

    cdef int name_field(self, scan_field* f, str key) except -1:
        f.key_size = <int32_t>len(key.encode())
        if not 0 < f.key_size <= LONGEST_KEY or '"' in key or "\\" in key:
            raise UsageError(f"a key has 1 to {LONGEST_KEY} bytes, no quotes and no backslashes, not {key!r}")
        f.key = self.keep(key)
        scan_prepare_key(f)
        return 0

    cdef scan_object* compile_object(self, str kind, given, bint is_row, bint positional) except NULL:
        cdef Py_ssize_t count = len(given)
        keys = [one.key for one in given]
        if not 1 <= count <= MAX_FIELDS or (not positional and len(set(keys)) != count):
            raise UsageError(f"an object of a {kind} has 1 to {MAX_FIELDS} keys, each once: {keys}")
        cdef scan_object* made = <scan_object*>self.block(sizeof(scan_object))
        made.fields = <scan_field*>self.block(count * sizeof(scan_field))
        made.count = <int32_t>count
        for index, one in enumerate(given):
            if not positional:
                self.name_field(&made.fields[<Py_ssize_t>index], one.key)
            self.compile_field(&made.fields[<Py_ssize_t>index], kind, one, is_row)
            if one.required:
                made.required |= <uint64_t>1 << <int>index
            if made.fields[<Py_ssize_t>index].target:
                made.sides |= 1 << (made.fields[<Py_ssize_t>index].target - 1)
        scan_prepare_object(made)
        if is_row:
            self.finish_row(made, kind, given)
        if not positional:
            made.slot_mask = slots_for(count) - 1
            made.slots = self.hash_slots(made.slot_mask, keys)
        return made

    cdef int finish_row(self, scan_object* made, str kind, given) except -1:
        cdef Balance* balance
        if kind == "orderbook":
            members = sorted(one.member for one in given if one.member)
            if members not in (["bid_price", "bid_size"], ["ask_price", "ask_size"],
                               ["ask_price", "ask_size", "bid_price", "bid_size"]):
                raise UsageError(f"a level of a side has a price and a size, each once, not {', '.join(members)}")
            if not all(one.required and not one.nullable for one in given if one.member):
                raise UsageError("every price and size of a book's level must be required, and not nullable")
            return 0
        balance = <Balance*>self.block(sizeof(Balance))
        balance.available = balance.locked = NAN
        made.blank = <const char*>balance
        return 0

    cdef int compile_field(self, scan_field* f, str kind, one, bint is_row) except -1:
        cdef Balance balance
        f.scale = 1
        if is_row and not isinstance(one, declare.Field):
            raise UsageError(f"rows hold plain fields, not objects or rows: {one.key!r}")
        if isinstance(one, declare.Nested):
            f.type = SCAN_OBJECT
            f.child = self.compile_object(kind, one.fields, False, False)
            return 0
        if isinstance(one, declare.Rows):
            if kind not in ("orderbook", "asset"):
                raise UsageError(f"a {kind} has no rows: {one.key!r}")
            f.type = SCAN_ROWS
            f.flags = (SCAN_POSITIONAL if one.positional else 0) | (SCAN_DROP_ZERO if one.drop_zero_price else 0)
            f.child = self.compile_object(kind, one.fields, True, one.positional)
            return 0
        f.flags = (
            (SCAN_NULLABLE if one.nullable else 0) | (SCAN_QUOTED if one.quoted else 0)
            | (SCAN_BARE if one.bare else 0) | (SCAN_UPPER if one.upper else 0)
        )
        if one.unit < 1:
            raise UsageError(f"{one.key!r}: unit must be at least 1, not {one.unit}")
        f.scale = one.unit
        if not one.member:
            f.type = SCAN_SKIP
        elif is_row:
            f.type = <uint8_t>row_place(kind, one.member, &f.target, &f.offset)
            f.capacity = sizeof(balance.currency.data) if f.type == SCAN_TEXT else 0
        else:
            self.place(f, kind, one)
        if f.type == SCAN_DOUBLE and f.flags & (SCAN_QUOTED | SCAN_BARE) != SCAN_BARE:
            f.type = SCAN_QUOTED_DOUBLE
        return 0

    cdef int place(self, scan_field* f, str kind, one) except -1:
        """Find the member in the event's struct; its type follows from what it is."""
        cdef Record record
        if one.member == "symbol":
            f.type = SCAN_SYMBOL
            return 0
        if one.member == "flags":
            f.type = SCAN_FLAGS
            return self.take_words(f, one)
        if one.member == "exchange_time_ns":
            f.offset = <uint16_t>(<char*>&record.head.exchange_time_ns - <char*>&record)
            f.type = SCAN_TIME_TEXT if one.time_text else SCAN_INT
            return 0
        cdef const Field* member = self.member(kind, "grouping" if one.member == "variant" else one.member)
        f.offset = member.offset
        f.capacity = member.room
        if one.member == "variant":
            f.type = SCAN_VARIANT
        elif member.type in (FIELD_NUMBER, FIELD_STEP):
            f.type = SCAN_DOUBLE
        elif member.type == FIELD_INTEGER:
            f.type = SCAN_TIME_TEXT if one.time_text else SCAN_INT
        elif member.type == FIELD_TRADE_ID:
            f.type = SCAN_ID
            f.text_offset = <uint16_t>(<char*>&record.trade.id_text - <char*>&record)
        elif member.type == FIELD_TEXT:
            f.type = SCAN_TEXT
        elif member.type == FIELD_TRUTH:
            f.type = SCAN_TRUTH if not one.words else SCAN_ENUM
        else:
            f.type = SCAN_ENUM
        return self.take_words(f, one) if f.type == SCAN_ENUM else 0

    cdef const Field* member(self, str kind, str name) except NULL:
        cdef FieldTable table = field_table(self.kind_of(kind)[0])
        cdef int i
        for i in range(table.count):
            if (<bytes>table.fields[i].name).decode() == name:
                return &table.fields[i]
        raise UsageError(f"a {kind} has no member {name!r}")

    cdef int take_words(self, scan_field* f, one) except -1:
        cdef scan_word* words
        if not one.words:
            raise UsageError(f"{one.key!r} fills {one.member!r}, which needs words=")
        words = <scan_word*>self.block(len(one.words) * sizeof(scan_word))
        for index, (text, value) in enumerate(one.words.items()):
            if not 0 <= value <= 255:
                raise UsageError(f"{one.key!r}: the code of {text!r} must be 0 to 255, not {value}")
            words[<Py_ssize_t>index].text = self.keep(text)
            words[<Py_ssize_t>index].size = <int32_t>len(text.encode())
            words[<Py_ssize_t>index].value = value
            scan_prepare_word(&words[<Py_ssize_t>index])
        f.map = words
        f.map_size = <int32_t>len(one.words)
        return 0


# The collector clears members before __dealloc__ runs, which needs them; no cycle leads through this class alone.
@cython.no_gc_clear
@cython.final
cdef class Schema:
    """A venue's field tables. Immutable but for the guesses of key order that the scanner keeps in them.

    `declared`: subcore.fields.Schema. `channels`: the declaration's channels in the order of the venue's channel list,
    where that differs. `names`: what events call each of them, where that differs; several may share one.
    UsageError says what is wrong with a declaration.
    """

    def __cinit__(self, declared, channels=None, names=None):
        if not isinstance(declared, declare.Schema):
            raise TypeError(f"a schema is declared with subcore.fields.Schema, not {type(declared).__name__}")
        if not 1 <= declared.max_rows <= MAX_ROWS:
            raise UsageError(f"max_rows must be 1 to {MAX_ROWS}, not {declared.max_rows}")
        cdef Py_ssize_t count = len(declared.discriminators)
        if not 1 <= count <= MAX_DISCRIMINATORS:
            raise UsageError(f"a schema has 1 to {MAX_DISCRIMINATORS} discriminators, not {count}")
        self.declared = declared
        self.max_rows = declared.max_rows
        cdef tuple keys = tuple(declared.channels if channels is None else channels)
        if not 1 <= len(keys) <= MAX_CHANNELS or len(set(keys)) != len(keys):
            raise UsageError(f"a schema has 1 to {MAX_CHANNELS} channels, each once: {keys}")
        self.channels = keys if names is None else tuple(names)
        if len(self.channels) != len(keys):
            raise UsageError(f"a schema has a name for each channel or none: {self.channels} for {keys}")
        if len({one.key for one in declared.discriminators}) != count:
            raise UsageError("the keys of a schema's discriminators must stand there each once")
        self.formats = tuple(d.format for d in declared.discriminators)
        cdef _Compiler compiler = _Compiler(keys)
        self.memory = compiler            # frees what the tables point to
        cdef scan_discriminator* made = <scan_discriminator*>compiler.block(
            <size_t>count * sizeof(scan_discriminator))
        for index, one in enumerate(declared.discriminators):
            compiler.compile_discriminator(&made[<Py_ssize_t>index], one, index)
        self.discriminators = made
        self.discriminator_count = <int32_t>count

    @property
    def nbytes(self):
        """Bytes of the object and its tables; not of the declaration."""
        return sys.getsizeof(self) + (<_Compiler>self.memory).size

    def __reduce__(self):
        return Schema, (self.declared, (<_Compiler>self.memory).channels, self.channels)
