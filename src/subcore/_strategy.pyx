"""A strategy written in Cython: its methods get the event as a C struct, and no Python object is made for it."""

from subcore._events cimport (
    ABI_VERSION,
    AssetData,
    CandleData,
    EventHead,
    OrderbookData,
    OrderData,
    TickerData,
    TradeData,
)

PREFIX = "StrategyAbi"
STRATEGY_ABI = ABI_VERSION


cdef class StrategyAbi1:
    """Base class of strategies: subclass it in Cython, override the kinds wanted, pass an instance as `handler=`.

    Each method returns 0 (what a `cdef int` method does by itself) and may raise: that is counted, reported and harms
    nobody else. Called on the loop's thread with the GIL, at 1 to 2 ns a call; the pointer is valid only during it.
    """

    cdef int on_ticker(self, const TickerData* ticker) except -1:
        return 0

    cdef int on_trade(self, const TradeData* trade) except -1:
        return 0

    cdef int on_orderbook(self, const OrderbookData* orderbook) except -1:
        return 0

    cdef int on_candle(self, const CandleData* candle) except -1:
        return 0

    cdef int on_order(self, const OrderData* order) except -1:
        return 0

    cdef int on_asset(self, const AssetData* asset) except -1:
        return 0

    cdef int reserved_1(self, const EventHead* event) except -1:
        return 0

    cdef int reserved_2(self, const EventHead* event) except -1:
        return 0

    cdef int reserved_3(self, const EventHead* event) except -1:
        return 0

    cdef int reserved_4(self, const EventHead* event) except -1:
        return 0


Strategy = StrategyAbi1


def __getattr__(str name):
    # A compiled strategy looks its base class up by name when it is imported.
    if name.startswith(PREFIX):
        raise ImportError(
            f"this strategy was compiled against ABI {name[len(PREFIX):]} of subcore, but the installed subcore has "
            f"ABI {ABI_VERSION}: compile the strategy again with the installed version"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
