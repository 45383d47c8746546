"""Streams that asked for a link of their own: brought there, and back when nobody asks any more.

What is asked for when it is first wanted is placed there at once (see placement). What is carried already moves, make
before break, as everything that changes its link. Where the venue allows no further connection it stays with the others
until there is one; holders are told.
"""

from __future__ import annotations

import numpy as np

from subcore.engine.context import NO_STREAMS, Context
from subcore.engine.events import OwnLink
from subcore.engine.link import HOMES, Link, Role
from subcore.engine.links import Lifecycle
from subcore.engine.moves import Moves
from subcore.engine.placement import Placement
from subcore.types import Int32Array, StatusKind, StreamState

__all__ = ["OwnLinks"]


class OwnLinks:
    """Costs O(streams that are not where they belong) a tick; nothing while there are none."""

    def __init__(self, ctx: Context, lifecycle: Lifecycle, moves: Moves, placement: Placement) -> None:
        self._ctx = ctx
        self._lifecycle = lifecycle
        self._moves = moves
        self._placement = placement
        self._astray: Int32Array = NO_STREAMS  # perhaps not on the kind of link they belong on
        self._told: Int32Array = NO_STREAMS  # that there is no connection for them

    def ask(self, event: OwnLink, now: int) -> None:
        """Some shall have a link of their own from now on, or need none any more."""
        columns = self._ctx.streams
        columns.ensure(event.streams)
        columns.own_link[event.streams] = event.on
        columns.have_own |= event.on
        self._astray = np.union1d(self._astray, event.streams).astype(np.int32)

    def tick(self, now: int) -> None:
        """Bring home what is elsewhere."""
        if not len(self._astray):
            return
        columns = self._ctx.streams
        closed = columns.state[self._astray] == StreamState.CLOSED
        leaving, wanted = self._astray[closed], self._astray[~closed]
        astray = [
            leaving[columns.legs.on_wire(leaving)]
        ]  # wanted again before it leaves, it would stay there
        nowhere = columns.in_state(
            self._lifecycle.untargeted(wanted), StreamState.WAITING, StreamState.RECOVERING
        )
        astray.append(nowhere)  # on trial, or postponed: it may be asked for on another kind of link
        for link, mine in self._lifecycle.carriers(wanted):
            if link.role is Role.STANDBY:
                continue
            for role, part in self._placement.by_role(mine):
                if link.role is not role:
                    aimed = np.intersect1d(part, link.wire.target())
                    # What leaves this wire may have to stay: the other one that holds it may be lost before.
                    astray += [aimed, part[columns.legs.width[columns.legs.rows(link.id, part)] >= 0]]
                    if link.role in HOMES:  # a nursery, or a link that is replaced, brings them home itself
                        self._send(link, role, aimed, now)
        self._astray = np.unique(np.concatenate(astray)).astype(np.int32)
        self._told = np.intersect1d(self._told, self._astray).astype(np.int32)

    def _send(self, link: Link, role: Role, streams: Int32Array, now: int) -> None:
        route = link.route.name
        if link.trial is not None:
            return
        if not self._placement.may_have(route, role):
            self._tell(streams)
            return
        legs = self._ctx.streams.legs
        doubled = legs.has_other(streams)
        self._placement.leave_held(
            link, streams[doubled], now
        )  # a standby: it has another one beside it soon
        alone, rows = legs.on(link.id, streams[~doubled])
        on_wire = legs.width[rows] >= 0
        idle = self._ctx.streams.in_state(alone[~on_wire], StreamState.WAITING, StreamState.RECOVERING)
        if len(idle):
            link.wire.set_target(idle, False)
            self._placement.put(route, role, idle, now)
        carried = self._ctx.streams.in_state(alone[on_wire], StreamState.OPEN)
        carried = carried[self._ctx.streams.alone_until[carried] <= now]
        if link.is_up and now >= link.doubled_from and len(carried):
            for to, part in self._placement.spread(route, role, carried):
                if to.trial is None:  # it is found out first what the venue does not take
                    self._moves.start(link, to, part, now)

    def _tell(self, streams: Int32Array) -> None:
        news = np.setdiff1d(streams, self._told).astype(np.int32)
        self._told = np.union1d(self._told, news).astype(np.int32)
        allowed, name = self._lifecycle.allowed, self._ctx.venue.name
        reason = f"{name} allows {allowed} connections, and none is left for a link of its own: it shares one"
        self._ctx.notify(StatusKind.ERROR, news, reason)
