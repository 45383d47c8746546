"""What the soak calls news: every channel has a mark that tells, and a feed that loses news is found."""

from __future__ import annotations

import sys
from collections import Counter
from functools import cache
from typing import Any

import pytest

from conftest import ROOT
from subcore.errors import UnsupportedError
from subcore.intent import Act
from subcore.sim import Exchange
from subcore.sim.binance import BinanceExchange
from subcore.testing import EngineDriver
from subcore.types import Topic
from subcore.venue import Venue
from subcore.venues import venue

sys.path.insert(0, str(ROOT / "scripts" / "soak"))
from core_ledger import CoreLedger
from grammar import Binance, Grammar, Upbit
from handlers import Given

GRAMMARS: dict[str, Grammar] = {"upbit": Upbit(), "binance": Binance()}
SYMBOLS = {"upbit": "KRW-BTC", "binance": "BTCUSDT"}
KINDS = {
    "upbit": {"ticker", "trade", "orderbook", "candle.1s", "candle.1m"},
    "binance": {"bookTicker", "aggTrade", "trade", "kline_1m", "depth5", "depth10", "depth20"},
}
SECONDS = 30.0


class Losing:
    """A feed that takes no frame in and says that each was a repeat."""

    def __init__(self, feed: Any) -> None:
        self._feed, self._lost = feed, 0

    def feed(self, link: int, payload: bytes, now: int) -> None:
        self._lost += 1

    def counters(self) -> dict[str, int]:
        return {**self._feed.counters(), "repeats": self._lost}

    def give_images(self) -> None:
        pass


class Listening(EngineDriver):
    """Keeps what came."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.came: list[bytes] = []

    def _frame(self, one: Any, payload: bytes) -> None:
        self.came.append(payload)
        super()._frame(one, payload)


def at_sim(name: str) -> Venue:
    return venue(name).at("ws://sim.test:80")


def topics(name: str) -> list[Topic]:
    """One of each channel and depth, of one symbol."""
    if name == "upbit":
        return [Topic(kind, SYMBOLS[name]) for kind in sorted(KINDS[name])]
    named = [Topic(c, SYMBOLS[name]) for c in ("book_ticker", "agg_trade", "trade", "candle.1m")]
    return named + [Topic("orderbook", SYMBOLS[name], depth) for depth in (5, 10, 20)]


@cache
def frames(name: str) -> list[bytes]:
    """What a venue sends of all of them, in order."""
    exchange: Any = (Exchange if name == "upbit" else BinanceExchange)(1, markets=[SYMBOLS[name]], rate=1.0)
    driver = Listening(at_sim(name), exchange, seed=1)
    for topic in topics(name):
        driver.ledger.subscribe("chart", topic)
    driver.run(SECONDS)
    return driver.came


def core_of(name: str) -> CoreLedger:
    """Somebody holds all of them."""
    core, grammar = CoreLedger(at_sim(name), 1), GRAMMARS[name]
    core.handlers.due = core.handlers.held = lambda keys: Counter({"chart": len(keys)})
    core.handlers.marks = grammar.marks
    core.grant("chart", Act.ADD, topics(name))
    return core


@pytest.mark.parametrize("name", sorted(GRAMMARS))
def test_each_channel_has_a_mark(name: str) -> None:
    grammar, kinds = GRAMMARS[name], set()
    for payload in frames(name):
        marks = grammar.marks(payload)
        assert [key for key, _ in marks] == grammar.about(payload)
        assert all(mark is not None for _, mark in marks), payload
        kinds.update(key[0] for key, _ in marks)
    assert kinds == KINDS[name]


@pytest.mark.parametrize("name", sorted(GRAMMARS))
def test_what_has_no_mark_is_no_news(name: str) -> None:
    grammar = GRAMMARS[name]
    for payload in (b"", b"[", b"7", b"{}", b"[[]]", b'{"stream":7}', b'{"result":null,"id":1}'):
        assert grammar.marks(payload) == []
    ticker = b'{"type":"ticker","code":"KRW-BTC","timestamp":true,"st":1}'
    for payload in (b'{"stream":"btcusdt@trade","data":[]}', ticker):
        assert all(mark is None for _, mark in grammar.marks(payload))


@pytest.mark.parametrize("name", sorted(GRAMMARS))
def test_news_is_given_and_its_copies_are_not_due(name: str) -> None:
    core, grammar = core_of(name), GRAMMARS[name]
    fed = [payload for payload in frames(name) if grammar.about(payload)]
    for now, payload in enumerate(fed):
        core.handlers.frame(0, payload, now, grammar.about(payload))
    news = core.handlers.counts["news that was due"]
    assert news > len(fed) / 2
    core.handlers._feed = Losing(core.handlers._feed)  # type: ignore[assignment]
    for payload in fed:
        core.handlers.frame(0, payload, len(fed), grammar.about(payload))
    assert core.handlers.counts["news that was due"] == news


@pytest.mark.parametrize("name", sorted(GRAMMARS))
def test_a_feed_that_loses_news_as_repeats_is_found(name: str) -> None:
    core, grammar = core_of(name), GRAMMARS[name]
    core.handlers._feed = Losing(core.handlers._feed)  # type: ignore[assignment]
    payload = next(payload for payload in frames(name) if grammar.about(payload))
    with pytest.raises(Given, match="not to be kept back"):
        core.handlers.frame(0, payload, 1, grammar.about(payload))


@pytest.mark.parametrize("act", [Act.ADD, Act.REPLACE])
def test_a_wrong_topic_is_refused_once_all_are_resolved(act: Act) -> None:
    core = CoreLedger(at_sim("binance"), 1)
    held, good = Topic("trade", "BTCUSDT"), Topic("trade", "ETHUSDT")
    core.grant("chart", Act.ADD, [held])
    with pytest.raises(UnsupportedError):
        core.grant("chart", act, [good, Topic("orderbook", "BTCUSDT", 7)])
    assert core.held("chart") == {held}
    assert core.handlers.counts["calls refused once resolved"] == 1
