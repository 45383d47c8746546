"""Counters of what frames are, against a plain model that knows nothing of the core: sets, deques and sums."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import pytest

from fed_manager import START_NS, ticker, trade, unstarted
from manager_rig import make
from subcore.manager import SubscriptionManager

MS = 1_000_000
SYMBOLS = ("KRW-BTC", "KRW-ETH")
# Of two carriers; wanted on another channel; of nobody.
DOUBLED, ELSEWHERE, NEVER = "KRW-XRP", "KRW-SOL", "KRW-NEVER"
KINDS = ("ticker", "ticker", "trade", "trade", "two", "two", "elsewhere", "never", "control", "bad")


@pytest.fixture
def manager() -> Iterator[SubscriptionManager]:
    for made in unstarted(obligations=None):
        made._hub.feed.on_gap = made._hub.feed.on_control = None  # a loop would tell of them
        yield made


class Model:
    """What each frame is, by what came before."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.counts: Counter[str] = Counter()
        self.said: dict[str, tuple[int, float]] = {}
        self.trades: dict[str, deque[int]] = {symbol: deque(maxlen=64) for symbol in SYMBOLS}
        self.two: tuple[deque[int], deque[int]] = deque(), deque()  # sent by the other carrier alone so far
        self.seen: set[int] = set()
        self.number = 1000

    def ticker(self, symbol: str, ms: int, skewed: bool) -> bytes:
        snapshot = self.rng.random() < 0.3
        content = (ms, float(self.rng.randrange(3)))
        if snapshot and symbol in self.said and self.rng.random() < 0.5:
            content = self.said[symbol]
        self.counts["skewed"] += skewed and not snapshot
        if symbol in SYMBOLS:
            if snapshot and self.said.get(symbol) == content:
                self.counts["repeated"] += 1
            else:
                self.given(symbol)
                self.said[symbol] = content
        return ticker(symbol, *content, "SNAPSHOT" if snapshot else "REALTIME")

    def trade(self, symbol: str, ms: int, skewed: bool) -> bytes:
        known = self.trades[symbol]
        snapshot = self.rng.random() < 0.3
        self.number += 1
        number = self.rng.choice(known) if snapshot and known and self.rng.random() < 0.6 else self.number
        self.counts["skewed"] += skewed and not snapshot
        if snapshot and number in known:
            self.counts["repeated"] += 1
        else:
            self.counts["gaps"] += snapshot and bool(known)
            known.append(number)
            self.given(symbol)
        return trade(symbol, ms, number, "SNAPSHOT" if snapshot else "REALTIME")

    def of_two(self, link: int, ms: int) -> bytes:
        """Each carrier brings each trade, in order; one may be some trades behind the other."""
        mine, others = self.two[link], self.two[1 - link]
        if mine:
            number = mine.popleft()
        else:
            self.number += 1
            number = self.number
            others.append(number)
        if number in self.seen:
            self.counts["duplicates"] += 1
        else:
            self.given(DOUBLED)
        self.seen.add(number)
        return trade(DOUBLED, ms, number, "REALTIME")

    def given(self, symbol: str) -> None:
        self.counts["given"] += 1

    def draw(self, link: int, now: int) -> bytes:
        """A frame of any kind, as this carrier brings it now."""
        skewed = self.rng.random() < 0.05
        ms = now // MS + (500 if skewed else -self.rng.randrange(1, 500))
        kind = self.rng.choice(KINDS)
        self.counts["events"] += kind not in ("control", "bad")
        self.counts["controls"] += kind == "control"
        self.counts["unknown_streams"] += kind == "elsewhere"
        match kind:
            case "ticker":
                return self.ticker(self.rng.choice(SYMBOLS), ms, skewed)
            case "trade":
                return self.trade(self.rng.choice(SYMBOLS), ms, skewed)
            case "two":
                return self.of_two(link, now // MS - 1)
            case "control":
                return self.rng.choice([b'{"status":"UP"}', b'{"hello":1}'])
            case "bad":
                return trade(SYMBOLS[0], ms, 1, "REALTIME")[:-1]
        return self.ticker(ELSEWHERE if kind == "elsewhere" else NEVER, ms, skewed)


def play(manager: SubscriptionManager, seed: int, count: int) -> Model:
    rng = random.Random(f"recount {seed}")
    model, failed = Model(rng), Counter[str]()

    def handle(event: Any) -> None:
        failed["calls"] += 1
        if rng.random() < 0.2:
            failed["errors"] += 1
            raise ValueError("one in five")

    one = make(manager, "one")
    for channel, symbols in (("ticker", SYMBOLS), ("trade", [*SYMBOLS, DOUBLED, ELSEWHERE])):
        one.subscribe(channel, symbols, handle)
    hub, now = manager._hub, START_NS
    stream = hub.intent.find_stream(hub.venue.channel_index("trade"), DOUBLED, 0.0)
    hub.meter.arbitrate([stream], True)
    for _ in range(count):
        now += rng.randrange(1, 5 * MS)
        link = rng.randrange(2)
        hub.feed.feed(link, model.draw(link, now), now)
    model.counts["handler_errors"] = failed["errors"]
    assert failed["calls"] == model.counts.pop("given")
    return model


@pytest.mark.parametrize("seed", range(3))
def test_what_frames_are_is_counted_as_a_plain_model_does(manager: SubscriptionManager, seed: int) -> None:
    print(f"seed {seed}")
    model = play(manager, seed, 1500)
    stats = manager.stats()
    assert {name: getattr(stats, name) for name in model.counts} == dict(model.counts)
    assert min(model.counts.values()) > 10
    assert stats.components["one"].handler_errors == model.counts["handler_errors"]
    assert sum(channel.repeats for channel in stats.channels.values()) == model.counts["repeated"]
    assert sum(channel.skewed for channel in stats.channels.values()) == model.counts["skewed"]
    # a link is known once it was up
    assert sum(link.skewed for link in stats.links) in (0, model.counts["skewed"])
