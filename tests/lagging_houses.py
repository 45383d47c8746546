"""What differs between venues for who moves their streams while links lag, and reads along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from subcore.sim import Exchange
from subcore.sim.binance import BinanceExchange


@dataclass(frozen=True)
class House:
    """What differs between venues. `states`: channels of states, by the names they are asked for with.

    `read`: the channel a frame is of, its symbol, and the trade's id or the state's place in the order of states; None
    of what is no data. `order`: that place of an event. `carried`: how many streams a connection carries.
    """

    name: str
    quote: str
    make: Callable[..., Any]
    path: str
    states: tuple[str, str]
    ask: Callable[[tuple[str, ...], list[str]], Any]
    read: Callable[[dict[str, Any]], tuple[str, str, int] | None]
    order: Callable[[Any], int]
    carried: Callable[[Any], int]

    @property
    def channels(self) -> tuple[str, ...]:
        """All of them."""
        return ("trade", *self.states)

    @property
    def codes(self) -> list[str]:
        """The markets that move, or some of them."""
        return [self.quote.format(f"N{number}") for number in range(10)]

    @property
    def late(self) -> list[str]:
        """Those that come to the nursery, and go home."""
        return self.codes[7:]

    @property
    def extras(self) -> list[str]:
        """Of the burst before that."""
        return [self.quote.format(f"X{number}") for number in range(12)]


def _read_upbit(said: dict[str, Any]) -> tuple[str, str, int]:
    channel = said["type"]
    return channel, said["code"], said["sequential_id" if channel == "trade" else "timestamp"]


UPBIT = House(
    "upbit",
    "KRW-{}",
    Exchange,
    "/websocket/v1",
    ("ticker", "orderbook"),
    lambda channels, codes: [
        {"ticket": "onlooker"},
        *({"type": channel, "codes": codes} for channel in channels),
    ],
    _read_upbit,
    lambda event: event.exchange_time_ns // 1_000_000,
    lambda connection: sum(s.live for s in connection.subscriptions.values()),
)

WIRE = {"trade": "trade", "book_ticker": "bookTicker", "orderbook": "depth20@100ms"}


def _read_binance(said: dict[str, Any]) -> tuple[str, str, int] | None:
    if "stream" not in said:
        return None  # an acknowledgement
    code, _, wire = said["stream"].partition("@")
    channel = next(channel for channel, word in WIRE.items() if word == wire)
    return (
        channel,
        code.upper(),
        said["data"][{"trade": "t", "book_ticker": "u"}.get(channel, "lastUpdateId")],
    )


BINANCE = House(
    "binance",
    "{}USDT",
    BinanceExchange,
    "/stream",
    ("book_ticker", "orderbook"),
    lambda channels, codes: {
        "method": "SUBSCRIBE",
        "params": [f"{code.lower()}@{WIRE[channel]}" for channel in channels for code in codes],
        "id": 1,
    },
    _read_binance,
    lambda event: event.update_id,
    lambda connection: len(connection.streams),
)
