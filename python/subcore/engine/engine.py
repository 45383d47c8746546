"""The control plane: events in, actions out. No I/O, no clock, no randomness of its own.

`handle(event, now)` takes what happened and returns what to do, in order; `deadline()` says when to call it next with a
Tick if nothing happens before. The same events at the same times with the same seed give the same actions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from subcore.engine.actions import Action, Disconnect, RequestMarkets
from subcore.engine.context import NO_STREAMS, Context, EngineStats, Settings
from subcore.engine.control import Accused, Controls
from subcore.engine.departures import Departures
from subcore.engine.efficiency import Efficiency, Effort
from subcore.engine.events import (
    AskedAgain,
    Changed,
    CloseAll,
    ControlFrame,
    Event,
    LatestKnown,
    LinkActivity,
    LinkDown,
    LinkUp,
    OwnLink,
    Pong,
    Restoring,
    Rotate,
    StandBy,
    StreamEvidence,
    StreamsHeard,
    SymbolsKnown,
    Tick,
)
from subcore.engine.explain import Explainer
from subcore.engine.health import Health
from subcore.engine.link import Link, Phase, Role
from subcore.engine.links import Lifecycle
from subcore.engine.losses import Losses
from subcore.engine.moves import Moves
from subcore.engine.own_links import OwnLinks
from subcore.engine.pacing import PROCESS_LIMITS, LimitRegistry
from subcore.engine.placement import Placement
from subcore.engine.planner import Planner
from subcore.engine.ports import StreamTable, WireSet
from subcore.engine.proof import Proof
from subcore.engine.proposals import Proposal
from subcore.engine.restore import Restores
from subcore.engine.restored import Restore
from subcore.engine.standby import Standbys
from subcore.engine.symbols import SymbolGate
from subcore.engine.topics import Streams, TopicRow
from subcore.engine.wants import Wants
from subcore.errors import InternalError
from subcore.types import GoingAway, Int32Array, ReasonClass, StreamColumns
from subcore.venue import Venue

__all__ = ["Engine"]

UNWATCHED_AT_MOST: Final = 256  # changes kept until somebody looks
REPORTS: Final = (LinkActivity, StreamsHeard)  # noted: the Tick that follows does what is due on all links


class Engine:
    """Reconciles links with what the ledger wants.

    `table` is the ledger's read side, `make_wire_set` makes a link's target and wire sets. `symbols`: the venue's
    markets if already known; `account`: whose limits count where a login is used; `can_ask`: of which streams an
    AskLatest can be carried out, None = of none. Not thread-safe: all calls from one thread. An event costs what it
    changed; a tick costs O(links), plus array masks over streams that are unproven, due or doubled.
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
        account: str = "",
        can_ask: Callable[[StreamColumns], npt.NDArray[np.bool_]] | None = None,
    ) -> None:
        self._ctx = Context(
            venue, table, make_wire_set, rng, registry, settings or Settings(), account, can_ask
        )
        self._lifecycle = Lifecycle(self._ctx)
        self._restores = Restores(self._ctx)
        self._planner = Planner(self._ctx, self._lifecycle, self._restores)
        self._proof = Proof(self._ctx, self._lifecycle, self._planner, self._restores)
        self._controls = Controls(self._ctx, self._lifecycle, self._planner, self._proof)
        self._departures = Departures(self._ctx)
        self._moves = Moves(self._ctx, self._lifecycle, self._planner)
        self._placement = Placement(self._ctx, self._lifecycle, self._planner, self._proof, self._moves)
        self._standbys = Standbys(self._ctx, self._lifecycle, self._moves, self._placement)
        self._own_links = OwnLinks(self._ctx, self._lifecycle, self._moves, self._placement)
        self._wants = Wants(
            self._ctx,
            self._lifecycle,
            self._planner,
            self._proof,
            self._placement,
            self._departures,
            self._restores,
            SymbolGate(self._ctx.settings.markets_gap, symbols),
        )
        self._health = Health(self._ctx, self._lifecycle, self._planner, self._placement, self._moves)
        self._proof.on_left_out, self._proof.on_overdue = self._health.left_out, self._health.overdue
        self._explainer = Explainer(self._ctx, self._lifecycle, self._planner, self._wants)
        self._effort = Effort(venue)
        self._losses = Losses(
            self._ctx, self._lifecycle, self._planner, self._proof, self._moves, self._placement, self._effort
        )
        self._ticked = self._now = self._most = 0
        self._unwatched: list[Changed] = []
        self._closed = self._unserved = False
        self.links = self._lifecycle.links
        self._handlers: dict[type, Callable[..., None]] = {
            Changed: self._changed,
            AskedAgain: self._wants.asked_again,
            StandBy: self._standbys.ask,
            OwnLink: self._own_links.ask,
            Rotate: self._placement.rotate,
            LinkUp: self._link_up,
            LinkDown: self._link_down,
            LinkActivity: self._activity,
            StreamEvidence: self._evidence,
            StreamsHeard: self._heard,
            LatestKnown: self._health.asking.answered,
            ControlFrame: self._control,
            Pong: self._pong,
            SymbolsKnown: self._wants.symbols_known,
            Tick: self._tick,
            Restoring: self._restoring,
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

    @property
    def restores(self) -> list[Restore]:
        """The restores under way, one for each route at most."""
        return self._restores.present

    @property
    def is_rotating(self) -> bool:
        """Whether links that successors replace still carry something."""
        retired = [link.wire for link in self.links.values() if link.role is Role.RETIRED]
        return any(wire.len_target or wire.len_wire for wire in retired)

    @property
    def nbytes(self) -> dict[str, int]:
        """Bytes of the tables, by what they are about."""
        return {
            "streams": self._ctx.streams.nbytes,
            "wires": sum(link.wire.nbytes for link in list(self.links.values())),
            "habits": self._health.habits.nbytes,
            "restores": self._restores.nbytes,
            "efficiency": self._effort.nbytes,
        }

    def row(self, stream: int) -> TopicRow:
        """One stream as it stands."""
        return self._ctx.streams.row(stream)

    def explain(self, stream: int, now: int) -> str:
        """Why the stream is as it is, in one sentence."""
        return self._explainer.explain(stream, now)

    def knows(self, streams: Int32Array) -> npt.NDArray[np.bool_]:
        """Which of these ids the engine still uses; the others will never come in a ReleaseStreams."""
        return self._ctx.streams.knows(streams)

    def to_look_at(self, now: int) -> Int32Array:
        """The streams that a StreamsHeard is due for, before the next Tick; between two ticks none."""
        self._watch()
        return self._health.habits.to_look_at(now)

    def handle(self, event: Event, now: int) -> list[Action]:
        """What to do about `event`, which happened at `now` (monotonic nanoseconds, never going back)."""
        handler = self._handlers.get(type(event))
        if handler is None:
            raise InternalError(f"the engine knows no event {type(event).__name__}; please report this")
        if self._closed:
            return []
        self._lifecycle.read_clock(now)
        self._now, self._most = now, self._ctx.stats.messages + self._ctx.settings.messages
        if not self._losses.under_way or self._may_handle(event):
            handler(event, now)
            if not (self._closed or self._losses.under_way or isinstance(event, REPORTS)):
                self._run(now)
        out, self._ctx.out = self._ctx.out, []
        return out

    def _may_handle(self, event: Event) -> bool:
        """Whether it may be handled. A Tick does one slice; who spoke is told again with the next Tick; which links are
        alive is noted meanwhile; and all else finishes the loss."""
        if isinstance(event, Tick):
            self._losses.go_on()
        elif not isinstance(event, REPORTS):
            self._losses.finish()
        return isinstance(event, LinkActivity) or not self._losses.under_way

    def deadline(self) -> int | None:
        """When to send the next Tick, if nothing else comes before; None = nothing to wait for."""
        if not self._closed and (self._losses.under_way or self._unserved):
            return self._now
        return None if self._closed else min(self._deadlines(), default=None)

    def _deadlines(self) -> Iterator[int]:
        for link in self.links.values():
            if link.wake is not None:
                yield link.wake
            if link.is_up:
                yield self._ticked + self._ctx.settings.tick
        for part in (self._planner, self._wants, self._departures):
            when = part.deadline()
            if when is not None:
                yield when

    def _run(self, now: int) -> None:
        """Do whatever is due."""
        if self._wants.asks_for_markets(now):
            self._ctx.out.append(RequestMarkets())
        for link, streams in self._planner.resume(now):
            self._placement.reask(link, streams, now)
        self._serve_all(now)
        for gone in self._departures.run(now):
            self._planner.forget(gone)
            for link in self.links.values():
                link.forget(gone)

    def _serve_all(self, now: int) -> None:
        """A message at a time: links which share a limit take turns. After some messages the loop goes on first."""
        stats, more, self._unserved = self._ctx.stats, list(self.links.values()), False
        while more:
            turn, more = self._planner.queueing.in_order(more, now), []
            for link in turn:
                if stats.messages >= self._most:
                    self._unserved = True
                    return
                if self._serve(link, now):
                    more.append(link)

    def _serve(self, link: Link, now: int) -> bool:
        """Do what is due on one link; whether it could send yet another message."""
        sent = self._ctx.stats.messages
        again = self._placement.bisection.serve(link, now)
        service = self._planner.service if link.is_up else self._lifecycle.service
        if link.phase is Phase.CONNECTING and now >= link.connect_by:
            self._losses.start(link, now, "no answer to the connection", tell_link=True)
        wake = service(link, now)
        link.wake = wake if again is None else again if wake is None else min(again, wake)
        return self._ctx.stats.messages > sent and link.is_up and wake is not None and wake <= now

    def _changed(self, event: Changed, now: int) -> None:
        self._wants.changed(event, now)
        self._effort.edges(self._lifecycle.routes, event.opened, event.closed, self._ctx.table, now)
        self._unwatched.append(event)
        if len(self._unwatched) >= UNWATCHED_AT_MOST:
            self._watch()

    def _watch(self) -> None:
        """Who is watched changes when somebody looks: a tick may see to many changes."""
        if self._unwatched:
            self._health.changed(self._unwatched)
        self._unwatched.clear()

    def _heard(self, event: StreamsHeard, now: int) -> None:
        self._watch()
        self._health.heard(event, now)

    def efficiency(self, now: int) -> Efficiency:
        """How close the wire came to what could have been. O(links), plus what changed since it was last asked."""
        on_wire = sum(link.wire.len_wire for link in self.links.values())
        return Efficiency(self._effort.messages(now), self._ctx.stats.messages, self._effort.wanted, on_wire)

    def optimize(self, now: int) -> list[Proposal]:
        """Moves that would leave fewer links, each with its reason. Nothing is carried out."""
        return self._placement.optimize(now)

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
            self._effort.up(link.route.name, link.id, now)

    def _link_down(self, event: LinkDown, now: int) -> None:
        link = self.links.get(event.link)
        if link is not None and link.generation == event.generation:
            self._effort.down(link.route.name, link.id, NO_STREAMS, now)
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
        self._losses.start(link, now, event.reason + code, blame=not too_fast)

    def _activity(self, event: LinkActivity, now: int) -> None:
        link = self._present(event.link, event.generation, Phase.UP)
        if link is not None:
            self._lifecycle.activity(link, event.last_receive_ns, event.frames)

    def _evidence(self, event: StreamEvidence, now: int) -> None:
        link = self._present(event.link, event.generation, Phase.UP)
        if link is not None and len(event.streams):
            self._ctx.streams.ensure(event.streams)
            self._proof.data(link, event.streams, now, event.at_ns)

    def _control(self, event: ControlFrame, now: int) -> None:
        link = self._present(event.link, event.generation, Phase.UP)
        if link is None:
            return
        if isinstance(event.control, GoingAway):
            self._placement.retire(link, now)
        verdict = self._controls.handle(link, event.control, now)
        if isinstance(verdict, Accused):
            self._moves.failed(link, verdict.streams, now)  # what it did not name is as well as before
            self._placement.bisection.refused(link, *verdict, now)
        elif verdict is not None:
            self._ctx.stats.losses += 1
            error = verdict.error
            self._losses.start(
                link, now, verdict.reason, error=error, blame=error is not None, tell_link=True
            )

    def _pong(self, event: Pong, now: int) -> None:
        link = self._present(event.link, event.generation, Phase.UP)
        if link is not None:
            self._lifecycle.pong(link, event.rtt_ns)

    def _tick(self, event: Tick, now: int) -> None:
        if now - self._ticked < self._ctx.settings.tick:
            return
        self._run(now)  # what is due first: what leaves a wire now may be doubled anew below
        if self._losses.under_way:
            return
        self._ticked = now
        self._effort.play(now)
        self._moves.tick(now)
        self._placement.tick(now)
        self._standbys.tick(now)
        self._own_links.tick(now)
        alive = []
        for link in [link for link in self.links.values() if link.is_up]:
            dead = (
                self._lifecycle.tick(link, now)
                or self._health.judge(link, now)
                or self._placement.judge(link)
            )
            if dead is not None:
                self._ctx.stats.losses += 1
                self._losses.start(link, now, dead, tell_link=True)
            else:
                alive.append(link)
        self._proof.tick(alive, now)

    def _restoring(self, event: Restoring, now: int) -> None:
        self._ctx.streams.ensure(event.streams)
        self._restores.resume(event.streams, event.reason, now)

    def _close_all(self, event: CloseAll, now: int) -> None:
        self._closed = True
        for link in self.links.values():
            if link.phase in (Phase.CONNECTING, Phase.UP):
                self._ctx.out.append(Disconnect(link.id, link.generation, "the manager closes"))
            link.phase = Phase.IDLE
