"""Which link carries which stream.

A venue whose requests replace the whole set of their connection begins with one link and one message. While a change
there would disturb what must not be disturbed, a *nursery* stands beside it: a further link of the same route for what
is not yet proven or settled. It opens only

* after a loss, for streams that were never proven: what was proven comes back in one message that they cannot spoil;
* for re-asks, and for suspects of a failed request (see bisection);
* once the settled link, carrying CRITICAL streams or more than `crowd`, is rewritten more than `hurts` times a minute,
  and while that storm goes on.

Calm for `calm`, its streams move back in one message. A venue whose requests add and remove needs none of it: its links
are filled up to their capacity; of what is asked for together the channels of a symbol go to one link, as long as that
takes no link more (see shares).

Streams that asked for a link of their own have it in place of the settled one (see own_links); a link for a standby or
for them is opened only while the venue allows one more connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from subcore import _states, _transit
from subcore.engine.bisection import Bisection
from subcore.engine.context import Context
from subcore.engine.events import Rotate
from subcore.engine.legs import PROVEN
from subcore.engine.link import HOMES, Link, Phase, Role
from subcore.engine.links import Lifecycle
from subcore.engine.moves import Moves
from subcore.engine.pacing import Pacer
from subcore.engine.planner import Planner
from subcore.engine.proof import Proof
from subcore.engine.proposals import Proposal, optimize
from subcore.engine.shares import share
from subcore.types import Int32Array, Priority, StreamState
from subcore.venue import Model

__all__ = ["Placement"]

SETTLED: Final = Role.SETTLED
NURSERY: Final = Role.NURSERY
MOVES_TO_JUDGE: Final = 2  # of a link's streams in a row, that were refused


class Placement:
    """Owns the roles of links. Nothing here writes to a wire: targets change, and the planner does the rest."""

    def __init__(
        self, ctx: Context, lifecycle: Lifecycle, planner: Planner, proof: Proof, moves: Moves
    ) -> None:
        self._ctx = ctx
        self._lifecycle = lifecycle
        self._planner = planner
        self._moves = moves
        self._routes = [channel.route for channel in ctx.venue.channels]
        self._only_route = self._routes[0] if len(set(self._routes)) == 1 else None
        self._replaces = ctx.venue.model is Model.REPLACE
        self._capacity = ctx.link_capacity
        self.bisection = Bisection(ctx, lifecycle, planner, proof, self.nursery_beside)

    # Links

    def links_of(self, route: str, role: Role) -> list[Link]:
        """The links of that route and role, oldest first."""
        return [k for k in self._lifecycle.links.values() if k.route.name == route and k.role is role]

    def open_link(self, route: str, role: Role) -> Link:
        """A link of that role: one that is out of use, or a new one."""
        for link in self.links_of(route, Role.RETIRED):
            if link.is_unused:
                link.role = role
                return link
        ctx = self._ctx
        pacer = Pacer(ctx.venue.limits_on(route), ctx.venue.host, ctx.registry, ctx.account)
        link = Link(len(self._lifecycle.links), ctx.venue.route(route), ctx.make_wire_set(), pacer, role=role)
        self._lifecycle.links[link.id] = link
        self._lifecycle.routes[route] = None
        return link

    def nursery_beside(self, link: Link) -> Link:
        """The nursery of that link's route, made if there is none. Where the venue allows no connection for it, a link
        where things stay: better that the search disturbs it than that nobody is found, or the venue refuses more."""
        nursery = next(iter(self.links_of(link.route.name, NURSERY)), None)
        if self._lifecycle.may_open(nursery):
            return self.home(link.route.name, NURSERY)
        return link if link.role in HOMES else self.home(link.route.name, SETTLED)

    def home(self, route: str, role: Role) -> Link:
        """The first link of that route and role, made if there is none."""
        there = self.links_of(route, role)
        return there[0] if there else self.open_link(route, role)

    def by_role(self, streams: Int32Array) -> list[tuple[Role, Int32Array]]:
        """Which of these belong on which kind of link; what is settled first."""
        if not self._ctx.streams.have_own:
            return [(SETTLED, streams)] if len(streams) else []
        own, shared = _states.split(self._ctx.streams.own_link, streams)
        parts = [(SETTLED, shared)] if len(shared) else []
        if len(own):
            parts.append((Role.OWN, own))
        return parts

    def may_have(self, route: str, role: Role) -> bool:
        """Whether there is a link of that kind which takes more, or one may be opened."""
        there = role is SETTLED or any(self._room(link, 1) for link in self.links_of(route, role))
        return there or self._lifecycle.may_open()

    # Streams

    def place(self, streams: Int32Array, now: int) -> None:
        """Find a link for streams that were asked for."""
        if self._only_route is not None:
            self._place_on(self._only_route, streams, now)
            return
        table = self._ctx.table
        channels = table.channels_of(streams)
        if len(channels) == 1 or len({self._routes[channel] for channel in channels}) == 1:
            self._place_on(self._routes[channels[0]], streams, now)
            return
        of = np.array(
            [self._routes[channel] for channel in table.columns_to_write(streams).channels.tolist()]
        )
        for name in dict.fromkeys(of.tolist()):
            self._place_on(name, streams[of == name], now)

    def _place_on(self, route: str, streams: Int32Array, now: int) -> None:
        for role, part in self.by_role(streams):
            self.put(route, role if self.may_have(route, role) else SETTLED, part, now)

    def put(self, route: str, role: Role, streams: Int32Array, now: int) -> None:
        """Have links of that kind carry these, which no wire carries."""
        if self._replaces:
            self._place_whole(route, role, streams, now)
            return
        for link, part in self.spread(route, role, streams):
            self._planner.want(link, part, now)
            if len(part) == len(streams):
                return  # as mostly
            streams = np.setdiff1d(streams, part).astype(np.int32)
        if len(streams) and role is not SETTLED:
            self.put(route, SETTLED, streams, now)
        elif len(streams):  # no connection is left: where least is to stay, once what leaves has made room
            used = [link for link in self.links_of(route, SETTLED) if self._lifecycle.may_open(link)]
            emptiest = min(used, key=lambda one: one.wire.len_target, default=self.home(route, SETTLED))
            room = self._room_to_stay(emptiest, len(streams))
            self._planner.want(emptiest, streams[:room], now)
            self._ctx.streams.explain(streams[room:], "no connection has room, and no further one is allowed")
            self._planner.postpone(emptiest, streams[room:], now)

    def _place_whole(self, route: str, role: Role, streams: Int32Array, now: int) -> None:
        link = self.home(route, role)
        if (link.trial is not None or not link.is_up) and self._is_restoring(link):
            self.bisection.add(self.nursery_beside(link), streams, now)
            return
        if self._hurts(link, now):
            link = self.nursery_beside(link)
        self._ask(link, streams, now)

    def _ask(self, link: Link, streams: Int32Array, now: int) -> None:
        """On that link; after what is on trial there."""
        if link.trial is not None:
            self.bisection.add(link, streams, now)
        else:
            self._planner.want(link, streams, now)

    def _is_restoring(self, link: Link) -> bool:
        """Down, and what it carried was proven: nothing new may spoil its coming back, nor wait for it where the venue
        kills whoever asks for it."""
        if link.trial is not None and any(group.patient for group in link.trial.groups):
            return link.role is not NURSERY
        if link.is_up or link.phase is Phase.IDLE or link.generation == 0:
            return False
        return bool(np.any(self._ctx.streams.proven[link.wire.target()]))

    def _hurts(self, link: Link, now: int) -> bool:
        """Whether the link should be left alone: it would be rewritten too often for what it carries.

        What goes to its nursery instead counts as well, and a storm is over only after calm: else each lull, or the
        link's shrinking while its streams are asked for anew elsewhere, would bring changes back to it, and both would
        be rewritten for the same storm.
        """
        if now < link.spared_until:
            return True
        settings, since = self._ctx.settings, now - self._ctx.settings.minute
        changes: Sequence[int] = link.rewrites
        for other in self._lifecycle.links.values():
            if other.role is NURSERY and other.route.name == link.route.name:
                changes = sorted([*changes, *other.rewrites])
        if len(changes) < settings.hurts or changes[-settings.hurts] <= since:
            return False
        goes_on = link.spared_until > max(since, 0)  # or it would come back as it shrinks
        hurts = goes_on or link.wire.len_target > settings.crowd
        if not hurts:
            classes = self._ctx.table.columns(link.wire.target()).priorities
            hurts = bool(np.any(classes == Priority.CRITICAL))
        if hurts:
            link.spared_until = now + settings.calm
        return hurts

    def spread(self, route: str, role: Role, streams: Int32Array) -> Iterator[tuple[Link, Int32Array]]:
        """Links of that role with room for these, new ones where there is none left, and what each is to take. What has
        room nowhere is left out, where the venue allows no further connection."""
        links = self.links_of(route, role)
        if links and self._room(links[0], len(streams)) == len(streams):  # as mostly
            yield links[0], streams
            return
        rooms = [self._room(link, len(streams)) for link in links]
        for place, part in enumerate(share(streams, rooms, self._capacity or len(streams), self._symbols)):
            link = links[place] if place < len(links) else None
            if len(part) and self._lifecycle.may_open(link):
                yield link or self.open_link(route, role), part

    def _symbols(self, streams: Int32Array) -> Sequence[str]:
        return self._ctx.table.columns_to_write(streams).symbols

    def _room(self, link: Link, count: int) -> int:
        """How many of `count` more streams it takes: by the venue's word, and by what the venue did to the link. Its
        load are those to come, and those on its wire until removed. None where its connection would be one too many."""
        if not self._lifecycle.may_open(link):
            return 0
        for most in (self._capacity, link.takes(self._ctx.clock.runnable)):
            if most is not None:
                count = min(count, most - link.wire.len_target - link.wire.len_removed)
        return max(count, 0)

    def _room_to_stay(self, link: Link, count: int) -> int:
        """The same by the venue's word alone, once what leaves has left."""
        return count if self._capacity is None else max(0, min(count, self._capacity - link.wire.len_target))

    def reask(self, link: Link, streams: Int32Array, now: int) -> None:
        """Ask again for streams that failed: where the venue's requests replace, apart from what is proven."""
        if not self._replaces:
            if link.role in (Role.RETIRED, Role.STANDBY):
                self._place_on(link.route.name, streams, now)
                return
            room = self._room(link, len(streams))
            if not self._lifecycle.may_open():  # what has room nowhere: this link may take it another time
                others = [k for k in self.links_of(link.route.name, link.role) if k is not link]
                rest = len(streams) - sum(self._room(other, len(streams)) for other in others)
                room = max(room, self._room_to_stay(link, rest))
            self._planner.want(link, streams[:room], now)
            link.repairs |= room > 0
            self.put(link.route.name, link.role, streams[room:], now)
            return
        apart = link.role not in HOMES or np.any(self._ctx.streams.proven[link.wire.target()])
        if apart and link.role is not Role.NURSERY:
            link = self.nursery_beside(link)
        self.bisection.add(link, streams, now)

    def lost(self, link: Link, now: int) -> None:
        """After a loss: what was never proven must not come back in one message with what was."""
        if link.role is Role.RETIRED:
            self._hand_over(link, link.wire.target(), now)
            return
        if not self._replaces or link.role is Role.NURSERY or link.trial is not None:
            return
        target = link.wire.target()
        proven = self._ctx.streams.proven[target]
        if not proven.any() or proven.all():
            return
        never = target[~proven]
        link.wire.set_target(never, False)
        self.bisection.add(self.nursery_beside(link), never, now)

    def tick(self, now: int) -> None:
        """Bring home what has grown up in a nursery, and replace what has grown old."""
        turn = self._lifecycle.in_turn(now)
        for link in list(self._lifecycle.links.values()):
            if link.role is Role.RETIRED and link.wire.len_target:
                if link.id in turn:
                    self._clear_out(link, now)
            elif link.role is Role.NURSERY and link.wire.len_target and self._is_calm(link, now):
                self._bring_home(link, now)
            elif link.is_up and link.is_old(self._ctx.venue.life.max_age, now) and not self._is_barred(now):
                self.retire(link, now)

    def judge(self, link: Link) -> str | None:
        """Why a link is given up: what it carries is refused where it is to go. Asked for anew, by halves, the one that
        the venue turned against is found; else each try would cost the other link its streams."""
        if link.refused_moves < MOVES_TO_JUDGE or link.role not in (Role.NURSERY, Role.RETIRED):
            return None
        return "the venue refuses on another link what this one carries"

    def _is_calm(self, nursery: Link, now: int) -> bool:
        return nursery.is_up and nursery.trial is None and now - nursery.sent_at >= self._ctx.settings.calm

    def _bring_home(self, nursery: Link, now: int) -> None:
        target, route = nursery.wire.target(), nursery.route.name
        for role, part in self.by_role(target):
            if not self.may_have(route, role):
                continue  # own_links brings it to the settled link's side once there is room
            home = self._successor(nursery, role, len(part))
            if home is None or home.is_unused:
                if len(part) == len(target):  # nothing to go back to: it is home already
                    for unused in filter(lambda other: other.is_unused, self.links_of(route, role)):
                        unused.role = Role.RETIRED  # else what is new would open it beside this one
                    nursery.role, nursery.refused_moves = role, 0
                    return
                if home is None:
                    continue
            elif not home.is_up or home.trial is not None or home.wire.len_added:
                continue
            if home.rewrites and now - home.rewrites[-1] < self._ctx.settings.calm:
                continue
            open_ones = self._ctx.streams.in_state(part, StreamState.OPEN)
            doubled = self._ctx.streams.legs.has_other(open_ones)
            self._moves.start(nursery, home, open_ones[~doubled], now)
            self.leave_held(nursery, open_ones[doubled], now)

    def optimize(self, now: int) -> list[Proposal]:
        """Moves that would leave fewer links. O(links); changes nothing."""
        return optimize(list(self._lifecycle.links.values()), self._capacity, self._ctx.settings, now)

    # Successors

    def rotate(self, event: Rotate, now: int) -> None:
        """Replace these links, or all."""
        for link in list(self._lifecycle.links.values()):
            if (event.links is None or link.id in event.links) and not self._is_barred(now):
                self.retire(link, now)

    def _is_barred(self, now: int) -> bool:
        """Nobody may connect for some time: what is new would wait for a successor beside a link that could take it."""
        return (self._ctx.registry.blocked_until(self._ctx.venue.host) or now) > now

    def retire(self, link: Link, now: int) -> None:
        """Open a successor for an open link, and move all it carries there; then it is closed. Not while the venue
        allows no further connection."""
        if link.is_up and link.role is not Role.RETIRED and link.trial is None and self._lifecycle.may_open():
            role, link.role, link.refused_moves = link.role, Role.RETIRED, 0
            successor = self.open_link(link.route.name, role)
            self._ctx.info("a successor replaces the link", link=link.id, successor=successor.id)
            self._clear_out(link, now)

    def _clear_out(self, link: Link, now: int) -> None:
        """Whatever a retired link still carries goes to its successor."""
        legs, target = self._ctx.streams.legs, link.wire.target()
        if not self.links_of(link.route.name, Role.STANDBY):  # what waits for one is looked at as well
            target = _transit.stirred(legs, link.id, self._lifecycle.wires(), target, int(PROVEN))
            if not len(target):
                return  # nothing has come on other links yet, as mostly
        doubled = legs.has_other(target)
        both = self._lifecycle.some_of(link, target[doubled])
        self.leave_held(link, both, now)
        self._give_up_beside(link, both, now)
        alone = np.concatenate([target[~doubled], both[~self._lifecycle.twice(both)]])
        alone, rows = legs.on(link.id, alone)
        on_wire = legs.width[rows] >= 0
        self._hand_over(link, alone[~on_wire], now)
        for role, part in self.by_role(alone[on_wire]):
            # Without a link of its kind it goes with the others, and own_links brings it home from there.
            kind = role if self.may_have(link.route.name, role) else SETTLED
            successor = self._successor(link, kind, len(part))
            shares = [(successor, part)] if successor else self.spread(link.route.name, kind, part)
            for to, some in shares:
                if to.trial is None:  # it is found out first what the venue does not take
                    self._moves.start(link, to, some, now)

    def _give_up_beside(self, link: Link, doubled: Int32Array, now: int) -> None:
        """A standby that has brought nothing for as long as a move may take keeps no link from being replaced: when it
        is gone they move, and whoever wants one gets another."""
        since, legs = now - self._ctx.settings.move_timeout, self._ctx.streams.legs
        others = legs.other_link(link.id, doubled)
        for other in self.links_of(link.route.name, Role.STANDBY):
            if other.is_up and other.up_since > since:
                continue
            part = doubled[others == other.id]
            rows = legs.rows(other.id, part)
            mute = ~self._lifecycle.has_shown(part, legs.evidence[rows]) & (legs.turned[rows] <= since)
            self._moves.leave(other, part[mute], now)

    def _successor(self, link: Link, role: Role, count: int) -> Link | None:
        """A link of its route for what belongs on such, with room for so many; None = there may be none."""
        for other in self.links_of(link.route.name, role):
            if self._room(other, count) == count:
                return other
        return self.open_link(link.route.name, role) if self._lifecycle.may_open() else None

    def _hand_over(self, link: Link, streams: Int32Array, now: int) -> None:
        """What no wire carries need not be moved: another link asks for it."""
        link.wire.set_target(streams, False)
        untargeted = self._lifecycle.untargeted(streams)  # a successor may have been asked already
        for role, part in self.by_role(untargeted):
            if successor := self._successor(link, role, len(part)):
                self._ask(successor, part, now)
            else:
                self._place_on(link.route.name, part, now)

    def leave_held(self, link: Link, streams: Int32Array, now: int) -> None:
        """Streams with two carriers leave this one, if the other holds them."""
        for other, _, held in list(self._lifecycle.held_elsewhere(link, streams)):
            if len(held):
                self._ctx.streams.legs.settle_on(other.id, held)
                self._moves.leave(link, held, now)
