"""Which stream is frozen while its link lives.

A quiet market and a frozen stream look alike on a clock: gaps between trades have no longest, and at night all of them
grow. So a silence is measured by its *siblings*, the other channels of the same symbol: if one of them spoke far more
since than ever between two signs of the stream, the stream is frozen; if they rest as well, so does the market, and
nobody is accused. The clock says only how soon: not before max(10 s, 20 medians), less the time that looking takes. A
sibling whose longest gaps are longer than chance makes them is no witness. A false alarm is worse than silence, so a
stream without siblings is accused only of a silence far longer than all of its own, and seldom found.

Whoever is accused is asked for again where that disturbs nobody. What comes then shows whether it was needless: a
snapshot no newer than the last event says that there was nothing to say, and this silence is a habit from then on.
Channels without snapshots show it by speaking at once, or not.
Re-asks draw on an allowance that grows with the stream-hours watched, and one that was right gives back twice: so
the needless ones are bounded however odd the markets are, and many that freeze together are found ever faster.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from subcore.engine.asking import Asking
from subcore.engine.clock import SECOND
from subcore.engine.context import Context
from subcore.engine.events import Changed, StreamsHeard
from subcore.engine.habits import MEDIANS, Habits, Look, Places
from subcore.engine.link import HOMES, WORST_MARGIN, YOUNG_MARGIN, Link, Role
from subcore.engine.links import SYMBOLS_AT_LEAST, Lifecycle
from subcore.engine.moves import Moves
from subcore.engine.placement import Placement
from subcore.engine.planner import Planner
from subcore.engine.topics import TopicEvent
from subcore.types import DataState, Int32Array, StatusKind, StreamState
from subcore.venue import Model

__all__ = ["Health"]

Flags = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.float64]

BY_SIBLINGS, BY_WIRE, BY_VENUE, BY_LIST, BY_SNAPSHOT = 1, 2, 3, 4, 5

LOOKS_TO_KNOW = 500  # at which a stream had spoken, before its habit is known
LINK_LOOKS_TO_KNOW = 100  # the same, where three symbols must agree that their link is silent
ALONE_LOOKS_TO_KNOW = 1000  # the same, where no sibling can tell a frozen stream from a market that rests
MARGIN, LEAST_SPOKEN = (
    2.5,
    8.0,
)  # times the most a witness ever spoke between two signs of the stream, and at least
FAR_LOOKS_TO_KNOW = 2000  # the same as LOOKS_TO_KNOW, for a sibling that is not close
CLOSE = 1.0  # a sibling that speaks no oftener than the stream is a close one: what it says, the stream says
CLOSE_MARGIN, CLOSE_LEAST = 1.25, 4.0  # the same for those
AGREED_LEAST = 2.0  # and more than ever, where the stream's own clock agrees
CLOCK_MARGIN = 1.2  # times its longest silence, in medians: then it does
CHANCE = 1.5  # times the longest gap that chance makes of so many: a habit of longer ones is heavy-tailed, and no sign
CHANCE_SPARED = 3.0
IN_VAIN_MOST = 6  # times the patience with a link doubles whose restarts brought nothing but what they owed
LINK_SPOKE = 0.25  # within this part of the stream's silence, or the link is the one to judge
TRIES_AT_MOST = 10  # the patience with a stream that stays silent doubles so often
EARNED = 0.4 / (1000 * 3600 * SECOND)  # needless re-asks a stream-nanosecond, for each kind of witness
ALLOWANCE_FIRST = 1.0
ALLOWANCE_BY_VENUE = 8.0
ALLOWANCE_MOST = 64.0
SAVED_MOST = 4.0  # of what is earned by watching
SOON, SOON_MEDIANS = 2 * SECOND, 4.0  # after it was asked for again, news shows that it had been frozen
BACK = 2.0  # for one that was right: many that freeze together are found ever faster
REASONS = {
    BY_SIBLINGS: "it is silent while other channels of its symbol go on",
    BY_WIRE: "it is silent as never before while its link goes on",
    BY_LIST: "the venue's list of what its link carries leaves it out",
    BY_VENUE: "the venue has newer data of it than its link brought",
    BY_SNAPSHOT: "its new snapshot is overdue",
}


class Health:
    """Accuses streams, has them asked for again, and says when they are good."""

    def __init__(
        self, ctx: Context, lifecycle: Lifecycle, planner: Planner, placement: Placement, moves: Moves
    ) -> None:
        self._ctx = ctx
        self._lifecycle = lifecycle
        self._planner = planner
        self._placement = placement
        self._moves = moves
        self.habits = Habits(ctx)
        self.asking = Asking(ctx, lifecycle, self.habits)
        self._snapshots = np.array([channel.snapshot for channel in ctx.venue.channels])
        self._allowance = {
            BY_SIBLINGS: ALLOWANCE_FIRST,
            BY_WIRE: ALLOWANCE_FIRST,
            BY_VENUE: ALLOWANCE_BY_VENUE,
            BY_LIST: ALLOWANCE_BY_VENUE,
            BY_SNAPSHOT: ALLOWANCE_BY_VENUE,
        }

    def changed(self, events: Sequence[Changed]) -> None:
        """Watch what is wanted after these."""
        self.habits.changed(events)
        for event in events:
            self.asking.forget(event.opened)

    def heard(self, event: StreamsHeard, now: int) -> None:
        """Learn from the streams that spoke, and judge those that did not."""
        look = self.habits.look(event, now)
        if look is None:
            return
        for kind in self._allowance:
            earned = EARNED * look.cycle * len(event.streams)
            room = max(0.0, SAVED_MOST - self._allowance[kind])
            self._allowance[kind] += min(earned, room)
        self._decide(look, now)
        self.habits.learn(look)
        frozen = self.asking.look(look, now)
        if len(frozen):
            self._accuse(look, frozen, BY_VENUE, now)
        self._judge_owed(look, now)
        self._judge(look, now)
        self.asking.ask(now)

    def judge(self, link: Link, now: int) -> str | None:
        """Why a link is to be replaced: all of it is silent; the venue has newer data, or its streams never were."""
        return self.asking.judge(link, now) or self._silent_against_streams(link, now)

    def _silent_against_streams(self, link: Link, now: int) -> str | None:
        """Where something has left a link, or it is a new connection, its own habit is not known. Those of its streams
        are: the whole is silent no longer than any of them. A venue may rest as a whole, with pongs and connects: a
        restart for that which brings nothing but what it owes doubles the patience."""
        least = self._ctx.settings.silent_link
        asked = link.last_request
        if asked is not None and link.life.spoke_at > asked.acquits_at + least:
            link.in_vain = 0
        ahead = self._lifecycle.look_ahead
        silent = min(self._ctx.clock.runnable - link.life.spoke_at, now - link.sent_at) + ahead
        if silent < least or link.route.grant or self._ctx.clock.runnable < link.rests_until:
            return None
        if not math.isinf(link.silence_limit(least)):
            return None
        if link.judged_since != link.life.spoke_at:  # nothing is learned while it is silent
            link.judged_since, link.streams_limit = link.life.spoke_at, self._limit_by_streams(link, least)
        if silent < link.streams_limit * 2.0 ** min(link.in_vain, IN_VAIN_MOST):
            return None
        link.in_vain += 1
        return f"no frame for {(silent - ahead) / SECOND:.1f} s, while pings are answered"

    def _limit_by_streams(self, link: Link, least: int) -> float:
        """A silence longer than this is no habit of streams of three symbols that no other link carries: one market
        may be halted. Infinite where so many are not known. What is usual of a stream was learned a look at a time."""
        habits, streams = self.habits, link.wire.wire()
        streams = streams[streams < len(habits.watched)]
        streams = streams[habits.watched[streams] & ~self._ctx.streams.legs.has_other(streams)]
        streams = streams[habits.learned[streams] >= LINK_LOOKS_TO_KNOW]
        chance = _by_chance(habits.worst_gap[streams], habits.sum_gap[streams], habits.learned[streams])
        streams = streams[chance]
        margin = np.maximum(WORST_MARGIN, YOUNG_MARGIN / np.log(habits.learned[streams]))
        worst = habits.worst_gap[streams] * habits.median[streams] + habits.turns * self._ctx.settings.tick
        limits = np.maximum(margin * worst, np.maximum(MEDIANS * habits.median[streams], least))
        order = np.argsort(limits, kind="stable")
        _, first = np.unique(habits.group[streams][order], return_index=True)
        by_symbol = np.sort(limits[order][first])
        return float(by_symbol[SYMBOLS_AT_LEAST - 1]) if len(by_symbol) >= SYMBOLS_AT_LEAST else math.inf

    def _decide(self, look: Look, now: int) -> None:
        """News of accused streams came: was it right?"""
        habits, heard = self.habits, look.heard
        at = np.flatnonzero(look.news & (habits.accused[look.rows] > 0))
        if not len(at):
            return
        ids = look.rows[at]
        kinds = habits.accused[ids]
        right = self._were_right(look, at)
        for kind in self._allowance:
            found = self._allowance[kind] + BACK * int(np.count_nonzero(right & (kinds == kind)))
            self._allowance[kind] = min(ALLOWANCE_MOST, found)
        habits.forgive(ids[~right], heard.received_ns[at][~right])
        habits.accused[ids] = 0
        self._ctx.stats.needless_reasks += int(np.count_nonzero(~right))
        columns = self._ctx.streams
        streams = heard.streams[at]
        suspect = (columns.state[streams] == StreamState.OPEN) & (columns.data[streams] == DataState.SUSPECT)
        doubted = streams[suspect]
        moved = columns.apply(TopicEvent.PROVEN_DATA, doubted, now)
        self._ctx.notify(StatusKind.GOOD, moved.recovered, "data again")

    def _were_right(self, look: Look, at: Places) -> Flags:
        """A snapshot brought something newer than the last event; else it spoke by itself. Where a channel has none,
        it spoke as soon after it was asked for as it usually does."""
        habits, heard = self.habits, look.heard
        ids, streams = look.rows[at], heard.streams[at]
        right: Flags = heard.exchange_ns[at] > habits.exchange[ids]
        right &= heard.snapshots[at] > habits.snapshots[ids]  # else it spoke by itself
        channels = self._ctx.table.columns(streams).channels
        for place in np.flatnonzero(~self._snapshots[channels]).tolist():
            stream, row = int(streams[place]), ids[place]
            asked = self._asked_at(stream)
            first = heard.received_ns[at[place]] - look.cycle  # or later
            soon = first - asked <= max(SOON, SOON_MEDIANS * habits.median[row])
            right[place] = soon and habits.accused_at[row] <= asked <= heard.received_ns[at[place]]
        return right

    def _asked_at(self, stream: int) -> int:
        """When the latest request that named it left, on any link; 0 = not known."""
        legs, links = self._ctx.streams.legs, self._lifecycle.links
        when = 0
        for row in (2 * stream, 2 * stream + 1):
            link = links.get(int(legs.link[row]))
            for request in (*link.in_flight, *link.answered) if link is not None else ():
                if request.number == legs.request[row]:
                    when = max(when, request.sent_ns)
        return when

    # Judging

    def _judge(self, look: Look, now: int) -> None:
        habits, heard = self.habits, look.heard
        at = np.flatnonzero(~look.news & (habits.learned[look.rows] >= LOOKS_TO_KNOW))
        lead = (habits.turns + 2) * self._ctx.settings.tick
        silence = habits.silence(look.rows[at], now)
        long = silence >= self._ctx.settings.frozen - lead
        at, silence = at[long], silence[long]
        ids = look.rows[at]
        least = np.maximum(self._ctx.settings.frozen, MEDIANS * habits.median[ids])
        patience = np.exp2(np.minimum(habits.tries[ids], TRIES_AT_MOST).astype(np.float64))
        late = silence >= least * patience - lead
        late[late] = ~self.asking.settled(ids[late])
        at, silence = at[late], silence[late]
        if len(at):
            fit = self._can_be_judged(heard.streams[at], silence)
            self._judge_late(look, at[fit], silence[fit].astype(np.float64), now)

    def _judge_owed(self, look: Look, now: int) -> None:
        """A request that states a stream anew brings its snapshot, whatever its market does: one that does not come is
        asked for again, at once and then ever later."""
        habits = self.habits
        if not habits.owed.any():
            return
        at = np.flatnonzero(~look.news & habits.owed[look.rows])
        ids = look.rows[at]
        patience = np.exp2(np.minimum(habits.tries[ids], TRIES_AT_MOST).astype(np.float64))
        due = (habits.accused[ids] == 0) | (
            now - habits.accused_at[ids] >= self._ctx.settings.frozen * patience
        )
        at = at[due]
        fit = self._can_be_judged(look.heard.streams[at], habits.silence(look.rows[at], now))
        self._accuse(look, at[fit], BY_SNAPSHOT, now)

    def _can_be_judged(self, ids: Int32Array, silence: npt.NDArray[np.int64]) -> Flags:
        """Proven, carried once, and by a link that lives."""
        columns, runnable = self._ctx.streams, self._ctx.clock.runnable
        fit: Flags = (columns.state[ids] == StreamState.OPEN) & ~columns.legs.has_other(ids)
        homes = columns.legs.home(ids)
        for home in set(homes[fit].tolist()):
            link, here = self._lifecycle.links[home], homes == home
            lives = link.is_up and link.role is not Role.RETIRED
            fit &= ~here | (lives & (runnable - link.life.spoke_at <= LINK_SPOKE * silence))
        return fit

    def _judge_late(self, look: Look, at: Places, silence: Reals, now: int) -> None:
        if not len(at):
            return
        ids = look.rows[at]
        for link, _ in self._lifecycle.homes(look.heard.streams[at]):
            link.doubted = True
        clock = self.habits.medians_silent(ids, silence) / np.maximum(self.habits.worst_gap[ids], 1.0)
        by_siblings = self._siblings_say(ids, clock)
        if by_siblings.any():
            self._accuse(look, at[by_siblings], BY_SIBLINGS, now)
        by_wire = self._wire_says(ids, clock)
        if by_wire.any():
            self._accuse(look, at[by_wire & ~self._has_siblings(look, at)], BY_WIRE, now)

    def _has_siblings(self, look: Look, at: Places) -> Flags:
        """Some other channel of the symbol is in force."""
        there = np.append(self._ctx.streams.state[look.rows] == StreamState.OPEN, False)
        some: Flags = np.any(there[look.partners[:, at]], axis=0)
        return some

    def _siblings_say(self, ids: Places, clock: Reals) -> Flags:
        """Some sibling spoke far more since than ever between two signs of the stream."""
        said: Flags = np.zeros(len(ids), np.bool_)
        for sibling in self.habits.siblings:
            came, worst, gaps = sibling.came[ids], sibling.worst[ids], sibling.gaps[ids]
            spoken = sibling.sum[ids]
            beyond = (came >= np.maximum(LEAST_SPOKEN, MARGIN * worst)) & (gaps >= FAR_LOOKS_TO_KNOW)
            close = came >= np.maximum(CLOSE_LEAST, CLOSE_MARGIN * worst)
            close |= (came >= np.maximum(AGREED_LEAST, worst + 1.0)) & (clock >= CLOCK_MARGIN)
            beyond |= close & (spoken <= CLOSE * gaps)
            said |= beyond & (gaps >= LOOKS_TO_KNOW) & _by_chance(worst, spoken, gaps)
        return said

    def _wire_says(self, ids: Places, clock: Reals) -> Flags:
        """By its own clock and by what all others spoke, the silence is far longer than ever."""
        habits = self.habits
        learned = habits.learned[ids]
        wire = (habits.all_spoke - habits.wire[ids]) / np.maximum(habits.worst_wire[ids], 1.0)
        said: Flags = (np.minimum(clock, wire) >= MARGIN) & (learned >= ALONE_LOOKS_TO_KNOW)
        if said.any():
            said &= _by_chance(habits.worst_gap[ids], habits.sum_gap[ids], learned)
        return said

    # Asking again

    def left_out(self, streams: Int32Array, now: int) -> None:
        """The venue's list of what their link carries leaves these out, though they were proven."""
        streams = streams[streams < len(self.habits.watched)]
        self.habits.exchange[streams] = self.habits.latest[streams]
        self._suspect(streams, BY_LIST, now)

    def overdue(self, streams: Int32Array, now: int) -> None:
        """A request stated these anew, and no snapshot came of them in its time."""
        self.habits.owed[streams[streams < len(self.habits.owed)]] = True

    def _accuse(self, look: Look, at: Places, kind: int, now: int) -> None:
        streams = look.heard.streams[at]
        self.habits.exchange[streams] = look.heard.exchange_ns[at]
        self._suspect(streams, kind, now)

    def _suspect(self, streams: Int32Array, kind: int, now: int) -> None:
        habits, columns = self.habits, self._ctx.streams
        again = habits.accused[streams] > 0
        new = np.flatnonzero(~again)[: int(self._allowance[kind])]
        self._ctx.stats.reasks_held += int(np.count_nonzero(~again)) - len(new)
        self._allowance[kind] -= len(new)
        streams = np.sort(np.concatenate([streams[again], streams[new]]))
        if not len(streams):
            return
        habits.accused[streams] = kind
        habits.accused_at[streams] = now
        habits.tries[streams] = np.minimum(habits.tries[streams], TRIES_AT_MOST) + 1
        self._ctx.stats.reasks += len(streams)
        moved = columns.apply(TopicEvent.OVERDUE, streams, now)
        self._ctx.notify(StatusKind.SUSPECT, moved.doubted, REASONS[kind])
        for link, part in self._lifecycle.homes(streams):
            self._ask_again(link, part, now)

    def _ask_again(self, link: Link, streams: Int32Array, now: int) -> None:
        """Where requests replace, a further carrier is asked, and the frozen one is left once it brought data; else
        the streams are taken off the wire and put back."""
        self._ctx.warn("streams are silent and asked for again", link=link.id, streams=len(streams))
        if self._ctx.venue.model is Model.REPLACE and link.role in HOMES:
            nursery = self._placement.nursery_beside(link)
            if nursery is not link:
                if nursery.trial is None:  # else what is frozen still is found again
                    self._moves.start(link, nursery, streams, now)
                return
        self._ctx.streams.apply(TopicEvent.FAILED_PROVEN, streams, now)
        self._ctx.streams.start_over(streams)
        self._planner.unwant(link, streams, now, urgent=True)
        self._planner.postpone(link, streams, now)


def _by_chance(
    worst: npt.NDArray[np.floating], total: npt.NDArray[np.floating], gaps: npt.NDArray[np.number]
) -> Flags:
    """Whether the longest of these gaps is as chance makes it: their mean times the logarithm of their number."""
    count = np.maximum(gaps.astype(np.float64), 2.0)
    usual: Flags = worst <= CHANCE * total / count * np.log(count) + CHANCE_SPARED
    return usual
