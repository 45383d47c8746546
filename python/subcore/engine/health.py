"""Which stream is frozen while its link lives.

A quiet market and a frozen stream look alike on a clock: gaps between trades have no longest, and at night all of them
grow. So a silence is measured in the frames of witnesses. The first are the *siblings*, the other channels of the same
symbol: if they brought more since the stream spoke last than ever between two of its frames, it is frozen; if they rest
as well although they are due, the market rests, and nobody is accused. Where they have no say, all other frames are the
witness, and the clock must agree that it was never silent so long. Otherwise the clock says only how soon: not before
max(10 s, 20 medians), less the time that looking takes. A stream that was often half as long silent is accused by
siblings only.

Whoever is accused is asked for again where that disturbs nobody. What comes then shows whether it was needless: a
snapshot no newer than the last event says that there was nothing to say, and this silence is a habit from then on.
Re-asks draw on an allowance that grows with the stream-hours watched, and that one which was right gives back: so the
needless ones are bounded, however odd the markets are. Only where a sibling is far beyond all that it is not asked.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from subcore.engine.clock import SECOND
from subcore.engine.context import Context
from subcore.engine.events import Changed, StreamsHeard
from subcore.engine.habits import MEDIANS, Habits, Look, Places
from subcore.engine.links import Lifecycle, Link, Role
from subcore.engine.moves import Moves
from subcore.engine.placement import Placement
from subcore.engine.planner import Planner
from subcore.engine.topics import TopicEvent
from subcore.types import DataState, Int32Array, StatusKind, StreamState
from subcore.venue import Model

__all__ = ["Health"]

Flags = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.float64]

LOOKS_TO_KNOW = 150  # at which a stream had spoken, before its habit is known
WORST_MARGIN = 1.5  # times its longest silence of the last day, in frames of the witness
YOUNG_MARGIN = 10.0  # over the logarithm of its frames: the longest of a few silences says little
LULLS_AT_MOST = 0.01  # of its gaps, half as long as what accuses it: with more, a silence is no sign
SHARE = 6.0  # times as many frames of a sibling as usually come between two of its own
OP_LULLS_AT_MOST = (
    0.03  # of its gaps, nearly as long by the frames of that sibling: with more, that one is no witness
)
FRAMES_DUE = 2.0  # frames of the siblings, before their silence says anything
REST = 0.3  # of what was due of them: with less, the market rests
LINK_SPOKE = 0.25  # within this part of the stream's silence, or the link is the one to judge
TRIES_AT_MOST = 10  # the patience with a stream that stays silent doubles so often
EARNED = 0.4 / (1000 * 3600 * SECOND)  # needless re-asks a stream-nanosecond, for each kind of witness
ALLOWANCE_FIRST = 1.0
ALLOWANCE_MOST = 4.0
BEYOND_DOUBT = 3.0  # times all that, and the allowance is not asked
BY_SIBLINGS, BY_WIRE, UNPAID = 1, 2, 3
REASONS = {
    BY_SIBLINGS: "it is silent while other channels of its symbol go on",
    BY_WIRE: "it is silent as never before while its link goes on",
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
        self._allowance = {BY_SIBLINGS: ALLOWANCE_FIRST, BY_WIRE: ALLOWANCE_FIRST}

    def changed(self, event: Changed) -> None:
        """Watch what is wanted."""
        self.habits.changed(event)

    def heard(self, event: StreamsHeard, now: int) -> None:
        """Learn from the streams that spoke, and judge those that did not."""
        look = self.habits.look(event, now)
        if look is None:
            return
        for kind in self._allowance:
            earned = EARNED * look.cycle * len(event.streams)
            self._allowance[kind] = min(ALLOWANCE_MOST, self._allowance[kind] + earned)
        self._decide(look, now)
        self.habits.learn(look)
        self._judge(look, now)

    def _decide(self, look: Look, now: int) -> None:
        """News of accused streams came: was it right?"""
        habits, heard = self.habits, look.heard
        at = np.flatnonzero(look.news & (habits.accused[look.rows] > 0))
        if not len(at):
            return
        ids = look.rows[at]
        kinds = habits.accused[ids]
        right = heard.exchange_ns[at] > habits.exchange[ids]
        right &= heard.snapshots[at] > habits.snapshots[ids]  # else it spoke by itself
        for kind in self._allowance:
            found = self._allowance[kind] + int(np.count_nonzero(right & (kinds == kind)))
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

    # Judging

    def _judge(self, look: Look, now: int) -> None:
        habits, heard = self.habits, look.heard
        at = np.flatnonzero(~look.news & (habits.learned[look.rows] >= LOOKS_TO_KNOW))
        silence = habits.silence(look.rows[at], now)
        least = np.maximum(self._ctx.settings.frozen, MEDIANS * heard.median_ns[at].astype(np.float64))
        patience = np.exp2(np.minimum(habits.tries[look.rows[at]], TRIES_AT_MOST).astype(np.float64))
        lead = (habits.turns + 2) * self._ctx.settings.tick
        late = silence >= least * patience - lead
        at, silence = at[late], silence[late]
        if len(at):
            fit = self._can_be_judged(heard.streams[at], silence)
            self._judge_late(look, at[fit], silence[fit].astype(np.float64), now)

    def _can_be_judged(self, ids: Int32Array, silence: npt.NDArray[np.int64]) -> Flags:
        """Proven, carried once, and by a link that lives."""
        columns, runnable = self._ctx.streams, self._ctx.clock.runnable
        fit: Flags = (columns.state[ids] == StreamState.OPEN) & ~columns.legs.has_other(ids)
        for home in np.unique(columns.legs.home(ids[fit])).tolist():
            link = self._lifecycle.links[home]
            here = columns.legs.home(ids) == home
            lives = link.is_up and link.role is not Role.RETIRED
            fit &= ~here | (lives & (runnable - link.life.spoke_at <= LINK_SPOKE * silence))
        return fit

    def _judge_late(self, look: Look, at: Places, silence: Reals, now: int) -> None:
        if not len(at):
            return
        habits, ids = self.habits, look.rows[at]
        others = self._siblings_rate(look, at)
        margin = np.maximum(WORST_MARGIN, YOUNG_MARGIN / np.log(habits.learned[ids]))
        restless = habits.lulls[ids] > LULLS_AT_MOST * habits.learned[ids]
        expected = others * silence
        rests = (expected >= FRAMES_DUE) & (habits.siblings[ids] < REST * expected)
        by_siblings = self._siblings_say(look, at, margin)
        by_wire = (self._wire_says(ids, silence, margin) >= 1.0) & ~rests & ~restless & (by_siblings < 1.0)
        doubtless = (by_siblings >= BEYOND_DOUBT) & ~restless
        self._accuse(look, at[doubtless], BY_SIBLINGS, now, doubtless=True)
        self._accuse(look, at[(by_siblings >= 1.0) & ~doubtless], BY_SIBLINGS, now)
        self._accuse(look, at[by_wire], BY_WIRE, now)

    def _wire_says(self, ids: Places, silence: Reals, margin: Reals) -> Reals:
        """How far they are beyond what they ever were silent, by the clock and in all frames: the lesser of the two."""
        habits = self.habits
        by_clock = silence / np.maximum(margin * habits.worst_gap[ids], 1.0)
        by_frames = (habits.all_frames - habits.wire[ids]) / np.maximum(margin * habits.worst_wire[ids], 1.0)
        said: Reals = np.minimum(by_clock, by_frames)
        return said

    def _siblings_say(self, look: Look, at: Places, margin: Reals) -> Reals:
        """How far some sibling is beyond what it ever brought between two of their frames."""
        ids, partners = look.rows[at], self.habits.partners
        restless = partners.lulls[:, ids] > OP_LULLS_AT_MOST * self.habits.learned[ids]
        enough = np.maximum(SHARE * self.habits.share(look, at), margin * partners.worst[:, ids])
        said: Reals = np.max(np.where(restless, 0.0, partners.came[:, ids] / np.maximum(enough, 1.0)), axis=0)
        return said

    def _siblings_rate(self, look: Look, at: Places) -> Reals:
        """Frames a nanosecond of their siblings on a wire."""
        heard = look.heard
        interval = heard.interval_ns.astype(np.float64)
        there = (self._ctx.streams.state[heard.streams] == StreamState.OPEN) & (interval > 0)
        rates = np.where(there, 1.0 / np.maximum(interval, 1.0), 0.0)
        of_symbol = np.bincount(look.symbols, weights=rates)
        return np.maximum(of_symbol[look.symbols[at]] - rates[at], 0.0)

    # Asking again

    def _accuse(self, look: Look, at: Places, kind: int, now: int, *, doubtless: bool = False) -> None:
        habits, columns = self.habits, self._ctx.streams
        again = habits.accused[look.heard.streams[at]] > 0
        if not doubtless:
            new = np.flatnonzero(~again)[: int(self._allowance[kind])]
            self._allowance[kind] -= len(new)
            at = np.sort(np.concatenate([at[again], at[new]]))
        streams = look.heard.streams[at]
        if not len(streams):
            return
        habits.exchange[streams] = look.heard.exchange_ns[at]
        habits.accused[streams] = UNPAID if doubtless else kind  # what was not paid is not given back
        habits.tries[streams] = np.minimum(habits.tries[streams], TRIES_AT_MOST) + 1
        self._ctx.stats.reasks += len(streams)
        moved = columns.apply(TopicEvent.OVERDUE, streams, now)
        self._ctx.notify(StatusKind.SUSPECT, moved.doubted, REASONS[kind])
        for link, part in list(self._lifecycle.homes(streams)):
            self._ask_again(link, part, now)

    def _ask_again(self, link: Link, streams: Int32Array, now: int) -> None:
        """Where requests replace, a further carrier is asked, and the frozen one is left once it brought data; else
        the streams are taken off the wire and put back."""
        self._ctx.warn("streams are silent and asked for again", link=link.id, streams=len(streams))
        if self._ctx.venue.model is Model.REPLACE and link.role is Role.SETTLED:
            self._moves.start(link, self._placement.nursery_beside(link), streams, now)
            return
        self._ctx.streams.apply(TopicEvent.FAILED_PROVEN, streams, now)
        self._ctx.streams.retries[streams] = 0
        self._planner.unwant(link, streams, now, urgent=True)
        self._planner.postpone(link, streams, now)
