"""Events for the tests of what the meter keeps."""

from __future__ import annotations

from typing import Any

from subcore._events import Ticker, Trade

HEAD = {"venue": "v", "symbol": "A"}


def ticker(receive: int = 0, exchange: int | None = None, snapshot: bool = False, **values: Any) -> Ticker:
    return Ticker(
        **HEAD,
        channel="ticker",
        receive_time_ns=receive,
        exchange_time_ns=exchange,
        is_snapshot=snapshot,
        **values,
    )


def trade(id: int | str | None, snapshot: bool = False) -> Trade:
    return Trade(**HEAD, channel="trade", id=id, is_snapshot=snapshot)
