"""How often each wanted stream speaks, learned in columns on three clocks: its own median, each sibling, all others.

Streams are looked at in turns of whole symbols, so that a tick stays short however many there are. What is counted is
*looks at which a stream had spoken*, not frames: an order that makes forty trades is one sign of life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import numpy.typing as npt

from subcore import _states
from subcore._siblings import circles
from subcore.engine.clock import SECOND
from subcore.engine.context import NO_STREAMS, Context
from subcore.engine.events import Changed, StreamsHeard
from subcore.types import Int32Array, StreamState

__all__ = ["MEDIANS", "Habits", "Look", "Places"]

Places = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

MEDIANS = 20.0  # of a stream's gaps, that its silence must last
MEDIAN_STEP, MEDIAN_STEP_FIRST = 0.03, 0.2  # of the running median's logarithm, a gap
WORST_MEMORY = 24 * 3600.0 * SECOND
LOOK_AT_MOST = 3200  # streams a tick, about; more than that are looked at in turns
TURNS_AT_MOST = 16
PARTNERS = 3  # siblings whose frames are counted each by itself
READ_AT_MOST = 2048  # symbols that are read a tick

_COLUMNS: dict[str, tuple[type[np.generic], int]] = {
    "watched": (np.bool_, 0),
    "group": (np.uint32, 0),  # a hash of its symbol
    "serial": (np.int64, -1),  # no other stream has or had it, while ids are given again
    "frames": (np.int64, -1),  # at the last look, -1 = not looked at yet
    "snapshots": (np.int64, 0),
    "received": (np.int64, 0),
    "spoke": (np.int64, 0),  # runnable time before which it did not speak last
    "wire": (np.float64, 0),  # all that had spoken, a look at a time, when it spoke last
    "median": (np.float64, 0),  # of its gaps; what came within a look is one
    "worst_gap": (np.float64, 0),  # its longest silence of the last day, in its medians of then
    "worst_wire": (np.float64, 0),  # the same, in what others spoke
    "sum_gap": (np.float64, 0),  # of all such silences, for their mean
    "learned": (np.int32, 0),  # looks at which it had spoken
    "tries": (np.uint8, 0),  # re-asks since it spoke last
    "accused": (np.uint8, 0),  # by which witness, until news shows whether rightly
    "accused_at": (np.int64, 0),  # and when (monotonic)
    "exchange": (np.int64, 0),  # time of its last event when it was accused
    "latest": (np.int64, 0),  # time of its last event at the last look
    "asked": (np.int64, 0),  # runnable time when the venue was last asked what is newest of it, 0 = never
    "answered": (np.int64, 0),  # and of its last answer, or minus `asked` if that was too old to say anything
    "due": (np.bool_, 0),  # to be asked about
    "mute": (np.bool_, 0),  # the venue cannot be asked about it
    "owed": (np.bool_, 0),  # a request stated it anew, and it brought nothing since
}


@dataclass(slots=True, eq=False)
class _Turn:
    """Streams that are looked at together: all streams of some symbols."""

    dirty: bool = True
    looked: int = 0  # runnable time
    streams: Int32Array = field(default_factory=lambda: NO_STREAMS)
    rows: Places = field(default_factory=lambda: np.empty(0, np.intp))  # the same
    symbols: Places | None = None  # of each stream, numbered from 0
    partners: Places = field(default_factory=lambda: np.empty((PARTNERS, 0), np.intp))

    @property
    def nbytes(self) -> int:
        symbols = 0 if self.symbols is None else self.symbols.nbytes
        return self.streams.nbytes + self.rows.nbytes + symbols + self.partners.nbytes


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One look at the streams of a turn."""

    heard: StreamsHeard
    rows: Places  # its streams
    symbols: Places
    partners: Places  # a row for each rank: the sibling's place, one beyond all where there is none
    cycle: int  # runnable time since the last look at these
    before: int  # runnable time of that
    spoke: Reals  # live frames since then
    news: Flags  # frames of any kind came


class Sibling:
    """For each stream one sibling, the same rank after it in a circle: looks at which that had spoken since the stream
    spoke last, the most there ever were in the last day, their sum, and how many such gaps were seen.

    Some are better witnesses than others: each trade moves the ticker, but a book may change for hours without one.
    """

    def __init__(self, capacity: int) -> None:
        self.who = np.full(capacity, -1)
        self.came = np.zeros(capacity, np.float32)
        self.worst = np.zeros(capacity, np.float32)
        self.sum = np.zeros(capacity, np.float32)
        self.gaps = np.zeros(capacity, np.float32)

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        return sum(column.nbytes for column in (self.who, self.came, self.worst, self.sum, self.gaps))

    def grow(self, capacity: int) -> None:
        """Room for so many streams."""
        for name in ("who", "came", "worst", "sum", "gaps"):
            value = getattr(self, name)
            grown = np.full(capacity, -1 if name == "who" else 0, value.dtype)
            grown[: len(value)] = value
            setattr(self, name, grown)

    def meet(self, ids: Places, who: Whole) -> None:
        """These are the siblings of these from now on; a habit holds for one sibling only."""
        self.forget(ids[self.who[ids] != who])
        self.who[ids] = who

    def forget(self, ids: Places | Int32Array) -> None:
        """Nothing is known of these."""
        _states.clear(ids, self.came, self.worst, self.sum, self.gaps)

    def learn(self, ids: Places, kept: Reals) -> None:
        """These spoke."""
        gap = self.came.take(ids)
        self.worst[ids] = np.maximum(self.worst.take(ids) * kept, gap)
        self.sum[ids] = self.sum.take(ids) + gap
        self.gaps[ids] = self.gaps.take(ids) + 1.0


class Habits:
    """A row for each stream id. A look costs array work over its streams, at most about 3,200 of 50,000."""

    watched: Flags
    group: npt.NDArray[np.uint32]
    serial: Whole
    frames: Whole
    snapshots: Whole
    received: Whole
    spoke: Whole
    wire: Reals
    median: Reals
    worst_gap: Reals
    worst_wire: Reals
    sum_gap: Reals
    learned: Int32Array
    tries: npt.NDArray[np.uint8]
    accused: npt.NDArray[np.uint8]
    accused_at: Whole
    exchange: Whole
    latest: Whole
    asked: Whole
    answered: Whole
    due: Flags
    mute: Flags
    owed: Flags

    def __init__(self, ctx: Context, capacity: int = 64) -> None:
        self._ctx = ctx
        self._count = 0
        self._serials = 0
        self._unread: list[Int32Array] = []  # their symbols are not known yet
        self._turns = [_Turn()]
        self._next = 0
        self._looked: int | None = None
        self.all_spoke = 0.0
        for name, (kind, fill) in _COLUMNS.items():
            setattr(self, name, np.full(capacity, fill, kind))
        self.siblings = [Sibling(capacity) for _ in range(PARTNERS)]

    @property
    def turns(self) -> int:
        """So many ticks until all were looked at."""
        return len(self._turns)

    # Who is watched

    def changed(self, events: Sequence[Changed]) -> None:
        """Watch what is wanted after these. O(what changed); symbols are read at the next tick, who is wanted then."""
        opened = np.unique(np.concatenate([event.opened for event in events]))
        touched = np.concatenate([opened, *(event.closed for event in events)])
        resized = np.concatenate([event.changed for event in events])
        self._grow(np.concatenate([touched, resized]))
        self.mute[resized] = False  # another width may be one that can be asked about
        known = np.unique(touched[self.watched[touched]])
        self._soil(known)
        self._count -= len(known)
        self.watched[known] = False
        _states.clear(opened, *(getattr(self, name) for name, (_, fill) in _COLUMNS.items() if fill == 0))
        self.frames[opened] = _COLUMNS["frames"][1]
        for sibling in self.siblings:
            sibling.forget(opened)
        self.serial[opened] = self._serials + np.arange(len(opened))
        self._serials += len(opened)
        self._unread.append(opened)

    def _soil(self, streams: Int32Array) -> None:
        for turn in np.unique(self.group[streams] & np.uint32(len(self._turns) - 1)).tolist():
            self._turns[turn].dirty = True

    def _grow(self, streams: Int32Array) -> None:
        need, have = int(streams.max(initial=-1)) + 1, len(self.watched)
        if need <= have:
            return
        for name, (kind, fill) in _COLUMNS.items():
            grown = np.full(max(need, 2 * have), fill, kind)
            grown[:have] = getattr(self, name)
            setattr(self, name, grown)
        for sibling in self.siblings:
            sibling.grow(len(self.watched))

    def _read_symbols(self) -> None:
        room, state = READ_AT_MOST, self._ctx.streams.state
        while self._unread and room > 0:
            streams = self._unread.pop()
            streams, later = streams[:room], streams[room:]
            if len(later):
                self._unread.append(later)
            room -= len(streams)
            streams = streams[streams < len(state)]
            streams = streams[(state[streams] != StreamState.CLOSED) & ~self.watched[streams]]
            symbols = self._ctx.table.columns(streams).symbols
            self.group[streams] = np.array([crc32(symbol.encode()) for symbol in symbols], np.uint32)
            self.watched[streams] = True
            self._count += len(streams)
            self._soil(streams)
        self._take_turns()

    def _take_turns(self) -> None:
        turns = 1
        while turns < TURNS_AT_MOST and self._count > turns * LOOK_AT_MOST:
            turns *= 2
        if turns != len(self._turns):
            self._turns = [_Turn(looked=self._ctx.clock.runnable) for _ in range(turns)]

    # Looking

    def to_look_at(self, now: int) -> Int32Array:
        """The streams whose turn it is, for a StreamsHeard; none between two ticks."""
        if self._looked is not None and now - self._looked < self._ctx.settings.tick:
            return NO_STREAMS
        self._read_symbols()
        turn = self._turns[self._next % len(self._turns)]
        if turn.dirty:
            group = self.group & np.uint32(len(self._turns) - 1)
            mine = self.watched & (group == self._next % len(self._turns))
            turn.rows = np.flatnonzero(mine)
            turn.streams = turn.rows.astype(np.int32)
            turn.symbols, turn.partners = circles(self.group[turn.streams], PARTNERS)
            serials = np.append(self.serial[turn.rows], -1)
            for sibling, places in zip(self.siblings, turn.partners, strict=True):
                sibling.meet(turn.rows, serials[places])
            turn.dirty = False
        return turn.streams

    def look(self, heard: StreamsHeard, now: int) -> Look | None:
        """What came since the last look; None if it is not about the streams whose turn it is."""
        turn = self._turns[self._next % len(self._turns)]
        if turn.dirty or turn.symbols is None or not np.array_equal(heard.streams, turn.streams):
            return None
        ids = turn.rows
        self._looked = now
        self._next = (self._next + 1) % len(self._turns)
        before, turn.looked = turn.looked, self._ctx.clock.runnable
        spoke = (heard.frames - heard.snapshots - (self.frames[ids] - self.snapshots[ids])).astype(np.float64)
        spoke[self.frames[ids] < 0] = 0
        talked = np.append(spoke > 0, False).astype(np.float32)
        self.all_spoke += float(talked.sum())
        for sibling, places in zip(self.siblings, turn.partners, strict=True):
            sibling.came[ids] = sibling.came.take(ids) + talked.take(places)
        news = heard.frames != self.frames[ids]
        return Look(heard, ids, turn.symbols, turn.partners, turn.looked - before, before, spoke, news)

    def silence(self, ids: Places, until: int) -> Whole:
        """Since their last frame: real time, or runnable time where that is shorter. A stall accuses nobody."""
        shorter: Whole = np.minimum(until - self.received[ids], self._ctx.clock.runnable - self.spoke[ids])
        return shorter

    def learn(self, look: Look) -> None:
        """How long those who spoke were silent before, on each clock; they begin anew.

        A snapshot says nothing about a habit. Where several frames came, the first ended the silence, but perhaps a
        look ago.
        """
        heard = look.heard
        talking = np.flatnonzero(look.news)
        ids = look.rows[talking]
        clean = (look.spoke[talking] > 0) & (heard.snapshots[talking] == self.snapshots[ids])
        clean &= self.received[ids] > 0
        at = talking[clean]
        self._learn_gaps(look, at)
        self.frames[ids], self.snapshots[ids] = heard.frames[talking], heard.snapshots[talking]
        self.received[ids] = heard.received_ns[talking]
        self.latest[ids] = heard.exchange_ns[talking]
        self.spoke[ids], self.wire[ids] = look.before, self.all_spoke
        self.owed[ids] = False
        for sibling in self.siblings:
            sibling.came[ids] = 0.0

    def _learn_gaps(self, look: Look, at: Places) -> None:
        ids, many = look.rows[at], look.spoke[at]
        whole = np.minimum(
            look.heard.received_ns[at] - self.received[ids], self._ctx.clock.runnable - self.spoke[ids]
        )
        kept = np.clip(1.0 - whole / WORST_MEMORY, 0.0, 1.0)
        gap = np.maximum(whole - look.cycle, whole / many)
        self._learn_median(ids, np.maximum(whole, float(look.cycle)))
        medians = gap / self.median[ids]
        self.worst_gap[ids] = np.maximum(self.worst_gap[ids] * kept, medians)
        self.sum_gap[ids] += medians
        self.worst_wire[ids] = np.maximum(self.worst_wire[ids] * kept, self.all_spoke - self.wire[ids])
        for sibling in self.siblings:
            sibling.learn(ids, kept)
        self.learned[ids] += 1
        self.tries[ids] = 0

    def _learn_median(self, ids: Places, gap: Reals) -> None:
        old = self.median[ids]
        step = np.where(self.learned[ids] < 64, MEDIAN_STEP_FIRST, MEDIAN_STEP)
        new = old * np.exp(step * np.sign(gap - old))
        self.median[ids] = np.maximum(np.where(old > 0, new, gap), float(self._ctx.settings.tick))

    def medians_silent(self, ids: Places, silence: Reals) -> Reals:
        """A silence in the streams' own medians."""
        count: Reals = silence / np.maximum(self.median[ids], 1.0)
        return count

    def forgive(self, ids: Places, until: Whole) -> None:
        """These were silent for nothing worse than habit: it was as long as this."""
        gap = np.minimum(until - self.received[ids], self._ctx.clock.runnable - self.spoke[ids])
        self.worst_gap[ids] = np.maximum(
            self.worst_gap[ids], self.medians_silent(ids, gap.astype(np.float64))
        )
        for sibling in self.siblings:
            sibling.worst[ids] = np.maximum(sibling.worst[ids], sibling.came[ids])
        self.worst_wire[ids] = np.maximum(self.worst_wire[ids], self.all_spoke - self.wire[ids])

    @property
    def nbytes(self) -> int:
        """Bytes of the columns, those of siblings and of turns too. O(1), as good as."""
        columns = sum(int(getattr(self, name).nbytes) for name in _COLUMNS)
        return columns + sum(s.nbytes for s in self.siblings) + sum(turn.nbytes for turn in self._turns)
