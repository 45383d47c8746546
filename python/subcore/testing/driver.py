"""Engine, plain ledger and a pure exchange joined over a simulated network, in virtual time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from subcore._wire_set import WireSet
from subcore.engine import actions, events
from subcore.engine.clock import SECOND, nanoseconds
from subcore.engine.engine import Engine
from subcore.engine.pacing import LimitRegistry
from subcore.engine.restored import Restore
from subcore.latest import Latest
from subcore.testing.agenda import Agenda
from subcore.testing.asking import ask_over_rest
from subcore.testing.connection import Connection
from subcore.testing.frames import FrameKey, frame_reader
from subcore.testing.hearing import Hearing
from subcore.testing.history import Happened, read_history
from subcore.testing.ledger import PlainLedger, ids_of
from subcore.testing.pure_exchange import PureExchange
from subcore.types import Int32Array, Priority, StreamState, Topic
from subcore.venue import Venue

__all__ = ["EngineDriver"]

PING, PONG = 9, 10
CLOSED = StreamState.CLOSED
_UNKNOWN = -1


class EngineDriver(Agenda):
    """Engine, plain ledger and a pure exchange, in virtual time.

    `delay` is the range in seconds of the one-way network delay, drawn anew for each message; order is kept per
    connection, as TCP does. `login` gives a fresh token for each connect of a route that needs one. `history` tells
    what happened, for reading after a failure. `read_frame`: what a data frame is about, where the venue is none of
    those built in. `ledger`: another one with the methods of PlainLedger. `latest`: the exchange's REST is asked what
    is newest of silent streams.
    """

    def __init__(
        self,
        venue: Venue,
        exchange: PureExchange,
        *,
        seed: int = 1,
        delay: tuple[float, float] = (0.005, 0.05),
        symbols: frozenset[str] | None = None,
        markets: Callable[[], frozenset[str] | None] = lambda: None,
        registry: LimitRegistry | None = None,
        read_frame: Callable[[bytes], list[FrameKey]] | None = None,
        login: Callable[[], str] | None = None,
        ledger: Any = None,
        latest: Latest | None = None,
    ) -> None:
        super().__init__()
        self.venue = venue
        self.exchange = exchange
        self.ledger: PlainLedger = ledger or PlainLedger(venue)
        self.registry = registry or LimitRegistry()
        self.engine = Engine(
            venue,
            self.ledger,
            WireSet,
            random.Random(f"engine {seed}"),
            registry=self.registry,
            symbols=symbols,
            account=getattr(login, "account", ""),
            can_ask=None if latest is None else latest.can_ask,
        )
        self._login = login
        self._latest = latest
        self.history: list[Happened] = []
        self.sent: list[actions.Send] = []
        self.notices: list[actions.Notify] = []
        self.restores: list[Restore] = []
        self.counts: Counter[str] = Counter()
        self.hearing = Hearing()
        self.arbitrated: set[int] = set()  # streams that two links carry, as the engine told
        self._channels = {channel.wire_name: index for index, channel in enumerate(venue.channels)}
        self._delay = delay
        self._markets = markets
        self._read_frame = read_frame or frame_reader(venue.name)
        self._rng = random.Random(f"network {seed}")
        self._connections: dict[int, Connection] = {}  # present one of each link
        self._by_conn: dict[int, Connection] = {}
        self._deadline: int | None = _UNKNOWN

    # Users' side

    def subscribe(
        self,
        component: str,
        channel: str,
        symbols: Iterable[str],
        *,
        depth: int | None = None,
        grouping: float | None = None,
        priority: Priority = Priority.NORMAL,
    ) -> Int32Array:
        """Hold interests; they reach the engine at the end of the turn (`turn`, or any run)."""
        topics = [Topic(channel, symbol, depth, grouping) for symbol in symbols]
        return ids_of(self.ledger.subscribe(component, topic, priority) for topic in topics)

    def unsubscribe(
        self,
        component: str,
        channel: str,
        symbols: Iterable[str],
        *,
        depth: int | None = None,
        grouping: float | None = None,
    ) -> None:
        """Let go of interests."""
        for symbol in symbols:
            self.ledger.unsubscribe(component, Topic(channel, symbol, depth, grouping))

    def turn(self, *, urgent: bool = False) -> None:
        """End the loop turn: the engine sees what changed."""
        changed = self.ledger.take_edges(urgent)
        if len(changed.opened) or len(changed.closed) or len(changed.changed):
            self.handle(changed)
        self.ledger.tidy(self.engine.knows)

    # Time

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + nanoseconds(seconds)
        self.turn()
        while self._step(end):
            pass
        self.clock.advance_to(end)

    def run_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until `done()`, at most so much; whether it came true."""
        end = self.now + nanoseconds(seconds)
        self.turn()
        while not done():
            if not self._step(end):
                self.clock.advance_to(end)
                return done()
        return True

    def _step(self, end: int) -> bool:
        times = [] if (first := self.next_call()) is None else [first]
        if (deadline := self.exchange.deadline()) is not None:
            times.append(deadline)
        if (deadline := self._engine_deadline()) is not None:
            times.append(max(deadline, self._blocked_until))
        when = min(times, default=end + 1)
        if when > end:
            return False
        self.clock.advance_to(when)
        for output in self.exchange.advance(self.now):
            self._from_exchange(output)
        self.call_due()
        self.turn()
        deadline = self._engine_deadline()
        if deadline is not None and deadline <= self.now and self.now >= self._blocked_until:
            self._tick()
        return True

    def _engine_deadline(self) -> int | None:
        """Asked anew only after an event: nothing else moves it."""
        self._deadline = self.engine.deadline() if self._deadline == _UNKNOWN else self._deadline
        return self._deadline

    def _tick(self) -> None:
        for one in list(self._connections.values()):
            if one.up_at and not one.over:
                self.handle(events.LinkActivity(one.link, one.generation, one.last_receive, one.frames))
        streams = self.engine.to_look_at(self.now)
        if len(streams):
            self.handle(self.hearing.tell(streams))
        self.handle(events.Tick())

    # Engine to network

    def handle(self, event: events.Event) -> None:
        """Give the engine an event and carry out what it wants."""
        todo = self.engine.handle(event, self.now)
        self._deadline = _UNKNOWN
        if todo or not isinstance(event, (events.Tick, events.LinkActivity, events.StreamsHeard)):
            self.history.append((self.now, event))
        for action in todo:
            self.carry_out(action)
        self.handled(event, todo)

    def carry_out(self, action: actions.Action) -> None:
        """Do one thing the engine wants."""
        self.counts[type(action).__name__] += 1
        self.history.append((self.now, action))
        getattr(self, f"_do_{type(action).__name__.lower()}")(action)

    def handled(self, event: events.Event, did: list[actions.Action]) -> None:
        """Called when an event and what followed from it are through; for subclasses that look on."""

    def read_history(self, last: int = 200) -> str:
        """The latest events and, indented, what the engine did about them."""
        return read_history(self.history[-last:])

    def one_way(self) -> int:
        """What a message takes from here to there, or back: nanoseconds."""
        return nanoseconds(self._rng.uniform(*self._delay))

    def _do_connect(self, action: actions.Connect) -> None:
        path = action.url.removeprefix(self.venue.url)
        one = Connection(action.link, action.generation, path, self.now)
        self._connections[action.link] = one
        self.at(self.now + self.one_way(), lambda: self._knock(one, action))

    def _knock(self, one: Connection, action: actions.Connect) -> None:
        if one.over:
            return
        route, headers = self.venue.route(action.route), action.headers
        if route.grant and self._login is not None:  # what a manager adds outside the engine
            headers = {**headers, **self.venue.connect_plan(route, {route.grant: self._login()}).headers}
        answer = self.exchange.connect(self.now, headers=headers, path=one.path)
        one.up_at = self.now  # the earliest time for what comes after
        if isinstance(answer, int):
            one.conn = answer
            self._by_conn[answer] = one
            rtt = 2 * self.one_way()
            self._deliver(one, lambda: self._opened(one, rtt))
        elif answer.kind != "hang":
            self._deliver(one, lambda: self._refused(one, answer))

    def _opened(self, one: Connection, rtt: int) -> None:
        self.handle(events.LinkUp(one.link, one.generation, rtt))

    def _refused(self, one: Connection, answer: Any) -> None:
        status = answer.status or None
        retry = answer.headers.get("Retry-After") if status else None
        after = None if retry is None else int(retry) * SECOND
        self._end(one, f"connect failed: {answer.kind}", None, status, after)

    def _do_send(self, action: actions.Send) -> None:
        self.sent.append(action)
        self._to_exchange(action.link, action.generation, action.opcode, action.payload)

    def _do_ping(self, action: actions.Ping) -> None:
        one = self._connections[action.link]
        one.pinged_at = self.now
        self._to_exchange(action.link, action.generation, PING, b"")

    def _to_exchange(self, link: int, generation: int, opcode: int, payload: bytes) -> None:
        one = self._connections[link]
        if one.generation != generation or one.over:
            return
        one.down_at = max(one.down_at, self.now + self.one_way())
        self.at(one.down_at, lambda: self._arrive(one, opcode, payload))

    def _arrive(self, one: Connection, opcode: int, payload: bytes) -> None:
        if one.conn is not None:
            self.exchange.receive(one.conn, opcode, payload, self.now)

    def _do_disconnect(self, action: actions.Disconnect) -> None:
        one = self._connections[action.link]
        if one.generation != action.generation or one.over:
            return
        conn = one.conn
        if conn is not None:
            self.at(max(one.down_at, self.now) + self.one_way(), lambda: self.exchange.closed(conn, self.now))
        self.after(0, lambda: self._end(one, action.reason, None, None, None))

    def _do_awaitevidence(self, action: actions.AwaitEvidence) -> None:
        one = self._connections[action.link]
        one.awaited.update(dict.fromkeys(action.streams.tolist(), action.realtime_not_before_ns))

    def _do_arbitrate(self, action: actions.Arbitrate) -> None:
        streams = set(action.streams.tolist())
        self.arbitrated = self.arbitrated | streams if action.on else self.arbitrated - streams

    def _do_restored(self, action: actions.Restored) -> None:
        self.restores.append(action.restore)

    def _do_requestmarkets(self, action: actions.RequestMarkets) -> None:
        self.after(0.05, lambda: self.handle(events.SymbolsKnown(self._markets())))

    def _do_asklatest(self, action: actions.AskLatest) -> None:
        if self._latest is not None:
            ask_over_rest(self, self._latest, action)

    def _do_notify(self, action: actions.Notify) -> None:
        self.notices.append(action)

    def _do_releasestreams(self, action: actions.ReleaseStreams) -> None:
        self.arbitrated -= set(action.streams.tolist())
        self.ledger.release(action.streams)
        self.hearing.forget(action.streams)

    def _do_log(self, action: actions.Log) -> None:
        pass

    # Network to engine

    def _deliver(self, one: Connection, call: Callable[[], None]) -> None:
        """Later, in order, and not while the loop is stuck."""
        one.up_at = max(one.up_at, self.now + self.one_way())
        self.at(one.up_at, lambda: self.when_free(call))

    def _from_exchange(self, output: Any) -> None:
        one = self._by_conn.get(output.conn)
        if one is not None:
            self._deliver(one, lambda: self._receive(one, output))

    def _receive(self, one: Connection, output: Any) -> None:
        if one.over:
            return
        if output.kind == "ping":  # answered by the socket itself
            self._to_exchange(one.link, one.generation, PONG, output.payload)
        elif output.kind == "pong":
            self.handle(events.Pong(one.link, one.generation, self.now - one.pinged_at))
        elif output.kind == "frame":
            one.partial += output.payload
            if output.fin:
                payload, one.partial = one.partial, b""
                self._frame(one, payload)
        else:
            code = output.code if output.kind == "close" else None
            self._end(one, f"the venue ended it: {output.kind}", code, None, None)

    def _frame(self, one: Connection, payload: bytes) -> None:
        keys = self._read_frame(payload)
        if not keys:
            for control in self.venue.decode_control(payload):
                self.handle(events.ControlFrame(one.link, one.generation, control))
            return
        one.frames += 1  # of data, as the core counts them
        one.last_receive = self.now
        proven = [s for key in keys if (s := self._evidence(one, key)) >= 0]
        if proven:
            self.handle(
                events.StreamEvidence(one.link, one.generation, ids_of(sorted(set(proven))), self.now)
            )

    def _evidence(self, one: Connection, key: FrameKey) -> int:
        channel = self._channels.get(key.channel, -1)
        stream = self.ledger.find_stream(channel, key.symbol, key.grouping)
        if stream < 0:  # one of all symbols
            stream = self.ledger.find_stream(channel, "", key.grouping)
        self.hearing.count(stream, key, self.now)
        not_before = one.awaited.get(stream)
        if not_before is None or (not key.is_snapshot and self.now < not_before):
            return -1
        del one.awaited[stream]
        return stream

    def _end(
        self, one: Connection, reason: str, code: int | None, status: int | None, retry_after: int | None
    ) -> None:
        if not one.over:
            one.over = True
            self.handle(events.LinkDown(one.link, one.generation, reason, code, status, retry_after))

    # Questions

    def streams_in(self, *states: StreamState) -> set[int]:
        """Wanted streams in one of these states."""
        wanted = self.ledger.wanted()
        if CLOSED in states or not wanted:  # the columns may not reach to what the engine has not heard of
            return {s for s in wanted if self.engine.row(s).state in states}
        column = self.engine.streams.state
        ids = np.fromiter(wanted, np.int32, len(wanted))
        return set(self.engine.streams.in_state(ids[ids < len(column)], *states).tolist())

    def all_settled(self) -> bool:
        """Every wanted stream is OPEN or REFUSED."""
        settled = self.streams_in(StreamState.OPEN, StreamState.REFUSED)
        return len(settled) == len(self.ledger.wanted())

    def open_topics(self) -> Iterator[Topic]:
        """Topics of streams that are OPEN."""
        return (self.ledger.topic(s) for s in sorted(self.streams_in(StreamState.OPEN)))
