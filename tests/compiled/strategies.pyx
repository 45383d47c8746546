# cython: language_level=3
"""Strategies that say what they were given, and what misbehaves."""

from subcore cimport ABI_VERSION, AssetData, CandleData, OrderbookData, OrderData, Strategy, TickerData, TradeData

COMPILED_ABI = ABI_VERSION


cdef class Told(Strategy):
    """Writes down each call: (kind, a member, levels of a book)."""

    cdef readonly list calls
    cdef public object error

    def __init__(self, error=None):
        self.calls = []
        self.error = error

    cdef int note(self, tuple call) except -1:
        self.calls.append(call)
        if self.error is not None:
            raise self.error
        return 0

    cdef int on_ticker(self, const TickerData* ticker) except -1:
        return self.note(("ticker", ticker.price))

    cdef int on_trade(self, const TradeData* trade) except -1:
        return self.note(("trade", trade.price))

    cdef int on_orderbook(self, const OrderbookData* book) except -1:
        last = book.bids[book.bid_count - 1].price if book.bid_count else None
        return self.note(("orderbook", book.bid_count, book.ask_count, last))

    cdef int on_candle(self, const CandleData* candle) except -1:
        return self.note(("candle", candle.close))

    cdef int on_order(self, const OrderData* order) except -1:
        return self.note(("order", order.price))

    cdef int on_asset(self, const AssetData* asset) except -1:
        return self.note(("asset", asset.balance_count))


cdef class Quiet(Strategy):
    """Overrides nothing."""
