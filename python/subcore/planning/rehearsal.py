"""A plan carried out by the real ledger, router and engine, in virtual time, against a venue that never errs.

So links, messages and the core's memory are what the engine itself makes of the plan: nothing of it is written here a
second time. No loop runs and no socket is opened; limits are counted apart from those of the process.
"""

from __future__ import annotations

import heapq
import itertools
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from subcore import _columns
from subcore._decode import decode
from subcore.engine import actions, events
from subcore.engine.clock import SECOND, nanoseconds
from subcore.engine.pacing import PROCESS_LIMITS
from subcore.manager import SubscriptionManager
from subcore.planning.cast import cast
from subcore.planning.plans import Plan
from subcore.planning.samples import busiest, renamed, sample_of
from subcore.testing.clock import VirtualClock
from subcore.types import Float64Array, Int32Array, Listing, StreamState, Topic
from subcore.venues import get_venue

__all__ = ["Rehearsal"]

_NUMBERS = itertools.count()
PATIENCE_S = 3600.0
CALM_S = 65.0  # as long as rates are kept, and a backoff is remembered
RESTORES = 5
BETWEEN_S = 31.0  # after that a loss is the first one again
SETTLED = (StreamState.OPEN, StreamState.REFUSED)


@dataclass(slots=True)
class _Connection:
    link: int
    generation: int
    up: bool = False
    over: bool = False
    frames: int = 0
    awaited: dict[int, int] | None = None


class Rehearsal:
    """One manager that serves the plan. Close it: its components are real ones. O(interests), about 10 us each."""

    def __init__(self, plan: Plan, seed: int = 1) -> None:
        self.plan = plan
        self.clock = VirtualClock()
        self.real = get_venue(plan.venue)
        venue = self.real.at(f"ws://plan-{next(_NUMBERS)}")  # by its host, limits are counted apart
        self.manager = SubscriptionManager(
            venue, clock=self.clock, connect=_nowhere, markets=None, latest=False, seed=seed
        )
        self.hub = self.manager._hub
        self.messages = self.connects = 0
        self._kept = 0
        self._rng = random.Random(f"rehearsal {seed}")
        self._rtt = nanoseconds(plan.rtt_ms / 1e3)
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._connections: dict[int, _Connection] = {}
        self._rates: Float64Array = np.zeros(0)
        self._components = cast(self.manager, plan, calls_async=False)
        self.streams: Int32Array = _columns.live_streams(self.hub.ledger)
        try:
            self._learn_rates()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of everything."""
        for component in self._components:
            component.close()
        PROCESS_LIMITS.forget(self.manager.venue.host)

    def _learn_rates(self) -> None:
        channels, symbols, *_ = _columns.stream_columns(self.hub.ledger, self.streams)
        names = [channel.name for channel in self.real.channels]
        texts = self.hub.intent.texts(symbols)
        self._rates = np.zeros(int(self.streams.max(initial=0)) + 1)
        for stream, channel, text in zip(self.streams.tolist(), channels.tolist(), texts, strict=True):
            self._rates[stream] = self.plan.rate_of(names[channel], text).per_second

    # -- the venue that never errs --

    def settle(self) -> float:
        """Ask for everything, and go on until all of it is proven: seconds."""
        began = self.clock.now
        self.hub.granting.own_link.tell(self._handle)
        edges = self.hub.ledger.take_edges()
        if edges:
            self._handle(events.Changed(edges.opened, edges.closed, edges.changed, False))
        self.hub.granting.turn_done(self._handle)
        self._run(PATIENCE_S, until=self._is_settled)
        return (self.clock.now - began) / SECOND

    def rest(self, seconds: float) -> float:
        """Let so much time pass with nothing to do; nanoseconds of the processor that a second of it took."""
        began = time.thread_time_ns()
        end = self.clock.now + nanoseconds(seconds)
        while self.clock.now < end:
            self._run(1.0)
            self.hub.engine.to_look_at(self.clock.now)
            self.hub.monitoring.look(self.clock.now)
        return (time.thread_time_ns() - began) / seconds

    def restores(self) -> list[float]:
        """Lose all links at once, several times: how long each time, until everything is proven again."""
        took = []
        for _ in range(RESTORES):
            began = self.clock.now
            for one in list(self._connections.values()):
                if one.up and not one.over:
                    one.over = True
                    self._handle(events.LinkDown(one.link, one.generation, "a rehearsed loss"))
            self._run(PATIENCE_S, until=self._is_settled)
            took.append((self.clock.now - began) / SECOND)
            self._run(BETWEEN_S)
        return took

    def fill(self) -> None:
        """Every stream has had a frame, and whoever reads has taken it."""
        channels, symbols, *_ = _columns.stream_columns(self.hub.ledger, self.streams)
        widths = self.hub.intent.columns(self.streams).widths
        texts = self.hub.intent.texts(symbols)
        symbol = busiest(self.real)
        for channel, width, text in zip(channels.tolist(), widths.tolist(), texts, strict=True):
            sample = sample_of(self.real.name, channel, width, symbol)
            self.hub.feed.feed(0, renamed(sample.first, symbol, text), self.clock.time_ns())
            self._kept += sys.getsizeof(decode(self.real, sample.first))
        for member in self.hub.members.values():
            while member.inbox.get_many(4096):
                pass

    # -- what came of it --

    @property
    def links(self) -> int:
        """That are open."""
        return sum(one.up and not one.over for one in self._connections.values())

    def link_rates(self) -> dict[int, dict[tuple[str, int], float]]:
        """Frames a second of each link by (channel, depth); a stream that two links carry counts on both."""
        channels, *_ = _columns.stream_columns(self.hub.ledger, self.streams)
        widths = self.hub.intent.columns(self.streams).widths.tolist()
        names = [channel.name for channel in self.real.channels]
        legs = self.hub.engine.streams.legs.link
        found: dict[int, dict[tuple[str, int], float]] = {}
        for stream, channel, width in zip(self.streams.tolist(), channels.tolist(), widths, strict=True):
            for link in legs[2 * stream : 2 * stream + 2].tolist():
                if link >= 0:
                    rates, key = found.setdefault(link, {}), (names[channel], width)
                    rates[key] = rates.get(key, 0.0) + float(self._rates[stream])
        return found

    def bytes_per_s(self) -> float:
        """Over all links, of the frames that `link_rates` counts: as the plan says, else as the embedded exchange's."""
        channels, symbols, *_ = _columns.stream_columns(self.hub.ledger, self.streams)
        widths = self.hub.intent.columns(self.streams).widths.tolist()
        carried = (self.hub.engine.streams.legs.link.reshape(-1, 2)[self.streams] >= 0).sum(axis=1)
        frames = (self._rates[self.streams] * carried).tolist()
        symbol, total = busiest(self.real), 0.0
        places = zip(channels.tolist(), widths, self.hub.intent.texts(symbols), frames, strict=True)
        for channel, width, text, rate in places:
            size = self.plan.bytes_of(self.real.channels[channel].name, text)
            total += rate * (
                sample_of(self.real.name, channel, width, symbol).bytes if size is None else size
            )
        return total

    def memory(self) -> tuple[dict[str, int], int]:
        """Bytes of the core's tables by part, and what Python objects take by estimate: the last event of each stream,
        which is kept for who joins it, among them."""
        memory = self.manager.stats(components=False).memory
        return memory.core, memory.python + self._kept

    @property
    def topics(self) -> int:
        """Held by anybody."""
        return len(self.hub.measuring.held()[0])

    @property
    def interests(self) -> int:
        """Of all components."""
        return len(self.hub.ledger)

    # -- inside --

    def _is_settled(self) -> bool:
        columns = self.hub.engine.streams
        if self.streams.max(initial=-1) >= len(columns.state):
            return not len(self.streams)
        settled = columns.in_state(self.streams, *SETTLED)
        return len(settled) == len(self.streams)

    def _at(self, when: int, call: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._agenda, (when, self._order, call))

    def _run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = self.clock.now + nanoseconds(seconds)
        while not until():
            engine_due = self.hub.engine.deadline()
            due = min([end if engine_due is None else engine_due, *(when for when, *_ in self._agenda[:1])])
            if due >= end:
                self.clock.advance_to(end)
                return
            self.clock.advance_to(due)
            while self._agenda and self._agenda[0][0] <= self.clock.now:
                heapq.heappop(self._agenda)[2]()
            engine_due = self.hub.engine.deadline()
            if engine_due is not None and engine_due <= self.clock.now:
                self._tick()

    def _tick(self) -> None:
        for one in list(self._connections.values()):
            if one.up and not one.over:
                one.frames += 1
                self._handle(events.LinkActivity(one.link, one.generation, self.clock.now, one.frames))
        self._handle(events.Tick())

    def _handle(self, event: events.Event) -> None:
        for action in self.hub.engine.handle(event, self.clock.now):
            carry_out = _CARRY.get(type(action))
            if carry_out is not None:
                carry_out(self, action)

    def _connect(self, action: actions.Connect) -> None:
        self.connects += 1
        one = self._connections[action.link] = _Connection(action.link, action.generation, awaited={})

        def opened() -> None:
            one.up = True
            self._handle(events.LinkUp(one.link, one.generation, self._rtt))

        self._at(self.clock.now + 2 * self._rtt, opened)  # TCP, then the handshake

    def _send(self, action: actions.Send) -> None:
        self.messages += 1
        one = self._connections[action.link]
        if action.request == 0:
            self._at(self.clock.now + self._rtt, lambda: self._list(one))
            return
        awaited, one.awaited = one.awaited or {}, {}
        if not awaited:
            return
        at = self.clock.now + self._rtt
        streams = np.fromiter(awaited, np.int32, len(awaited))
        channels, *_ = _columns.stream_columns(self.hub.ledger, streams)
        prompt = np.array([self.real.channels[channel].snapshot for channel in channels.tolist()], np.bool_)
        self._speak(one, at, streams[prompt])
        for stream in streams[~prompt].tolist():
            rate = float(self._rates[stream])
            if rate > 0:
                when = max(at, awaited[stream]) + nanoseconds(self._rng.expovariate(rate))
                self._speak(one, when, np.array([stream], np.int32))

    def _speak(self, one: _Connection, when: int, streams: Int32Array) -> None:
        """The first data of these streams comes on that connection."""
        if not len(streams):
            return

        def came() -> None:
            if not one.over:
                self._handle(events.StreamEvidence(one.link, one.generation, streams, self.clock.now))

        self._at(when, came)

    def _list(self, one: _Connection) -> None:
        """All that the connection carries."""
        if one.over:
            return
        legs = self.hub.engine.streams.legs
        carried = self.streams[
            [one.link in legs.link[2 * stream : 2 * stream + 2].tolist() for stream in self.streams.tolist()]
        ]
        columns, channels = self.hub.intent.columns(carried), self.real.channels
        listing = Listing(
            tuple(
                Topic(channels[channel].wire_name, symbol)
                for channel, symbol in zip(columns.channels.tolist(), columns.symbols, strict=True)
            )
        )
        self._handle(events.ControlFrame(one.link, one.generation, listing))

    def _disconnect(self, action: actions.Disconnect) -> None:
        one = self._connections[action.link]
        if not one.over:
            one.over = True
            self._at(
                self.clock.now,
                lambda: self._handle(events.LinkDown(one.link, one.generation, action.reason)),
            )

    def _ping(self, action: actions.Ping) -> None:
        one = self._connections[action.link]
        self._at(
            self.clock.now + self._rtt,
            lambda: self._handle(events.Pong(one.link, one.generation, self._rtt)),
        )

    def _await(self, action: actions.AwaitEvidence) -> None:
        awaited = self._connections[action.link].awaited
        assert awaited is not None
        awaited.update(dict.fromkeys(action.streams.tolist(), action.realtime_not_before_ns))

    def _tell_markets(self, action: actions.RequestMarkets) -> None:
        self._at(self.clock.now + self._rtt, lambda: self._handle(events.SymbolsKnown(None)))


_CARRY: dict[type, Callable[[Rehearsal, Any], None]] = {
    actions.Connect: Rehearsal._connect,
    actions.Send: Rehearsal._send,
    actions.Ping: Rehearsal._ping,
    actions.Disconnect: Rehearsal._disconnect,
    actions.AwaitEvidence: Rehearsal._await,
    actions.RequestMarkets: Rehearsal._tell_markets,
}


async def _nowhere(url: str, headers: Any, listener: Any) -> Any:
    raise OSError("nothing of a rehearsal is connected")
