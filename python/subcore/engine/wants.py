"""What components want, on its way to a link: edges of the ledger, refused streams asked for anew, lists of markets."""

from __future__ import annotations

from typing import Final

import numpy as np

from subcore.engine.actions import Arbitrate, AwaitEvidence
from subcore.engine.clock import SECOND
from subcore.engine.context import Context
from subcore.engine.departures import Departures
from subcore.engine.events import AskedAgain, Changed, SymbolsKnown
from subcore.engine.legs import PROVEN
from subcore.engine.links import Lifecycle
from subcore.engine.placement import Placement
from subcore.engine.planner import Planner
from subcore.engine.proof import Proof
from subcore.engine.restore import Restores
from subcore.engine.symbols import SymbolGate
from subcore.engine.topics import TopicEvent
from subcore.types import Evidence, Int32Array, StatusKind, StreamState

__all__ = ["Wants"]

# A member of an enum is dear to find, on Python 3.11: for what each change needs it is found once.
WANTED: Final = TopicEvent.WANTED
CLOSED: Final = StreamState.CLOSED


class Wants:
    """Turns wishes into states and targets. Costs O(what changed)."""

    def __init__(
        self,
        ctx: Context,
        lifecycle: Lifecycle,
        planner: Planner,
        proof: Proof,
        placement: Placement,
        departures: Departures,
        restores: Restores,
        gate: SymbolGate,
    ) -> None:
        self._ctx = ctx
        self._lifecycle = lifecycle
        self._planner = planner
        self._proof = proof
        self._placement = placement
        self._departures = departures
        self._restores = restores
        self._gate = gate

    def changed(self, event: Changed, now: int) -> None:
        """The edges of one turn."""
        self._ctx.streams.ensure(event.opened)
        if len(event.closed):
            self._close(event.closed, now, event.urgent)
        if len(event.opened):
            self._open(event.opened, now)
        if len(event.changed):
            self._resize(event.changed, now, event.patient)

    def _close(self, streams: Int32Array, now: int, urgent: bool) -> None:
        columns = self._ctx.streams
        moved = columns.close(streams, now)
        columns.explain(moved, "")
        self._restores.ended(moved, now)
        self._gate.drop(moved)
        for link, part in self._lifecycle.carriers(moved):
            self._planner.unwant(link, part, now, urgent=urgent)
        self._departures.add(moved, now)

    def _open(self, streams: Int32Array, now: int) -> None:
        columns = self._ctx.streams
        carried, fresh = columns.legs.carried(columns.in_state(streams, CLOSED))
        if len(carried):
            self._resume(carried, now)
        columns.begin(fresh)
        shared = self._ctx.shared(fresh)
        if len(shared):  # for as long as they are: the links of one bring what is due to another
            self._ctx.out.append(Arbitrate(shared, True))
        self._admit(columns.move(WANTED, fresh, now), now)

    def _resume(self, streams: Int32Array, now: int) -> None:
        """Wanted again while a wire still carries them: no message is needed."""
        columns = self._ctx.streams
        self._settle(streams)
        held = self._proof.proven(streams)
        open_again = columns.apply(TopicEvent.RESUMED_HELD, held, now).state
        columns.proven[held] = True
        self._restores.ended(open_again, now)
        data = columns.legs.in_force(held) & np.uint8(Evidence.DATA)
        columns.apply(TopicEvent.PROVEN_DATA, held[data != 0], now)
        asked = columns.apply(TopicEvent.RESUMED, np.setdiff1d(streams, held), now).state
        for link, part in self._lifecycle.homes(streams):
            self._planner.want(link, part, now)
            self._planner.resize(link, self._ctx.table.columns(part), now)
        for link, part in self._lifecycle.homes(asked):
            link.expect(part)
            last = link.last_request
            since = max(last.window_ends, now) if last is not None else now
            self._ctx.out.append(AwaitEvidence(link.id, link.generation, part, since))
        self._ctx.notify(StatusKind.OPEN, open_again, "")

    def _settle(self, streams: Int32Array) -> None:
        """Home is a link that carries it; of two that do, the one that brought it, or else lists it; and of two such
        the one that is there to stay."""
        legs = self._ctx.streams.legs
        carriers = sorted(self._lifecycle.carriers(streams), key=lambda one: one[0].role, reverse=True)
        for shown in (None, PROVEN, np.uint8(Evidence.DATA)):
            for link, part in carriers:
                rows = legs.rows(link.id, part)
                there = legs.width[rows] >= 0
                if shown is not None:
                    there &= (legs.evidence[rows] & shown) != 0
                legs.settle_on(link.id, part[there])

    def _admit(self, streams: Int32Array, now: int) -> None:
        """Through the gate to a link, or held until the list of markets is asked anew."""
        if not len(streams):
            return
        if self._gate.known is None:
            self._placement.place(streams, now)
            return
        columns = self._ctx.table.columns(streams)
        passes = self._gate.passes(columns)
        if not passes.all():
            self._gate.hold(columns, ~passes, now)
            reason = "not in the venue's list of markets; the list is asked anew"
            self._ctx.streams.explain(streams[~passes], reason)
            self._ctx.notify(StatusKind.WAITING, streams[~passes], reason)
            columns = self._ctx.table.columns(streams[passes])
        if len(columns.streams):
            self._placement.place(columns.streams, now)

    def _resize(self, streams: Int32Array, now: int, patient: bool) -> None:
        self._ctx.streams.ensure(streams)
        for link, part in self._lifecycle.carriers(streams):
            self._planner.resize(link, self._ctx.table.columns(part), now, patient=patient)

    def asked_again(self, event: AskedAgain, now: int) -> None:
        """Refused streams get another chance."""
        moved = self._ctx.streams.apply(TopicEvent.ASKED_AGAIN, event.streams, now).state
        self._ctx.streams.explain(moved, "")
        self._ctx.streams.start_over(moved)
        self._admit(moved, now)

    def symbols_known(self, event: SymbolsKnown, now: int) -> None:
        """A list of markets arrived, or cannot be had."""
        passed, refused = self._gate.learn(event.symbols, event.asked_ns)
        proven = self._ctx.streams.proven[refused]  # data outweighs any list
        passed, refused = np.concatenate([passed, refused[proven]]), refused[~proven]
        if len(refused):
            self._proof.refuse(refused, "not listed by the venue", now)
        if event.symbols is not None:
            self._watch_unlisted(now)
        passed = passed[
            self._ctx.streams.state[passed] != StreamState.REFUSED
        ]  # for another reason meanwhile
        self._ctx.streams.explain(passed, "")
        waiting = self._ctx.streams.in_state(passed, StreamState.WAITING)
        waiting = self._lifecycle.unclaimed(waiting)  # some are on their way to a link: only watched
        if len(waiting):
            self._placement.place(waiting, now)

    def _watch_unlisted(self, now: int) -> None:
        """Streams sent before a list was known, silent so far and not in it, are refused by the next list."""
        states = self._ctx.streams
        for link in self._lifecycle.links.values():
            target = link.wire.target()
            silent = target[~states.proven[target]]
            columns = self._ctx.table.columns(silent)
            self._gate.hold(columns, ~self._gate.passes(columns), now)

    # The gate's own time

    def deadline(self) -> int | None:
        """When the list of markets is due to be asked for."""
        return self._gate.deadline()

    def why_held(self, stream: int, now: int) -> str | None:
        """When the list of markets is asked for, if the stream waits for that."""
        when = self._gate.deadline()
        if when is None or not self._gate.holds(stream):
            return None
        return f"the list of markets is asked for in {max(when - now, 0) / SECOND:.1f} s"

    def asks_for_markets(self, now: int) -> bool:
        """Whether to ask for the list now; if so it counts as asked."""
        return self._gate.ask(now)
