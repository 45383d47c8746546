"""A ledger and a router used as a manager would use them, and events to send."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from subcore._events import Event, Orderbook, Ticker
from subcore._ledger import Ledger
from subcore._route import Router


def ticker(price: float = 1.0) -> Ticker:
    return Ticker(venue="venue", channel="ticker", symbol="KRW-BTC", price=price)


def orderbook(levels: int) -> Orderbook:
    side = [(100.0 + n, 1.0) for n in range(levels)]
    return Orderbook(venue="venue", channel="orderbook", symbol="KRW-BTC", bids=side, asks=side[:-1])


class World:
    """A ledger and a router used as a manager would use them."""

    def __init__(self, on_error: Callable | None = None) -> None:
        self.ledger = Ledger()
        self.gone: deque[int] = deque()
        self.router = Router(self.ledger, gone=self.gone, on_error=on_error)

    def topic(self, symbol: int = 0, cut: int = 0, channel: int = 0) -> int:
        return self.ledger.topic(self.ledger.stream(channel, symbol), cut)

    def stream(self, topic: int) -> int:
        return self.ledger.topic_key(topic)[0]

    def component(self, target: object, topics: list[int], *, raw: bool = False) -> tuple[int, int]:
        component = self.ledger.open_component()
        sink = self.router.new_sink(component, target, raw=raw)
        self.subscribe(component, sink, topics)
        return component, sink

    def subscribe(self, component: int, sink: int, topics: list[int]) -> None:
        self.router.add(sink, topics)

    def unsubscribe(self, component: int, topics: list[int]) -> None:
        self.router.disconnect(component, topics)
        self.ledger.remove(component, topics)

    def close(self, component: int, sink: int) -> None:
        self.router.release_sink(sink)
        self.router.disconnect(component, self.ledger.interests(component))
        self.ledger.close_component(component)

    def send(self, topic: int, event: Event | None = None) -> None:
        self.router.send(self.stream(topic), event or ticker())
