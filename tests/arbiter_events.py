"""Events of every kind, as short as a test of two carriers wants them."""

from __future__ import annotations

from typing import Any

from subcore._events import Asset, Candle, Event, Order, Orderbook, Ticker, Trade

HEAD = {"venue": "v", "symbol": "A"}
MS = 1_000_000


def ticker(
    time: int | None, price: float, snapshot: bool = False, number: int | None = None, **values: Any
) -> Event:
    return Ticker(
        **HEAD,
        channel="ticker",
        exchange_time_ns=time,
        price=price,
        is_snapshot=snapshot,
        update_id=number,
        **values,
    )


def book(
    time: int | None, price: float, snapshot: bool = False, number: int | None = None, **values: Any
) -> Event:
    return Orderbook(
        **HEAD,
        channel="orderbook",
        exchange_time_ns=time,
        bids=[(price, 1.0)],
        is_snapshot=snapshot,
        update_id=number,
        **values,
    )


def candle(time: int | None, price: float, snapshot: bool = False, **values: Any) -> Event:
    return Candle(
        **HEAD, channel="candle.1m", exchange_time_ns=time, close=price, is_snapshot=snapshot, **values
    )


def trade(id: int | str | None, snapshot: bool = False, **values: Any) -> Event:
    return Trade(**HEAD, channel="trade", id=id, is_snapshot=snapshot, **values)


def order(number: int, state: str, time: int | None = None) -> Event:
    return Order(**HEAD, channel="myOrder", order_id=f"o{number}", state=state, exchange_time_ns=time)


def asset(currency: str, available: float, time: int | None = None) -> Event:
    return Asset(venue="v", channel="myAsset", balances=[(currency, available, 0.0)], exchange_time_ns=time)


STATE = {Ticker: ticker, Orderbook: book, Candle: candle}


def said(event: Event) -> str:
    """Everything an event says."""
    told = event.to_dict()
    for name in ("receive_time_ns", "is_snapshot", "is_realtime", "is_image"):
        del told[name]
    return repr(told)


# Any sequence of frames and switches, against dicts and deques.
