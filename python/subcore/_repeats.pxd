# cython: language_level=3
"""Whether a snapshot repeats what its stream has said before."""

from libc.stdint cimport uint8_t, uint64_t

from subcore._events cimport Record, TradeData

cdef enum Novelty:
    NOVEL = 0
    REPEAT = 1            # a snapshot equal to the last event, or of a trade among the last 64
    GAP = 2               # novel too: a snapshot of an unknown trade on a stream that had trades, so some were missed

cdef struct LastSeen:     # all zero = nothing yet; `ids` is owned
    uint64_t content      # of the last event of a state channel, 0 = none
    uint64_t* ids         # keys of the last trades
    uint8_t id_room       # 0, 8, 16, 32 or 64
    uint8_t id_count
    uint8_t id_next       # where the next one goes

# Judges an event and remembers it.
cdef Novelty judge(LastSeen* seen, const Record* record, uint64_t seed) noexcept nogil

# Keeps the key of a trade (not 0); the oldest of 64 goes.
cdef void remember(LastSeen* seen, uint64_t key) noexcept nogil

# Frees what was remembered.
cdef void forget_seen(LastSeen* seen) noexcept nogil

cdef inline size_t seen_bytes(const LastSeen* seen) noexcept nogil:
    return seen.id_room * sizeof(uint64_t)

# Of a ticker, book or candle: hash of exchange time and every value. 0 for kinds that are not compared.
cdef uint64_t content_of(const Record* record, uint64_t seed) noexcept nogil

# Of a trade: its id, or a hash of a text id. 0 if it has none.
cdef uint64_t trade_key(const TradeData* trade, uint64_t seed) noexcept nogil
