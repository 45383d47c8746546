"""Asks the venue what is newest of streams that are silent, beside their links: what a frozen stream lacks, it tells.

A silence says little, and what siblings do says something; an event of the stream that is newer than the last one it
brought is certain. So a stream that has been silent for its limit, less the time that asking takes, is asked about, and
so are the busiest streams of a link that fell silent as a whole. Nothing newer: the market rests. Newer: its frame may
be under way, so a while is waited, until something that the link brought since (a frame, or the answer to a ping) shows
that all sent before has come. All that are due go into one question; there is at most one a second.

Who carries the question out may fail at it or be slow: then nothing is known, and the other witnesses judge alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from subcore.engine.actions import AskLatest
from subcore.engine.clock import SECOND
from subcore.engine.context import NO_STREAMS, Context
from subcore.engine.events import LatestKnown
from subcore.engine.habits import MEDIANS, Habits, Look, Places
from subcore.engine.link import Link, Role
from subcore.engine.links import Lifecycle
from subcore.types import Int32Array, StreamState

__all__ = ["Asking"]

Flags = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.float64]

LEAD = 4 * SECOND  # what a question and the wait for a late frame take, before the limit
EARLY = (
    0.5  # of the limit by the median: markets change faster than it is learned, and a question costs little
)
LATEST = 300 * SECOND  # the first question about a silence comes by then, however seldom the stream spoke
LINK_LEAD = 3 * SECOND
LATE = 2 * SECOND  # so long a frame may be under way, at least, once the venue told of it
LINK_LATE = 3 * SECOND // 2
MARGIN = SECOND // 4  # of venue time: what is newer by less is not counted as newer
STALE = 2 * SECOND  # an answer that is older than what the stream brought, by more than this, is none
LOOKS_TO_KNOW = 20  # at which a stream had spoken, before its median is believed
GAPS_TO_KNOW = 8  # the same for a link
UNKNOWN = 60 * SECOND  # limit of a stream whose median is not known
LINK_UNKNOWN = 10 * SECOND
SELDOM = 0.01  # of a silence, between two questions about it, where that is longer than the limit
SELDOM_MOST = 600 * SECOND
SAMPLE = 50  # streams of a silent link that are asked about
PATIENCE_MOST = 10  # times the patience with a stream, or a link, doubles
ANSWER = 3 * SECOND  # a question without answer for so long gets none


class _Newer(NamedTuple):
    """The venue has something of a stream that did not come."""

    serial: int
    told: int  # exchange time of it
    at: int  # runnable time of the answer


class Asking:
    """Which streams to ask about and when, and what the answers show. Costs array work over the streams of a look."""

    def __init__(self, ctx: Context, lifecycle: Lifecycle, habits: Habits) -> None:
        self._ctx = ctx
        self._lifecycle = lifecycle
        self._habits = habits
        self._newer: dict[int, _Newer] = {}
        self._asked_at: int | None = None
        self._mute_since: int | None = None  # runnable time of the first question since the last answer

    @property
    def is_on(self) -> bool:
        """Whether there is anybody to ask."""
        return self._ctx.can_ask is not None

    # Streams

    def look(self, look: Look, now: int) -> Places:
        """Note who is due; places in the look of those that are frozen for certain."""
        if not self.is_on:
            return np.empty(0, np.intp)
        habits, rows, runnable = self._habits, look.rows, self._ctx.clock.runnable
        habits.due[rows] &= ~look.news  # those of a silent link
        lead = LEAD + (habits.turns + 1) * self._ctx.settings.tick
        silence = habits.silence(rows, now)
        late = np.flatnonzero(
            silence >= self._ctx.settings.frozen - lead
        )  # most are not: only those cost more
        rows, silence = rows[late], silence[late]
        limit, asked = self._limits(rows), habits.asked[rows]
        between = np.maximum(limit - lead, np.minimum(SELDOM * silence, SELDOM_MOST))
        mute = asked > habits.answered[rows]  # what was not answered is asked again sooner
        between = np.where(mute, np.minimum(between, ANSWER + SELDOM * silence), between)
        due = (silence >= limit - lead) & (runnable - asked >= between)
        rows = rows[due & ~habits.mute[rows] & (habits.latest[rows] > 0)]
        if len(rows):
            habits.due[rows] |= self._in_force(rows.astype(np.int32))
        return self._frozen(look)

    def _limits(self, rows: Places) -> Reals:
        habits = self._habits
        limit = np.minimum(
            np.maximum(EARLY * MEDIANS * habits.median[rows], self._ctx.settings.frozen), LATEST
        )
        limit = np.where(habits.learned[rows] >= LOOKS_TO_KNOW, limit, UNKNOWN)
        patience: Reals = limit * np.exp2(np.minimum(habits.tries[rows], PATIENCE_MOST))
        return patience

    def _in_force(self, ids: Int32Array) -> Flags:
        """Proven, carried once, by a link that is up and stays."""
        columns = self._ctx.streams
        fit: Flags = (columns.state[ids] == StreamState.OPEN) & ~columns.legs.has_other(ids)
        homes = columns.legs.home(ids)
        for home in set(homes[fit].tolist()):
            link = self._lifecycle.links[home]
            if not link.is_up or link.role is Role.RETIRED:
                fit &= homes != home
        return fit

    def _frozen(self, look: Look) -> Places:
        """Of those the venue has newer data of: the ones whose frame is late beyond doubt."""
        found = []
        for stream, newer in list(self._newer.items()):
            if self._has_come(stream, newer):
                del self._newer[stream]
                continue
            place = int(np.searchsorted(look.rows, stream))
            if place == len(look.rows) or look.rows[place] != stream:
                continue  # another turn
            one = np.array([stream], np.int32)
            if not self._in_force(one)[0]:
                del self._newer[stream]
            elif self._is_late(stream, newer, LATE) and not self._late_on(self._home(stream)):
                del self._newer[stream]
                found.append(place)
        return np.array(sorted(found), np.intp)

    def _has_come(self, stream: int, newer: _Newer) -> bool:
        habits = self._habits
        another = not habits.watched[stream] or habits.serial[stream] != newer.serial
        return bool(another or habits.latest[stream] >= newer.told - MARGIN)

    def _is_late(self, stream: int, newer: _Newer, wait: int) -> bool:
        since = self._ctx.clock.runnable - newer.at
        return since >= wait and self._home(stream).life.idle_since > newer.at

    def _home(self, stream: int) -> Link:
        return self._lifecycle.links[int(self._ctx.streams.legs.home(np.array([stream], np.int32))[0])]

    def settled(self, rows: Places) -> Flags:
        """Those that need no other witness: what was asked last about them is answered, or may be yet."""
        habits = self._habits
        asked, answered = habits.asked[rows], habits.answered[rows]
        runnable = self._ctx.clock.runnable
        waits = (runnable - asked < ANSWER) & (answered != -asked)
        if self._mute_since is not None and runnable - self._mute_since >= ANSWER:
            waits[:] = False  # nobody answers at present
        held: Flags = (asked > 0) & ((answered >= asked) | waits)
        return held

    # Links

    def judge(self, link: Link, now: int) -> str | None:
        """Why a link that is silent as a whole is dead although its pongs come; else see that it is asked about."""
        if link.told:
            self._learn_of_restart(link)
        silent = self._ctx.clock.runnable - link.life.spoke_at
        limit = self._limit_of(link)
        if not self.is_on or not link.life.frames or silent < limit - LINK_LEAD:
            link.asked = None
            link.sample = NO_STREAMS
            return None
        if late := self._late_on(link):
            link.told = {stream: (self._newer[stream].serial, self._newer[stream].told) for stream in late}
            link.doubts += 1
            return (
                f"no frame for {silent / SECOND:.1f} s, while pings are answered and the venue has newer data"
            )
        between = min(max(SECOND, silent - limit), limit)
        if link.asked is None or self._ctx.clock.runnable - link.asked >= between:
            link.asked, link.sample = self._ctx.clock.runnable, self._busiest(link.wire.wire())
            self._habits.due[link.sample] = True
        elif np.any(self._habits.answered[link.sample] >= link.asked):
            link.rests_until = link.asked + between + ANSWER
        return None

    def _learn_of_restart(self, link: Link) -> None:
        """Whether the last one brought what the venue had told of."""
        habits = self._habits
        for stream, (serial, told) in link.told.items():
            same = habits.watched[stream] and habits.serial[stream] == serial
            if same and habits.latest[stream] >= told - MARGIN:
                link.told, link.doubts = {}, 0
                return

    def _late_on(self, link: Link) -> list[int]:
        """Nothing of it came since the venue told of newer data, of these two of its streams or more, or of its only
        one: it is dead. Else none."""
        since = [stream for stream, newer in self._newer.items() if newer.at > link.life.spoke_at]
        if not since:
            return []
        on_link = link.wire.wire()
        late = [
            stream
            for stream in np.intersect1d(since, on_link).tolist()
            if not self._has_come(stream, self._newer[stream])
            and self._is_late(stream, self._newer[stream], LINK_LATE)
        ]
        return late if 0 < min(2, len(on_link)) <= len(late) else []

    def _limit_of(self, link: Link) -> int:
        """Doubled by each restart that did not bring what the venue had told of: its word may be wrong."""
        limit = LINK_UNKNOWN
        if link.habit.gaps >= GAPS_TO_KNOW:
            limit = max(self._ctx.settings.silent_link, int(MEDIANS * link.habit.median))
        return limit << min(link.doubts, PATIENCE_MOST)

    def _busiest(self, streams: Int32Array) -> Int32Array:
        habits = self._habits
        streams = streams[streams < len(habits.watched)]
        known = habits.watched[streams] & ~habits.mute[streams] & (habits.latest[streams] > 0)
        streams = streams[known]
        streams = streams[self._in_force(streams)]
        median = np.where(habits.median[streams] > 0, habits.median[streams], np.inf)
        busiest: Int32Array = streams[np.argsort(median, kind="stable")[:SAMPLE]]
        return busiest

    # Questions and answers

    def ask(self, now: int) -> None:
        """Put what is due into one question, if the last one is long enough ago."""
        ctx, habits = self._ctx, self._habits
        if ctx.can_ask is None or (
            self._asked_at is not None and now - self._asked_at < ctx.settings.ask_gap
        ):
            return
        due = np.flatnonzero(habits.due & habits.watched)
        if not len(due):
            return
        due = due[np.argsort(habits.asked[due], kind="stable")[: ctx.settings.ask_most]]
        streams = np.sort(due).astype(np.int32)
        habits.due[streams] = False
        can = ctx.can_ask(ctx.table.columns(streams))
        habits.mute[streams[~can]] = True
        streams = streams[can]
        if len(streams):
            self._asked_at = now
            habits.asked[streams] = max(1, ctx.clock.runnable)
            if self._mute_since is None:
                self._mute_since = ctx.clock.runnable
            ctx.stats.questions += 1
            ctx.out.append(AskLatest(streams, habits.serial[streams]))

    def answered(self, event: LatestKnown, now: int) -> None:
        """What is newest of some streams. An id that is another stream's by now says nothing."""
        habits, runnable = self._habits, self._ctx.clock.runnable
        self._mute_since = None
        fit = event.streams < len(habits.watched)
        streams, told = event.streams[fit], event.newest_ns[fit]
        same = habits.watched[streams] & (habits.serial[streams] == event.serials[fit])
        streams, told = streams[same], told[same]
        fresh = (told > 0) & (told >= habits.latest[streams] - STALE)  # else the page lags, or is a kept one
        self._ctx.stats.late_events += len(event.streams) - int(np.count_nonzero(told > 0))
        habits.answered[streams] = np.where(fresh, max(1, runnable), -habits.asked[streams])
        streams, told = streams[fresh], told[fresh]
        newer = told - MARGIN > habits.latest[streams]
        for stream in streams[~newer].tolist():
            self._newer.pop(stream, None)
        for stream, when in zip(streams[newer].tolist(), told[newer].tolist(), strict=True):
            self._newer.setdefault(stream, _Newer(int(habits.serial[stream]), when, runnable))

    def forget(self, streams: Int32Array) -> None:
        """Nobody wants these any more, or they are other ones."""
        for stream in self._newer.keys() & set(streams.tolist()) if self._newer else ():
            del self._newer[stream]
