# cython: language_level=3
"""C face of strategies. Users write `from subcore cimport Strategy, TickerData` and override what they need.

The class carries the ABI number in its name, so that a module compiled against another number cannot import it.
"""

from subcore._events cimport AssetData, CandleData, EventHead, OrderbookData, OrderData, TickerData, TradeData

cdef class StrategyAbi1:
    # In the order of EventKind: the fan-out calls a method by its place (_call.h).
    # The struct, and what its pointers point to, is valid only during the call.
    cdef int on_ticker(self, const TickerData* ticker) except -1
    cdef int on_trade(self, const TradeData* trade) except -1
    cdef int on_orderbook(self, const OrderbookData* orderbook) except -1
    cdef int on_candle(self, const CandleData* candle) except -1
    cdef int on_order(self, const OrderData* order) except -1
    cdef int on_asset(self, const AssetData* asset) except -1
    # Room for kinds to come: adding a method would move none of those above, but end older subclasses too early.
    cdef int reserved_1(self, const EventHead* event) except -1
    cdef int reserved_2(self, const EventHead* event) except -1
    cdef int reserved_3(self, const EventHead* event) except -1
    cdef int reserved_4(self, const EventHead* event) except -1
