# cython: language_level=3
"""Which frames are copies while two links carry a stream.

Each link keeps its own order, but one may lag behind the other or lose what the other brings. What happened (trades by
id, orders and balances by all they say) is the union of both, less what is among the stream's last 4,096: all of it is
due, even where it comes late. A state (ticker, book, candle) is forwarded only if its exchange time lies after that of
the last, or is the same and its content is not among the last 16; without a time the venue's number of the update
stands for it, and without both the content alone decides. Should nothing but what lies behind come for 10 s, from
whichever link, then the last time or number was wrong, or the venue began to count anew: it is taken up there. Orders
and balances are no states here: a late one may be of another order or currency than the one that came before it.
"""

cimport cython
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

import sys

from subcore._event_tables cimport (
    FIELD_INTEGER,
    FIELD_NUMBER,
    FIELD_STEP,
    FIELD_TEXT,
    FIELD_TRADE_ID,
    Field,
    FieldTable,
    field_table,
)
from subcore._events cimport (
    ABSENT,
    KIND_ASSET,
    KIND_CANDLE,
    KIND_COUNT,
    KIND_ORDERBOOK,
    KIND_TICKER,
    KIND_TRADE,
    AssetData,
)
from subcore._repeats cimport content_of, remember, trade_key

cdef extern from "_content.h" nogil:
    uint64_t subcore_hash_word(uint64_t word, uint64_t seed) noexcept
    uint64_t subcore_hash_words(const char* at, size_t count, uint64_t seed) noexcept
    uint64_t subcore_hash_texts16(const char* at, size_t count, uint64_t seed) noexcept
    uint64_t subcore_hash_text(const char* text, size_t size, uint64_t seed) noexcept

cdef int64_t BEHIND_NS = 10_000_000_000   # no link lags so far behind the other

cdef enum:
    SMALLEST_ROOM = 4
    SMALLEST_KEY_ROOM = 16
    KEY_BYTES = 12                  # of a key and its two slots in the set


cdef inline bint is_state(int kind) noexcept nogil:
    return kind == KIND_TICKER or kind == KIND_ORDERBOOK or kind == KIND_CANDLE


cdef inline int64_t number_of(const Record* record) noexcept nogil:
    """The venue's number of a state's update, ABSENT where there is none."""
    if record.head.kind == KIND_TICKER:
        return record.ticker.update_id
    return record.orderbook.update_id if record.head.kind == KIND_ORDERBOOK else ABSENT


cdef inline uint64_t hash_field(const char* at, const Field* field, uint64_t state) noexcept nogil:
    if field.type == FIELD_TEXT:
        return subcore_hash_text(at + 1, min(<uint8_t>at[0], field.room), state)
    if field.type == FIELD_NUMBER or field.type == FIELD_STEP or field.type == FIELD_INTEGER:
        return subcore_hash_words(at, 1, state)
    if field.type == FIELD_TRADE_ID:
        return state                # only what has none is hashed
    return subcore_hash_word(<uint8_t>at[0], state)


cdef uint64_t balances_of(const AssetData* asset, uint64_t state) noexcept nogil:
    cdef int32_t i
    for i in range(asset.balance_count):
        state = subcore_hash_texts16(<const char*>&asset.balances[i].currency, 1, state)
        state = subcore_hash_words(<const char*>&asset.balances[i].available, 2, state)
    return state


cdef uint64_t values_of(const Record* record, uint64_t seed) noexcept nogil:
    """Hash of exchange time, symbol and every value of an event, of any kind but a book; never 0."""
    cdef const char* data = <const char*>record
    cdef FieldTable table
    cdef uint64_t state
    cdef int i
    state = subcore_hash_word(<uint64_t>record.head.exchange_time_ns, seed)
    state = subcore_hash_word(<uint64_t>record.head.symbol, state)
    if record.head.kind < KIND_COUNT:
        table = field_table(record.head.kind)
        for i in range(table.count):
            state = hash_field(data + table.fields[i].offset, &table.fields[i], state)
    if record.head.kind == KIND_ASSET:
        state = balances_of(&record.asset, state)
    return state | 1


cdef inline uint16_t* slots_of(const Carried* carried) noexcept nogil:
    """The set: twice as many slots as there is room for keys; each 0 or the place of a key in the ring + 1."""
    return <uint16_t*>(carried.keys + carried.key_room)


@cython.final
@cython.no_gc_clear
cdef class Arbiter:
    """What is known of each stream that two links carry: 192 bytes, and up to 48 KiB for what happened
    (12 bytes each).

    The owner of the streams' rows keeps the place of each (they move). `seed` perturbs the hashes.
    """

    def __cinit__(self, uint64_t seed):
        self.seed = seed

    def __dealloc__(self):
        cdef int32_t i
        for i in range(self.count):
            PyMem_RawFree(self.carried[i].keys)
        PyMem_RawFree(self.carried)

    def __len__(self):
        return self.count

    @property
    def nbytes(self) -> int:
        """Bytes held, all of them."""
        return sys.getsizeof(self) + self.size()

    @cython.nonecheck(False)        # the check needs the GIL
    cdef size_t size(self) noexcept nogil:
        """Bytes of its tables."""
        return <size_t>self.room * sizeof(Carried) + self.key_bytes

    # The hot path.

    @cython.nonecheck(False)        # the check needs the GIL
    cdef bint is_copy(self, int32_t place, const Record* record, LastSeen* seen) noexcept nogil:
        cdef Carried* carried = &self.carried[place]
        if is_state(record.head.kind):
            return self.is_known_state(carried, record, seen)
        return self.is_known_event(carried, record, seen)

    @cython.nonecheck(False)        # the check needs the GIL
    cdef bint is_known_state(self, Carried* carried, const Record* record, LastSeen* seen) noexcept nogil:
        cdef int64_t time = record.head.exchange_time_ns
        cdef int64_t number = number_of(record) if time == ABSENT else ABSENT
        cdef uint64_t content
        cdef int i
        if self.is_behind(carried, record, number):
            return True
        content = content_of(record, self.seed)
        if time == ABSENT or time == carried.last_exchange_ns:
            for i in range(carried.content_count):
                if carried.contents[i] == content:
                    return True
        carried.last_exchange_ns = time if time != ABSENT else carried.last_exchange_ns
        carried.last_number = number if number != ABSENT else carried.last_number
        carried.forwarded_ns, carried.behind_count = record.head.receive_time_ns, 0
        carried.contents[carried.content_next] = content
        carried.content_next = <uint8_t>((carried.content_next + 1) % CONTENTS_KEPT)
        carried.content_count = min(<uint8_t>(carried.content_count + 1), <uint8_t>CONTENTS_KEPT)
        seen.content = content
        return False

    cdef bint is_behind(self, Carried* carried, const Record* record, int64_t number) noexcept nogil:
        """Whether the state is older than the last one. Else what the last one said may be wrong for ever."""
        cdef int64_t time = record.head.exchange_time_ns
        if time != ABSENT:
            if time >= carried.last_exchange_ns:
                return False
        elif number == ABSENT or number >= carried.last_number:
            return False
        if carried.forwarded_ns == 0:    # none was, since two links carry it
            carried.forwarded_ns = record.head.receive_time_ns
        carried.behind_count = min(<uint8_t>(carried.behind_count + 1), <uint8_t>BEHIND_AT_LEAST)
        if carried.behind_count < BEHIND_AT_LEAST:
            return True
        return record.head.receive_time_ns - carried.forwarded_ns < BEHIND_NS

    @cython.nonecheck(False)        # the check needs the GIL
    cdef bint is_known_event(self, Carried* carried, const Record* record, LastSeen* seen) noexcept nogil:
        cdef uint64_t id = trade_key(&record.trade, self.seed) if record.head.kind == KIND_TRADE else 0
        cdef uint64_t key = id if id != 0 else values_of(record, self.seed)
        if self.has_key(carried, key):
            return True
        self.keep_key(carried, key)
        if id != 0:
            remember(seen, id)
        if record.head.exchange_time_ns != ABSENT:
            carried.last_exchange_ns = max(carried.last_exchange_ns, record.head.exchange_time_ns)
        return False

    # The last keys of a stream: a ring, and a set over it with linear probing.

    @cython.nonecheck(False)        # the check needs the GIL
    cdef bint has_key(self, const Carried* carried, uint64_t key) noexcept nogil:
        cdef const uint16_t* slots = slots_of(carried)
        cdef uint32_t mask, at
        if carried.key_room == 0:
            return False
        mask = 2 * <uint32_t>carried.key_room - 1
        at = <uint32_t>(subcore_hash_word(key, self.seed) >> 32) & mask
        while slots[at] != 0:
            if carried.keys[slots[at] - 1] == key:
                return True
            at = (at + 1) & mask
        return False

    @cython.nonecheck(False)        # the check needs the GIL
    cdef bint keep_key(self, Carried* carried, uint64_t key) noexcept nogil:
        """Where there is no memory for more, fewer are known: a copy delivered harms less than a loss."""
        cdef bint grown = True
        if carried.key_count == carried.key_room:
            grown = carried.key_room < KEYS_KEPT and self.grow_keys(carried)
            if carried.key_room == 0:
                return False
            if not grown:
                self.drop_oldest(carried)
        carried.keys[carried.key_next] = key
        self.set_slot(carried, carried.key_next)
        carried.key_next = <uint16_t>((carried.key_next + 1) & (carried.key_room - 1))
        carried.key_count += 1
        return grown

    @cython.nonecheck(False)        # the check needs the GIL
    cdef bint grow_keys(self, Carried* carried) noexcept nogil:
        cdef uint16_t old_room = carried.key_room
        cdef uint16_t room = <uint16_t>(2 * old_room if old_room else SMALLEST_KEY_ROOM)
        cdef uint64_t* keys = <uint64_t*>PyMem_RawMalloc(<size_t>room * KEY_BYTES)
        cdef uint64_t* old = carried.keys
        cdef uint16_t i
        if keys == NULL:
            return False
        # From the oldest on: after a growth that failed the ring may begin anywhere.
        for i in range(carried.key_count):
            keys[i] = old[(carried.key_next + i) & (old_room - 1)]
        memset(keys + room, 0, 2 * <size_t>room * sizeof(uint16_t))
        carried.keys, carried.key_room, carried.key_next = keys, room, carried.key_count
        for i in range(carried.key_count):
            self.set_slot(carried, i)
        PyMem_RawFree(old)
        self.key_bytes += <size_t>(room - old_room) * KEY_BYTES
        return True

    @cython.nonecheck(False)        # the check needs the GIL
    cdef void set_slot(self, Carried* carried, uint16_t at) noexcept nogil:
        cdef uint16_t* slots = slots_of(carried)
        cdef uint32_t mask = 2 * <uint32_t>carried.key_room - 1
        cdef uint32_t slot = <uint32_t>(subcore_hash_word(carried.keys[at], self.seed) >> 32) & mask
        while slots[slot] != 0:
            slot = (slot + 1) & mask
        slots[slot] = <uint16_t>(at + 1)

    @cython.nonecheck(False)        # the check needs the GIL
    cdef void drop_oldest(self, Carried* carried) noexcept nogil:
        """Of a full ring. What follows in the set moves back: no tombstones."""
        cdef uint16_t* slots = slots_of(carried)
        cdef uint32_t mask = 2 * <uint32_t>carried.key_room - 1
        cdef uint32_t hole, at, home
        hole = <uint32_t>(subcore_hash_word(carried.keys[carried.key_next], self.seed) >> 32) & mask
        while slots[hole] != carried.key_next + 1:
            hole = (hole + 1) & mask
        at = (hole + 1) & mask
        while slots[at] != 0:
            home = <uint32_t>(subcore_hash_word(carried.keys[slots[at] - 1], self.seed) >> 32) & mask
            if ((at | (mask + 1)) - home) & mask >= ((at | (mask + 1)) - hole) & mask:
                slots[hole] = slots[at]
                hole = at
            at = (at + 1) & mask
        slots[hole] = 0
        carried.key_count -= 1

    # Room.

    cdef int32_t add(self, int32_t stream, int64_t last_exchange_ns, const LastSeen* seen) except -1:
        cdef int32_t place = self.count
        cdef Carried* carried
        cdef int i
        if not self.make_room(<Py_ssize_t>place + 1):
            raise MemoryError(f"no memory to arbitrate {place + 1} streams")
        carried = &self.carried[place]
        memset(carried, 0, sizeof(Carried))
        carried.stream, carried.last_exchange_ns, carried.last_number = stream, last_exchange_ns, ABSENT
        if seen.content != 0:
            carried.contents[0] = seen.content
            carried.content_count = carried.content_next = 1
        for i in range(seen.id_count):
            # From the oldest on; a ring that is not full begins at 0.
            if not self.keep_key(carried, seen.ids[(seen.id_next + seen.id_room - seen.id_count + i) % seen.id_room]):
                self.count = place + 1
                self.remove(place)
                raise MemoryError(f"no memory for what stream {stream} has said before")
        self.count = place + 1
        return place

    @cython.nonecheck(False)        # the check needs the GIL
    cdef int32_t remove(self, int32_t place) noexcept nogil:
        cdef int32_t last = self.count - 1
        self.key_bytes -= <size_t>self.carried[place].key_room * KEY_BYTES
        PyMem_RawFree(self.carried[place].keys)
        if place != last:
            memcpy(&self.carried[place], &self.carried[last], sizeof(Carried))
        self.count = last
        if last == 0:
            PyMem_RawFree(self.carried)
            self.carried, self.room = NULL, 0
        elif last <= self.room // 4:
            self.make_room(last)
        return self.carried[place].stream if place != last else -1

    @cython.nonecheck(False)        # the check needs the GIL
    cdef bint make_room(self, Py_ssize_t count) noexcept nogil:
        """For `count`: half as much again, or a half of what there is. Where less cannot be had, more is kept."""
        cdef Py_ssize_t room = self.room
        cdef void* carried
        if count > room:
            room = max(<Py_ssize_t>SMALLEST_ROOM, room + room // 2)
        elif count <= room // 4 and room > SMALLEST_ROOM:
            room = room // 2
        else:
            return True
        carried = PyMem_RawRealloc(self.carried, <size_t>room * sizeof(Carried))
        if carried == NULL:
            return count <= self.room
        self.carried, self.room = <Carried*>carried, <int32_t>room
        return True
