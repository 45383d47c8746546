"""Engine, real ledger and a pure exchange in virtual time, with a judge beside them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from math import inf
from typing import Any

from alive import Alive
from core_ledger import CoreLedger
from grammar import UNIT, Binance, Grammar, Key, Upbit
from judge import Judge
from waiting import Waiting

import subcore
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.errors import SubcoreError
from subcore.sim.binance import BinanceExchange
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.sim.rules import Rules
from subcore.testing import EngineDriver, FrameKey
from subcore.testing.connection import Connection
from subcore.testing.ledger import ids_of
from subcore.types import Topic
from subcore.venue import Venue
from subcore.venues import venue
from wishes import Wishes

TEXT = 1
FOUND_S = 180.0  # of bisection, with connections that fail meanwhile
LATE = 0.5  # of new connections, to which something of the last one is told
DEAD_AT_BIRTH = 0.04  # of new connections, on which nothing ever comes; on as many no data does
BASES = ("BTC", "ETH", "XRP", "ADA", "DOT", "SOL", "DOGE", "TRX", "LTC", "LINK", "AVAX", "ATOM")
LASTING = (
    "refuse",
    "cut",
    "hang",
    "status",
    "half_open",
    "mute_pong",
    "lose",
    "garbage",
    "fragments",
    "lag",
    "reorder",
)
FAULTS = ("drop_fin", "drop_rst", "close", *LASTING, "silent", "error", "delist")
CLOCKS = ("stall", "duplicate")


@dataclass(frozen=True)
class World:
    """One venue to play on."""

    name: str
    grammar: Grammar
    venue: Venue
    markets: tuple[str, ...]
    topics: tuple[Topic, ...]
    wrong: tuple[Topic, ...]  # what every call must be refused for
    ghosts: tuple[str, ...]  # well spelt, and not on the venue's list

    def exchange(self, seed: int, rng: random.Random) -> Any:
        """A fresh one."""
        if self.name == "binance":
            return BinanceExchange(seed, markets=list(self.markets), rate=0.3)
        return Exchange(
            seed,
            markets=list(self.markets),
            rate=0.25,
            rules=Rules(gap_on_replace=rng.random() < 0.3, late_frames=rng.choice((0, 2))),
        )


def upbit(rng: random.Random) -> World:
    """Every channel with depths and groupings, over three quote currencies."""
    markets = [f"KRW-{base}" for base in BASES] + ["BTC-ETH", "BTC-XRP", "USDT-BTC", "USDT-ETH"]
    ghosts = ("KRW-GHOSTA", "KRW-GHOSTB")
    topics = [Topic(c, s) for c in ("ticker", "trade", "candle.1s", "candle.1m") for s in (*markets, *ghosts)]
    topics += [Topic("orderbook", s, depth) for s in markets for depth in (None, 1, 5, 15, 30)]
    topics += [Topic("orderbook", f"KRW-{base}", None, 10000.0) for base in BASES[:2]]
    wrong = (Topic("orderbook", "KRW-BTC", 7), Topic("ticker", "krw btc"), Topic("trade", "KRW-BTC", 5))
    return World(
        "upbit",
        Upbit(),
        venue("upbit").at("ws://sim.test:80"),
        tuple(markets),
        tuple(topics),
        wrong,
        ghosts,
    )


def binance(rng: random.Random) -> World:
    """Every channel of combined streams, each depth a stream of its own; requests take many names, or few, so that the
    rest waits."""
    markets = [f"{base}USDT" for base in BASES] + ["ETHBTC", "XRPBTC"]
    ghosts = ("GHOSTAUSDT", "GHOSTBUSDT")
    topics = [
        Topic(c, s) for c in ("book_ticker", "agg_trade", "trade", "candle.1m") for s in (*markets, *ghosts)
    ]
    topics += [Topic("orderbook", s, depth) for s in markets for depth in (5, 10, 20)]
    wrong = (Topic("orderbook", "BTCUSDT", 7), Topic("trade", "btc-usdt"), Topic("trade", "BTCUSDT", 5))
    return World(
        "binance",
        Binance(),
        venue("binance", names_per_message=rng.choice((4, 100))).at("ws://sim.test:80"),
        tuple(markets),
        tuple(topics),
        wrong,
        ghosts,
    )


class JudgedDriver(EngineDriver):
    """Tells the judge of everything that passes."""

    def __init__(self, world: World, seed: int, rng: random.Random) -> None:
        exchange = world.exchange(seed, rng)
        self.world = world
        super().__init__(
            world.venue,
            exchange,
            seed=seed,
            delay=rng.choice(((0.005, 0.05), (0.0, 0.3), (0.1, 0.12))),
            symbols=self._list_of_old(rng) if rng.random() < 0.5 else None,
            markets=lambda: frozenset(exchange.markets) if rng.random() < 0.9 else None,
            read_frame=self._read,
            ledger=CoreLedger(world.venue, seed),
        )
        self.rng = rng
        self.tally: Counter[str] = Counter()
        self.guilty: dict[str, float] = dict.fromkeys(world.ghosts, inf)  # symbols, and until when
        self.judge = Judge(world.grammar)
        self.waiting = Waiting()
        self.alive = Alive()
        self.is_wild = True
        self.core: CoreLedger = self.ledger  # type: ignore[assignment]
        self.wishes = Wishes(self.core, rng, world.topics, world.wrong, self.key_of_topic)
        self.core.handlers.due = self.wishes.due
        self.core.handlers.held = self.wishes.held_of
        self.core.handlers.act = self.wishes.step
        self.core.handlers.marks = world.grammar.marks
        self.duplicates_until = 0
        self.doubled: set[int] = (
            set()
        )  # ids that two links shall carry, and such that shall have links of their own
        self.own: set[int] = set()
        self.let_go: set[int] = set()  # connections of which the venue has forgotten something
        self._left_at = 0
        self._latest: dict[
            int, dict[bool, tuple[Connection, bytes]]
        ] = {}  # frames by link: data and other ones

    def _list_of_old(self, rng: random.Random) -> frozenset[str]:
        """The list that the engine begins with: some markets have joined since."""
        return frozenset(rng.sample(self.world.markets, len(self.world.markets) - rng.choice((0, 0, 1, 3))))

    def _read(self, payload: bytes) -> list[FrameKey]:
        """What the driver's meter makes of a frame: read once, by the grammar."""
        grammar = self.world.grammar
        fresh = grammar.is_snapshot(payload)
        return [FrameKey(kind, symbol, level / UNIT, fresh) for kind, symbol, level in grammar.about(payload)]

    def key_of_topic(self, topic: Topic) -> Key:
        """A topic's stream by the grammar's words."""
        return self.world.grammar.key(topic.channel, topic.symbol, topic.depth, topic.grouping)

    def key_of(self, stream: int) -> Key:
        """A stream's."""
        return self.key_of_topic(self.core.topic(stream))

    def keys_of(self, streams: set[int]) -> list[Key]:
        """Those of many, in order."""
        return sorted(map(self.key_of, streams))

    # -- what passes --

    def handle(self, event: events.Event) -> None:
        """Give the engine an event and carry out what it wants; then the judge looks at what became of it."""
        if isinstance(event, events.LinkDown):
            self.judge.ends((event.link, event.generation))
            self.alive.dies(event, self.now)
        self._note(event)
        super().handle(event)

    def _note(self, event: events.Event) -> None:
        """What is asked of the links of streams, until it is taken back or their ids are."""
        if isinstance(event, events.StandBy | events.OwnLink):
            asked = self.doubled if isinstance(event, events.StandBy) else self.own
            (asked.update if event.on else asked.difference_update)(event.streams.tolist())

    def carry_out(self, action: actions.Action) -> None:
        """Do one thing the engine wants."""
        if isinstance(action, actions.Disconnect):
            self.alive.gives_up(action, self)
            self.judge.ends((action.link, action.generation))
        elif isinstance(action, actions.Restored):
            self.judge.restored(action)
        elif isinstance(action, actions.Arbitrate):
            self.core.handlers.arbitrate(action.streams, action.on)
        elif isinstance(action, actions.ReleaseStreams):
            self.doubled.difference_update(action.streams.tolist())
            self.own.difference_update(action.streams.tolist())
        super().carry_out(action)

    def accuse(self, symbol: str, seconds: float) -> None:
        """The venue has a reason to refuse it for so long, and the engine a while to find that it was this one."""
        until = self.now + (seconds + FOUND_S) * SECOND
        self.guilty[symbol] = max(until, self.guilty.get(symbol, 0.0))

    def handled(self, event: events.Event, did: list[actions.Action]) -> None:
        """The judge looks at what became of it."""
        self.judge.after(event, did, self)
        self.waiting.after(did, self)
        if isinstance(event, events.Changed):
            self.waiting.wished(self)
        if isinstance(event, events.Tick):
            self.waiting.looked(self)

    def turn(self, *, urgent: bool = False) -> None:
        """End the loop turn: the engine sees what changed, and who joined gets what is newest."""
        super().turn(urgent=urgent)
        self.core.handlers.turn()

    def _opened(self, one: Any, rtt: int) -> None:
        self.judge.opens((one.link, one.generation))
        self.alive.opens((one.link, one.generation), self.now)
        if self.is_wild:
            self._stifle(one)
        super()._opened(one, rtt)
        if self.rng.random() < LATE:
            self._tell_late(one)

    def _stifle(self, one: Connection) -> None:
        """It was good for the handshake, and for nothing since."""
        kind = self.rng.random() // DEAD_AT_BIRTH
        if kind < 2:
            name, share = ("half_open", 0.0) if kind else ("lose", 1.0)
            self.exchange.inject(Fault(name, conn=one.conn, probability=share), self.now)
            self.tally["dead at birth" if kind else "mute from birth"] += 1

    def stall(self, seconds: float) -> None:
        """The loop is stuck for so long."""
        super().stall(seconds)
        self.alive.stalls(self.now, self._blocked_until)

    def _tell_late(self, present: Connection) -> None:
        """Something of the connection before this one is told only now, when its link has asked for everything anew."""
        for one, payload in self._latest.pop(present.link, {}).values():
            if one.generation == present.generation:
                continue
            self.tally["late replies"] += 1
            streams = {self._stream_of(key) for key in self._read(payload)} - {-1}
            if streams:
                self.handle(
                    events.StreamEvidence(one.link, one.generation, ids_of(sorted(streams)), self.now)
                )
            for control in self.venue.decode_control(payload) if not streams else ():
                self.handle(events.ControlFrame(one.link, one.generation, control))
            self.handle(events.Pong(one.link, one.generation, 1))
            self.handle(events.LinkDown(one.link, one.generation, "told late", None, None, None))

    def _stream_of(self, key: FrameKey) -> int:
        return self.ledger.find_stream(self._channels.get(key.channel, -1), key.symbol, key.grouping)

    def _knock(self, one: Any, action: actions.Connect) -> None:
        if not one.over:
            self.judge.connects(self.now)
            self.alive.knocks((one.link, one.generation), self.now)
        super()._knock(one, action)

    def _do_send(self, action: actions.Send) -> None:
        if action.opcode == TEXT:
            self.judge.sends((action.link, action.generation), action.payload, self)
        super()._do_send(action)

    def _arrive(self, one: Any, opcode: int, payload: bytes) -> None:
        if one.conn is not None and one.conn in self.exchange.connections:
            self.judge.arrives((one.link, one.generation), payload, self.now, is_message=opcode == TEXT)
        super()._arrive(one, opcode, payload)

    def _from_exchange(self, output: Any) -> None:
        super()._from_exchange(output)
        if self.now < self.duplicates_until and output.kind == "frame" and output.fin and output.opcode:
            self.tally["duplicate"] += 1
            super()._from_exchange(output)

    def _receive(self, one: Any, output: Any) -> None:
        self._left_at = output.at
        self.alive.hears((one.link, one.generation), self.now)
        super()._receive(one, output)

    def _frame(self, one: Any, payload: bytes) -> None:
        self.judge.receives((one.link, one.generation), payload, self._left_at)
        keys = self.world.grammar.about(payload)
        if keys:
            wire = (one.link, one.generation)
            self.alive.brings(wire, self.now, keys, self.judge.wires.get(wire))
        else:
            if b'"error"' in payload:
                self.alive.blames((one.link, one.generation))
            try:
                subcore.decode_all(self.venue, payload)
            except SubcoreError:  # property 12: a named error, nothing else
                self.tally["frames that cannot be read"] += 1
        self._latest.setdefault(one.link, {})[bool(keys)] = one, payload
        self.core.handlers.frame(one.link, payload, self.now, keys)
        super()._frame(one, payload)


WORLDS = {"upbit": upbit, "binance": binance}
