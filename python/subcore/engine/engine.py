"""The control plane: events in, actions out. No I/O, no clock, no randomness of its own.

`handle(event, now)` takes what happened and returns what to do, in order; `deadline()` says when to call it
next with
a Tick if nothing happens before. The same events at the same times with the same seed give the same actions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from subcore.engine.actions import Action, AwaitEvidence, Disconnect, RequestMarkets
from subcore.engine.context import Context, EngineStats, Settings
from subcore.engine.control import Controls
from subcore.engine.departures import Departures
from subcore.engine.events import (
    AskedAgain,
    Changed,
    CloseAll,
    ControlFrame,
    Event,
    LinkActivity,
    LinkDown,
    LinkUp,
    Pong,
    StreamEvidence,
    SymbolsKnown,
    Tick,
)
from subcore.engine.links import Lifecycle, Link, Phase
from subcore.engine.pacing import PROCESS_LIMITS, LimitRegistry, Pacer
from subcore.engine.planner import Planner
from subcore.engine.ports import StreamTable, WireSet
from subcore.engine.proof import Proof
from subcore.engine.symbols import SymbolGate
from subcore.engine.topics import Streams, TopicEvent, TopicRow
from subcore.errors import InternalError
from subcore.types import Evidence, Int32Array, ReasonClass, StatusKind, StreamColumns, StreamState
from subcore.venue import Venue

__all__ = ["Engine"]


class Engine:
    """Reconciles links with what the ledger wants.

    `table` is the ledger's read side, `make_wire_set` makes a link's target and wire sets. `symbols`: the
    venue's
    markets if already known. Not thread-safe: all calls from one thread. An event costs what it changed; a
    tick costs
    O(links), plus array masks over streams that are unproven or due.
    """

    def __init__(
        self,
        venue: Venue,
        table: StreamTable,
        make_wire_set: Callable[[], WireSet],
        rng: random.Random,
        *,
        registry: LimitRegistry = PROCESS_LIMITS,
        symbols: frozenset[str] | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._ctx = Context(venue, table, make_wire_set, rng, registry, settings or Settings())
        self._lifecycle = Lifecycle(self._ctx)
        self._planner = Planner(self._ctx, self._lifecycle)
        self._proof = Proof(self._ctx, self._planner)
        self._controls = Controls(self._ctx, self._lifecycle, self._proof)
        self._gate = SymbolGate(self._ctx.settings.markets_gap, symbols)
        self._routes = [channel.route for channel in venue.channels]
        self._by_route: dict[str, Link] = {}
        self._departures = Departures(self._ctx)
        self._ticked = 0
        self._closed = False
        self.links: dict[int, Link] = {}
        self._handlers: dict[type, Callable[..., None]] = {
            Changed: self._changed,
            AskedAgain: self._asked_again,
            LinkUp: self._link_up,
            LinkDown: self._link_down,
            LinkActivity: self._activity,
            StreamEvidence: self._evidence,
            ControlFrame: self._control,
            Pong: self._pong,
            SymbolsKnown: self._symbols_known,
            Tick: self._tick,
            CloseAll: self._close_all,
        }

    @property
    def streams(self) -> Streams:
        """State and evidence of every stream, in columns. Read only."""
        return self._ctx.streams

    @property
    def stats(self) -> EngineStats:
        """Counts since the engine was made."""
        return self._ctx.stats

    def row(self, stream: int) -> TopicRow:
        """One stream as it stands."""
        return self._ctx.streams.row(stream)

    def knows(self, streams: Int32Array) -> npt.NDArray[np.bool_]:
        """Which of these ids the engine still uses; the others will never come in a ReleaseStreams."""
        columns = self._ctx.streams
        known = np.zeros(len(streams), np.bool_)
        seen = streams < len(columns.state)
        rows = streams[seen]
        known[seen] = (columns.state[rows] != StreamState.CLOSED) | columns.leaving[rows]
        return known

    def handle(self, event: Event, now: int) -> list[Action]:
        """What to do about `event`, which happened at `now` (monotonic nanoseconds, never going back)."""
        handler = self._handlers.get(type(event))
        if handler is None:
            raise InternalError(f"the engine knows no event {type(event).__name__}; please report this")
        if self._closed:
            return []
        self._ctx.clock.read(now)
        handler(event, now)
        if not self._closed:
            self._run(now)
        out, self._ctx.out = self._ctx.out, []
        return out

    def deadline(self) -> int | None:
        """When to send the next Tick, if nothing else comes before; None = nothing to wait for."""
        return None if self._closed else min(self._deadlines(), default=None)

    def _deadlines(self) -> Iterator[int]:
        for link in self.links.values():
            if link.wake is not None:
                yield link.wake
            if link.is_up:
                yield self._ticked + self._ctx.settings.tick
        for when in (self._planner.deadline(), self._gate.deadline(), self._departures.deadline()):
            if when is not None:
                yield when

    def _run(self, now: int) -> None:
        """Do whatever is due."""
        if self._gate.ask(now):
            self._ctx.out.append(RequestMarkets())
        self._planner.resume(now)
        for link in self.links.values():
            service = self._planner.service if link.is_up else self._lifecycle.service
            if link.phase is Phase.CONNECTING and now >= link.connect_by:
                self._drop(link, now, "no answer to the connection", tell_link=True)
            link.wake = service(link, now)
        for gone in self._departures.run(now):
            for link in self.links.values():
                link.suspects = np.setdiff1d(link.suspects, gone)

    # What components want

    def _changed(self, event: Changed, now: int) -> None:
        self._ctx.streams.ensure(event.opened)
        if len(event.closed):
            self._close(event.closed, now, event.urgent)
        if len(event.opened):
            self._open(event.opened, now)
        if len(event.changed):
            self._resize(event.changed, now)

    def _on_links(self, streams: Int32Array) -> Iterator[tuple[Link, Int32Array]]:
        carriers = self._ctx.streams.link[streams]
        for ident in np.unique(carriers).tolist():
            if ident >= 0:
                yield self.links[ident], streams[carriers == ident]

    def _close(self, streams: Int32Array, now: int, urgent: bool) -> None:
        columns = self._ctx.streams
        moved = columns.apply(TopicEvent.UNWANTED, streams, now).state
        columns.explain(moved, "")
        self._gate.drop(moved)
        for link, part in self._on_links(moved):
            self._planner.unwant(link, part, now, urgent=urgent)
        self._departures.add(moved, now)

    def _open(self, streams: Int32Array, now: int) -> None:
        columns = self._ctx.streams
        closed = columns.in_state(streams, StreamState.CLOSED)
        carried = columns.width[closed] >= 0
        if np.any(carried):
            self._resume(closed[carried], now)
        fresh = closed[~carried]
        columns.proven[fresh] = False
        columns.evidence[fresh] = Evidence.NONE
        columns.retries[fresh] = 0
        self._admit(columns.apply(TopicEvent.WANTED, fresh, now).state, now)

    def _resume(self, streams: Int32Array, now: int) -> None:
        """Wanted again while the wire still carries them: no message is needed."""
        columns = self._ctx.streams
        held = self._proof.proven(streams)
        open_again = columns.apply(TopicEvent.RESUMED_HELD, held, now).state
        columns.proven[held] = True
        with_data = held[(columns.evidence[held] & np.uint8(Evidence.DATA)) != 0]
        columns.apply(TopicEvent.PROVEN_DATA, with_data, now)
        asked = columns.apply(TopicEvent.RESUMED, np.setdiff1d(streams, held), now).state
        for link, part in self._on_links(streams):
            self._planner.want(link, part, now)
            self._planner.resize(link, self._ctx.table.columns(part), now)
        for link, part in self._on_links(asked):
            link.unproven = np.union1d(link.unproven, part).astype(np.int32)
            last = link.last_request
            since = max(last.window_ends, now) if last is not None else now
            self._ctx.out.append(AwaitEvidence(link.id, link.generation, part, since))
        self._ctx.notify(StatusKind.OPEN, open_again, "")

    def _admit(self, streams: Int32Array, now: int) -> None:
        """Through the gate to a link, or held until the list of markets is asked anew."""
        if not len(streams):
            return
        columns = self._ctx.table.columns(streams)
        passes = self._gate.passes(columns)
        if not np.all(passes):
            self._gate.hold(columns, ~passes, now)
            reason = "not in the venue's list of markets; the list is asked anew"
            self._ctx.streams.explain(streams[~passes], reason)
            self._ctx.notify(StatusKind.WAITING, streams[~passes], reason)
        self._place(columns, passes, now)

    def _place(self, columns: StreamColumns, passes: npt.NDArray[np.bool_], now: int) -> None:
        """One link for each route."""
        routes = np.array([self._routes[c] for c in columns.channels.tolist()])
        for name in np.unique(routes[passes]).tolist():
            self._planner.want(self._link(name), columns.streams[passes & (routes == name)], now)

    def _link(self, route: str) -> Link:
        link = self._by_route.get(route)
        if link is None:
            ctx = self._ctx
            pacer = Pacer(ctx.venue.limits, ctx.venue.host, ctx.registry)
            link = Link(len(self.links), ctx.venue.route(route), ctx.make_wire_set(), pacer)
            self.links[link.id] = self._by_route[route] = link
        return link

    def _resize(self, streams: Int32Array, now: int) -> None:
        self._ctx.streams.ensure(streams)
        for link, part in self._on_links(streams):
            self._planner.resize(link, self._ctx.table.columns(part), now)

    def _asked_again(self, event: AskedAgain, now: int) -> None:
        moved = self._ctx.streams.apply(TopicEvent.ASKED_AGAIN, event.streams, now).state
        self._ctx.streams.explain(moved, "")
        for link, part in self._on_links(moved):
            self._proof.unwire(link, part)
        self._admit(moved, now)

    def _symbols_known(self, event: SymbolsKnown, now: int) -> None:
        passed, refused = self._gate.learn(event.symbols)
        refused = refused[~self._ctx.streams.proven[refused]]  # data outweighs any list
        if event.symbols is not None:
            self._watch_unlisted(now)
        for link in (None, *self.links.values()):
            ident = -1 if link is None else link.id
            part = refused[self._ctx.streams.link[refused] == ident]
            if len(part):
                self._proof.refuse(link, part, "not listed by the venue", now)
        self._ctx.streams.explain(passed, "")
        if len(passed):
            columns = self._ctx.table.columns(passed)
            self._place(columns, np.ones(len(passed), np.bool_), now)

    def _watch_unlisted(self, now: int) -> None:
        """Streams sent before a list was known, silent so far and not in it, are refused by the next list."""
        states = self._ctx.streams
        for link in self.links.values():
            target = link.wire.target()
            silent = target[~states.proven[target]]
            columns = self._ctx.table.columns(silent)
            self._gate.hold(columns, ~self._gate.passes(columns), now)

    # What links and the venue say

    def _present(self, ident: int, generation: int, phase: Phase) -> Link | None:
        """The link, if the event is about its present connection; else it is dropped and counted."""
        link = self.links.get(ident)
        if link is None or link.generation != generation or link.phase is not phase:
            self._ctx.stats.late_events += 1
            return None
        return link

    def _link_up(self, event: LinkUp, now: int) -> None:
        link = self._present(event.link, event.generation, Phase.CONNECTING)
        if link is not None:
            if not any(other.is_up for other in self.links.values()):
                self._ticked = now
            self._lifecycle.up(link, now, event.rtt_ns)

    def _link_down(self, event: LinkDown, now: int) -> None:
        link = self.links.get(event.link)
        if link is None or link.generation != event.generation or link.phase in (Phase.IDLE, Phase.BACKOFF):
            return  # the end of a connection that the engine itself gave up
        if link.phase is Phase.CONNECTING:
            self._lifecycle.refused(link, now, event)
        else:
            self._ctx.stats.losses += 1
        code = "" if event.code is None else f" (close code {event.code})"
        too_fast = self._ctx.venue.classify_close(event.code) is ReasonClass.RATE
        if too_fast:
            self._controls.slow_down(now)
        self._drop(link, now, event.reason + code, blame=not too_fast)

    def _drop(
        self,
        link: Link,
        now: int,
        reason: str,
        *,
        error: str | None = None,
        blame: bool = True,
        tell_link: bool = False,
    ) -> None:
        """The connection is over, or is to be. `blame`: its last request may be the cause."""
        ctx = self._ctx
        if tell_link:
            ctx.out.append(Disconnect(link.id, link.generation, reason))
        if link.is_up:
            if blame:
                self._proof.blame(link, now, error)
            self._proof.lost(link, f"link lost: {reason}", now)
        elif link.attempts == 0:
            ctx.notify(StatusKind.WAITING, link.wire.target(), f"no connection: {reason}")
        self._lifecycle.down(link, now)
        wait_ms = max(0, link.connect_at - now) // 1_000_000
        ctx.warn(f"link lost: {reason}", link=link.id, generation=link.generation, retry_in_ms=wait_ms)

    def _activity(self, event: LinkActivity, now: int) -> None:
        link = self._present(event.link, event.generation, Phase.UP)
        if link is not None:
            self._lifecycle.activity(link, event.last_receive_ns, event.frames)

    def _evidence(self, event: StreamEvidence, now: int) -> None:
        link = self._present(event.link, event.generation, Phase.UP)
        if link is not None and len(event.streams):
            self._ctx.streams.ensure(event.streams)
            self._proof.data(link, event.streams, now)

    def _control(self, event: ControlFrame, now: int) -> None:
        link = self._present(event.link, event.generation, Phase.UP)
        if link is None:
            return
        verdict = self._controls.handle(link, event.control, now)
        if verdict is not None:
            self._ctx.stats.losses += 1
            error = verdict.error
            self._drop(link, now, verdict.reason, error=error, blame=error is not None, tell_link=True)

    def _pong(self, event: Pong, now: int) -> None:
        link = self._present(event.link, event.generation, Phase.UP)
        if link is not None:
            self._lifecycle.pong(link, event.rtt_ns)

    def _tick(self, event: Tick, now: int) -> None:
        if now - self._ticked < self._ctx.settings.tick:
            return
        self._ticked = now
        for link in self.links.values():
            if not link.is_up:
                continue
            dead = self._lifecycle.tick(link, now)
            if dead is not None:
                self._ctx.stats.losses += 1
                self._drop(link, now, dead, tell_link=True)
            else:
                self._proof.tick(link, now)

    def _close_all(self, event: CloseAll, now: int) -> None:
        self._closed = True
        for link in self.links.values():
            if link.phase in (Phase.CONNECTING, Phase.UP):
                self._ctx.out.append(Disconnect(link.id, link.generation, "the manager closes"))
            link.phase = Phase.IDLE
