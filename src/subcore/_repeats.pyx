# cython: language_level=3
"""Whether a snapshot repeats what its stream has said before.

State channels compare a hash of exchange time and every value with that of the last event. Which bytes of a struct
count is taken from the tables of its members, joined into runs of words: a member added there counts here too. Bytes
behind the end of a text, padding and the rest of the event's head do not. Trades are compared by id with the last 64
(a venue sends the last trade again after each request). Orders and balances are never judged repeats.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport uint8_t, uint16_t, uint64_t

from subcore._event_tables cimport (
    FIELD_INTEGER,
    FIELD_NUMBER,
    FIELD_STEP,
    FIELD_TEXT,
    Field,
    FieldTable,
    field_table,
)
from subcore._events cimport (
    ABSENT,
    FLAG_SNAPSHOT,
    KIND_CANDLE,
    KIND_ORDERBOOK,
    KIND_TICKER,
    KIND_TRADE,
    OrderbookData,
    Record,
    TradeData,
)

cdef extern from "_content.h" nogil:
    uint64_t subcore_hash_word(uint64_t word, uint64_t seed) noexcept
    uint64_t subcore_hash_words(const char* at, size_t count, uint64_t seed) noexcept
    uint64_t subcore_hash_texts16(const char* at, size_t count, uint64_t seed) noexcept
    uint64_t subcore_hash_text(const char* text, size_t size, uint64_t seed) noexcept

cdef enum:
    COMPARED_KINDS = KIND_CANDLE + 1
    MOST_RUNS = 4
    MOST_BYTES = 8
    SHORT_TEXT = 15
    FIRST_IDS = 8
    MOST_IDS = 64

cdef struct Plan:                   # where the values of one kind of struct lie
    int runs
    int texts
    int bytes
    uint16_t run_at[MOST_RUNS]
    uint16_t run_words[MOST_RUNS]
    uint16_t text_at                # of the first; the others follow it
    uint16_t byte_at[MOST_BYTES]

cdef Plan PLANS[COMPARED_KINDS]


cdef int add_word(Plan* plan, uint16_t offset) except -1:
    cdef int last = plan.runs - 1
    if last >= 0 and plan.run_at[last] + 8 * plan.run_words[last] == offset:
        plan.run_words[last] += 1
        return 0
    if plan.runs == MOST_RUNS:
        raise SystemError("too many runs of words in an event struct")
    plan.run_at[plan.runs], plan.run_words[plan.runs] = offset, 1
    plan.runs += 1
    return 0


cdef int add_part(Plan* plan, const Field* field) except -1:
    if field.type == FIELD_NUMBER or field.type == FIELD_STEP or field.type == FIELD_INTEGER:
        return add_word(plan, field.offset)
    if field.type == FIELD_TEXT:
        return add_text(plan, field)
    if plan.bytes == MOST_BYTES:
        raise SystemError(f"{field.name.decode()} has no place in the hash of an event")
    plan.byte_at[plan.bytes] = field.offset
    plan.bytes += 1
    return 0


cdef int add_text(Plan* plan, const Field* field) except -1:
    if plan.texts == 0:
        plan.text_at = field.offset
    if field.room != SHORT_TEXT or field.offset != plan.text_at + plan.texts * (SHORT_TEXT + 1):
        raise SystemError(f"{field.name.decode()} does not follow the texts that are hashed with it")
    plan.texts += 1
    return 0


cdef int make_plan(int kind) except -1:
    cdef FieldTable table = field_table(kind)
    cdef int i
    for i in sorted(range(table.count), key=lambda i: table.fields[<int>i].offset):
        add_part(&PLANS[kind], &table.fields[i])
    return 0


cdef uint64_t levels_of(const OrderbookData* book, uint64_t state) noexcept nogil:
    state = subcore_hash_words(<const char*>book.bids, 2 * <size_t>book.bid_count, state)
    return subcore_hash_words(<const char*>book.asks, 2 * <size_t>book.ask_count, state)


cdef uint64_t content_of(const Record* record, uint64_t seed) noexcept nogil:
    cdef uint8_t kind = record.head.kind
    cdef const char* data = <const char*>record
    cdef const Plan* plan
    cdef uint64_t state, rest
    cdef int i
    if kind >= COMPARED_KINDS or PLANS[kind].runs == 0:
        return 0
    plan = &PLANS[kind]
    state = subcore_hash_word(<uint64_t>record.head.exchange_time_ns, seed)
    for i in range(plan.runs):
        state = subcore_hash_words(data + plan.run_at[i], plan.run_words[i], state)
    rest = subcore_hash_texts16(data + plan.text_at, <size_t>plan.texts, seed)
    for i in range(plan.bytes):
        rest ^= <uint64_t>(<uint8_t>data[plan.byte_at[i]]) << (8 * i)
    state = subcore_hash_word(rest, state)
    if kind == KIND_ORDERBOOK:
        state = levels_of(&record.orderbook, state)
    return state | 1


cdef uint64_t trade_key(const TradeData* trade, uint64_t seed) noexcept nogil:
    if trade.id != ABSENT:
        return <uint64_t>trade.id ^ <uint64_t>ABSENT    # 0 only for ABSENT itself
    if trade.id_text.size == 0:
        return 0
    return subcore_hash_text(trade.id_text.data, min(trade.id_text.size, <uint8_t>sizeof(trade.id_text.data)), seed) | 1


cdef Novelty judge(LastSeen* seen, const Record* record, uint64_t seed) noexcept nogil:
    cdef bint snapshot = (record.head.flags & FLAG_SNAPSHOT) != 0
    cdef uint64_t content
    if record.head.kind == KIND_TRADE:
        return judge_trade(seen, trade_key(&record.trade, seed), snapshot)
    content = content_of(record, seed)
    if snapshot and content == seen.content and content != 0:
        return REPEAT
    seen.content = content
    return NOVEL


cdef Novelty judge_trade(LastSeen* seen, uint64_t key, bint snapshot) noexcept nogil:
    cdef Novelty novelty = NOVEL
    if key == 0:
        return NOVEL
    if snapshot and seen.id_count:
        if is_known(seen, key):
            return REPEAT
        novelty = GAP
    remember(seen, key)
    return novelty


cdef bint is_known(const LastSeen* seen, uint64_t key) noexcept nogil:
    cdef int i
    for i in range(seen.id_count):
        if seen.ids[i] == key:
            return True
    return False


cdef void remember(LastSeen* seen, uint64_t key) noexcept nogil:
    """Where there is no memory for more, fewer are known: a repeat delivered harms less than a loss."""
    cdef int room = seen.id_room
    cdef void* ids
    if seen.id_count == room and room < MOST_IDS:
        room = 2 * room if room else FIRST_IDS
        ids = PyMem_RawRealloc(seen.ids, <size_t>room * sizeof(uint64_t))
        if ids != NULL:
            # It grows the first time it is full, so it never wrapped: what is free lies behind what is used. (Had
            # an earlier growth failed, the order of the oldest few is lost, nothing else.)
            seen.ids, seen.id_next, seen.id_room = <uint64_t*>ids, seen.id_count, <uint8_t>room
    if seen.id_room == 0:
        return
    seen.ids[seen.id_next] = key
    seen.id_next = <uint8_t>((seen.id_next + 1) % seen.id_room)
    seen.id_count = min(<uint8_t>(seen.id_count + 1), seen.id_room)


cdef void forget_seen(LastSeen* seen) noexcept nogil:
    PyMem_RawFree(seen.ids)
    seen.ids = NULL
    seen.content = 0
    seen.id_room = seen.id_count = seen.id_next = 0


make_plan(KIND_TICKER)
make_plan(KIND_ORDERBOOK)
make_plan(KIND_CANDLE)
