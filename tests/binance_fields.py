"""Field tables of another venue's combined streams, kept in tests: the core must read them without knowing the venue.

Numbers in quotes, an object in an object in a wrapper, symbol and channel in one text, short keys that differ in case.
"""

from __future__ import annotations

from subcore.fields import MILLISECONDS, Discriminator, Field, Nested, Schema, Table


def _number(key: str, member: str) -> Field:
    return Field(key, member, required=True, quoted=True, bare=False)


_BOOK_TICKER = (
    Field("u", "update_id", required=True),
    _number("b", "best_bid_price"),
    _number("B", "best_bid_size"),
    _number("a", "best_ask_price"),
    _number("A", "best_ask_size"),
)
_AGG_TRADE = (
    Field("E", "exchange_time_ns", required=True, unit=MILLISECONDS),
    Field("a", "id", required=True),
    _number("p", "price"),
    _number("q", "size"),
    Field("f", "first_id"),
    Field("l", "last_id"),
    Field("T", "trade_time_ns", required=True, unit=MILLISECONDS),
    Field("m", "is_buyer_maker", required=True),
)
_KLINE = (
    Field("t", "start_time_ns", required=True, unit=MILLISECONDS),
    Field("T", "end_time_ns", required=True, unit=MILLISECONDS),
    _number("o", "open"),
    _number("c", "close"),
    _number("h", "high"),
    _number("l", "low"),
    _number("v", "volume"),
    Field("n", "trade_count"),
    Field("x", "is_closed", required=True),
    _number("q", "turnover"),
    _number("V", "buy_volume"),
    _number("Q", "buy_turnover"),
)


def schema() -> Schema:
    kline = (
        Field("E", "exchange_time_ns", required=True, unit=MILLISECONDS),
        Nested("k", _KLINE, required=True),
    )
    return Schema(
        channels=("bookTicker", "aggTrade", "kline"),
        discriminators=(
            Discriminator(
                "stream",
                (
                    Table(
                        "ticker", {"bookTicker": "bookTicker"}, (Nested("data", _BOOK_TICKER, required=True),)
                    ),
                    Table("trade", {"aggTrade": "aggTrade"}, (Nested("data", _AGG_TRADE, required=True),)),
                    Table("candle", {"kline_1m": "kline"}, (Nested("data", kline, required=True),)),
                ),
                format="combined",
                split="@",
                symbol_upper=True,
            ),
        ),
    )
