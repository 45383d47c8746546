# cython: language_level=3
"""Event structs (C face of an event) and the classes that wrap them.

A struct only ever grows at its end; ABI_VERSION changes when anything else does. Absent numbers are NaN, absent
integers ABSENT, absent texts have size 0. Times are nanoseconds since 1970 UTC.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "<stdint.h>" nogil:
    const int64_t ABSENT "INT64_MIN"

cdef enum:
    ABI_VERSION = 1

cdef enum EventKind:
    KIND_NONE = 0
    KIND_TICKER = 1
    KIND_TRADE = 2
    KIND_ORDERBOOK = 3
    KIND_CANDLE = 4
    KIND_ORDER = 5
    KIND_ASSET = 6
    KIND_COUNT = 7

cdef enum EventFlag:
    FLAG_SNAPSHOT = 1     # the venue marked the frame as the state at subscription
    FLAG_IMAGE = 2        # last known event, given to a late joiner
    FLAG_REALTIME = 4     # the venue marked the frame as live

cdef enum SideCode:
    SIDE_NONE = 0
    SIDE_BUY = 1          # the taker bought
    SIDE_SELL = 2         # the taker sold

cdef enum TruthCode:
    TRUTH_ABSENT = 0
    TRUTH_FALSE = 1
    TRUTH_TRUE = 2

cdef struct Text16:
    uint8_t size
    char data[15]

cdef struct Text40:
    uint8_t size
    char data[39]

cdef struct Text72:
    uint8_t size
    char data[71]

cdef struct Level:
    double price
    double size

cdef struct EventHead:
    int64_t receive_time_ns
    int64_t exchange_time_ns     # ABSENT where the venue sends none
    int32_t stream               # dense stream id, -1 outside a manager
    int32_t symbol               # dense symbol id, -1 where unknown
    uint16_t channel             # index of the channel in the venue's channel list
    uint16_t variant             # what tells streams of one channel and symbol apart (e.g. price grouping); 0 = none
    uint8_t kind                 # EventKind
    uint8_t flags                # EventFlag bits
    uint16_t reserved

cdef struct TickerData:
    EventHead head
    double price
    double open
    double high
    double low
    double previous_close
    double size
    double volume_24h
    double turnover_24h
    double volume                # since the venue's day began
    double turnover
    double change_price          # absolute
    double signed_change_price
    double change_rate           # 0.01 = 1 %
    double signed_change_rate
    double ask_volume            # sold by takers
    double bid_volume            # bought by takers
    double high_52w
    double low_52w
    double best_bid_price
    double best_bid_size
    double best_ask_price
    double best_ask_size
    int64_t trade_time_ns        # of the last trade
    int64_t update_id
    uint8_t side                 # SideCode of the last trade
    uint8_t is_trading_suspended  # TruthCode
    Text16 change
    Text16 trade_date
    Text16 trade_time
    Text16 high_52w_date
    Text16 low_52w_date
    Text16 market_state
    Text16 market_warning
    Text16 delisting_date

cdef struct TradeData:
    EventHead head
    double price
    double size
    double previous_close
    double change_price
    double best_bid_price
    double best_bid_size
    double best_ask_price
    double best_ask_size
    int64_t id                   # ABSENT where the id is a text (then id_text)
    int64_t trade_time_ns
    int64_t first_id             # aggregated trades: first and last id in it
    int64_t last_id
    uint8_t side                 # SideCode
    uint8_t is_buyer_maker       # TruthCode
    Text16 change
    Text16 trade_date
    Text16 trade_time
    Text40 id_text

cdef struct OrderbookData:
    EventHead head
    double total_bid_size
    double total_ask_size
    double grouping              # 0 or NaN = none
    int64_t update_id
    int32_t bid_count
    int32_t ask_count
    const Level* bids            # best first; valid only during the call that passes the struct
    const Level* asks

cdef struct CandleData:
    EventHead head
    double open
    double high
    double low
    double close
    double volume
    double turnover
    int64_t start_time_ns
    int64_t end_time_ns
    int64_t trade_count
    uint8_t is_closed            # TruthCode
    double buy_volume            # by takers who bought; NaN where the venue does not say
    double buy_turnover

cdef struct OrderData:
    EventHead head
    double price
    double average_price
    double size
    double remaining_size
    double executed_size
    double reserved_fee
    double remaining_fee
    double paid_fee
    double locked
    double executed_funds
    double trade_fee
    double prevented_size
    double prevented_locked
    int64_t trade_count
    int64_t trade_time_ns
    int64_t order_time_ns
    uint8_t side
    uint8_t is_maker             # TruthCode
    Text16 order_type
    Text16 state
    Text16 time_in_force
    Text40 self_trade_prevention
    Text40 order_id
    Text40 trade_id
    Text72 client_order_id

cdef struct Balance:
    Text16 currency
    double available
    double locked

cdef struct AssetData:
    EventHead head
    int64_t asset_time_ns
    int32_t balance_count
    Text40 asset_id
    const Balance* balances      # valid only during the call that passes the struct

cdef union Record:               # the scanner's scratch: whichever kind the frame turned out to be
    EventHead head
    TickerData ticker
    TradeData trade
    OrderbookData orderbook
    CandleData candle
    OrderData order
    AssetData asset

cdef class Event:
    cdef readonly str venue
    cdef readonly str channel
    cdef readonly str symbol     # None where the event has none
    cdef readonly bytes raw      # None unless asked for
    cdef EventHead* head         # never NULL; the first member of the final class's `data`

cdef class Ticker(Event):
    cdef TickerData data

cdef class Trade(Event):
    cdef TradeData data

cdef class Orderbook(Event):
    cdef OrderbookData data      # data.bids and data.asks point into `levels`
    cdef Level* levels           # one block: bids, then asks
    cdef tuple bid_levels        # built on first use
    cdef tuple ask_levels

cdef class Candle(Event):
    cdef CandleData data

cdef class Order(Event):
    cdef OrderData data

cdef class Asset(Event):
    cdef AssetData data          # data.balances is owned
    cdef tuple balance_tuples    # built on first use

# Copies the record: nothing of the event points into it. `cut` = levels kept of each side of a book, 0 = all.
# ValueError for a record of no known kind, MemoryError.
cdef Event make_event(const Record* record, str venue, str channel, str symbol, bytes raw, uint16_t cut)

# Write a record of the same kind over an event that nobody but the caller holds. False where it takes another object:
# then nothing has changed.
cdef bint renew_event(PyObject* event, const Record* record) noexcept

# The event's own struct: valid, and only to be read, while the event lives. It ends where its kind's struct ends, which
# is before a Record does: copy it with `copy_record`.
cdef const Record* record_of(Event event) noexcept

# Copies the event's struct, and not a byte behind it; the rest of `record` stays what it is. Levels and balances are
# still the event's.
cdef inline void copy_record(Event event, Record* record) noexcept:
    cdef uint8_t kind = event.head.kind
    if kind == KIND_TICKER:
        record.ticker = (<const TickerData*>event.head)[0]
    elif kind == KIND_TRADE:
        record.trade = (<const TradeData*>event.head)[0]
    elif kind == KIND_ORDERBOOK:
        record.orderbook = (<const OrderbookData*>event.head)[0]
    elif kind == KIND_CANDLE:
        record.candle = (<const CandleData*>event.head)[0]
    elif kind == KIND_ORDER:
        record.order = (<const OrderData*>event.head)[0]
    elif kind == KIND_ASSET:
        record.asset = (<const AssetData*>event.head)[0]
    else:
        record.head = event.head[0]

# Bytes the event alone holds: object, levels, tuples built so far, raw; not the shared texts.
cdef Py_ssize_t size_of(Event event) except -1
