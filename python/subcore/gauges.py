"""Reads, about once a second, the figures that alerts are judged by. Nothing is decided here.

Columns and totals are read, never the records of all components: of components, only those are looked at that lost
something, or that something waits for since too long. What costs more is read each fifth time.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .component_gauges import Ages, Losses, owed
from .engine.alerts import AlertRules, Reading
from .engine.clock import SECOND, RunnableClock
from .engine.tally import Tally
from .figures import Delays
from .growth import MIB, Growth, memory_limit
from .memory import resident_bytes
from .recent import Recent
from .stream_gauges import StreamGauges

if TYPE_CHECKING:
    from .hub import Hub
    from .types import Int32Array

__all__ = ["Gauges"]

SLOWLY = 5  # what costs more is read each so many looks
LOOK_NS = SECOND
RESTORES_NS = 600 * SECOND
DELAYS_NS = 15 * SECOND  # a channel's latency is that of the last one to two of these
FRAMES_TO_TELL = 20
SKEWED_SHARE = 0.5  # of live frames, beyond which it is no matter of single streams
BLOCKER_NS = 60 * SECOND

Readings = dict[str, list[Reading]]


class Gauges:
    """Belongs to the loop's thread. `process_clock` is that of the process and the disk, which live in real time
    whatever the manager's clock is; tests put another in its place, and in that of `growth.resident`."""

    def __init__(self, hub: Hub, rules: AlertRules) -> None:
        self._hub = hub
        self._rules = rules
        self._looks = 0
        self._clock, self._disk_clock = RunnableClock(LOOK_NS), RunnableClock(LOOK_NS)
        self.process_clock: Callable[[], int] = time.monotonic_ns
        self._losses = Losses(hub, rules.loss)
        self._ages = Ages(hub, rules.queue_age)
        self._restores, self._links_lost = Tally(RESTORES_NS), 0
        self._delays: dict[int, Recent] = {}
        self._delays_turned = 0
        self._flows = deque([(0, 0)], maxlen=3)  # live frames, and those of them that came before their time
        self._streams = StreamGauges(hub, 0.0 if rules.suspect is None else rules.suspect.below)
        self._saved: tuple[int, int] | None = None  # how often the snapshot was found written, and since when
        self.growth = Growth(resident_bytes, memory_limit())

    def left(self, component: int) -> None:
        """A component is no more, and its id another's soon."""
        self._losses.left(component)

    def unwanted(self, streams: Int32Array) -> None:
        """Nobody wants these any more, and their ids may be others' soon."""
        self._streams.unwanted(streams)

    @property
    def more(self) -> dict[str, int]:
        """By rule, how many subjects more are over its threshold than the last look has readings of."""
        return {"loss": self._losses.more, "queue_age": self._ages.more}

    def look(self, now: int, lag_ns: int) -> Readings:
        """What there is to judge at `now` (monotonic nanoseconds); `lag_ns`: the worst of the loop since the last."""
        rules, run = self._rules, self._clock.read(now)
        readings: Readings = {}
        slowly = self._looks % SLOWLY == 0
        self._looks += 1
        owing = owed(self._hub)
        if rules.loss is not None:
            readings["loss"] = self._losses.look(owing, now, slowly)
        if rules.queue_age is not None:
            readings["queue_age"] = self._ages.look(owing, now)
        if rules.loop_lag is not None:
            readings["loop_lag"] = [self._loop_lag(lag_ns)]
        if rules.suspect is not None:
            readings["suspect"] = self._streams.look(now, run)
        if rules.restores is not None:
            readings["restores"] = [self._restored(now)]
        if rules.snapshot_stale is not None:
            readings["snapshot_stale"] = self._snapshot()
        if slowly:
            self._look_slowly(now, readings)
        return readings

    def _look_slowly(self, now: int, readings: Readings) -> None:
        rules = self._rules
        if rules.latency is not None or rules.clock_skew is not None:
            readings["latency"] = self._latencies(now)
            readings["clock_skew"] = [self._skew()]
        if rules.budget is not None:
            readings["budget"] = self._budgets(now)
        if rules.memory_growth is not None:
            readings["memory_growth"] = [self._memory()]

    def _of_process(self, value: float, evidence: str) -> Reading:
        return Reading("", "process", self._hub.venue.name, value, evidence)

    # -- the process --

    def _loop_lag(self, lag_ns: int) -> Reading:
        said = f"The event loop ran a timer {lag_ns / SECOND:.3f} s late{self._blocker()}."
        return self._of_process(lag_ns / SECOND, said)

    def _blocker(self) -> str:
        """Who held the loop of late, as far as it was seen."""
        found = self._hub.obligations.blockers
        if not found or self._hub.clock.time_ns() - found[-1].time_ns > BLOCKER_NS:
            return ""
        last = found[-1]
        return f"; {last.handler} of component {last.component!r} held it for {last.seconds:.1f} s"

    def _memory(self) -> Reading:
        growth = self.growth
        now = self.process_clock()
        value = growth.look(now)
        limit = "" if growth.limit is None else f" of {growth.limit / MIB:,.0f}"
        said = f"The process has {growth.bytes / MIB:,.0f}{limit} MiB, and grows by {value:,.0f} MiB an hour."
        trend = growth.trend(now) if value else None
        return self._of_process(value, said)._replace(trend=trend, limit=growth.limit or math.inf)

    def _snapshot(self) -> list[Reading]:
        kept = self._hub.saving.unwritten()
        if kept is None:
            return []
        is_behind, saved, path = kept
        run = self._disk_clock.read(self.process_clock())
        if self._saved is None or not is_behind or saved != self._saved[0]:
            self._saved = saved, run
        seconds = (run - self._saved[1]) / SECOND
        stats = self._hub.saving.stats()
        error = "" if stats is None or stats.last_error is None else f": {stats.last_error}"
        return [self._of_process(seconds, f"What is wanted is not in {path} for {seconds:.0f} s{error}.")]

    # -- links and channels --

    def _restored(self, now: int) -> Reading:
        lost, self._links_lost = self._links_lost, self._hub.engine.stats.losses
        if self._links_lost != lost:
            self._restores.add(now, _ZERO, np.array([self._links_lost - lost]))
        counts = self._restores.counts(now)[1]
        count = int(counts[0]) if len(counts) else 0
        said = f"{count} open links ended unasked in the last ten minutes"
        last = self._hub.restores[-1].reason if count and self._hub.restores else ""
        return self._of_process(count, f"{said}; the last restore was after {last}." if last else f"{said}.")

    def _budgets(self, now: int) -> list[Reading]:
        """Of each window: a burst fills a short one, and says nothing of a long one."""
        found: dict[str, Reading] = {}
        for number, link in list(self._hub.engine.links.items()):
            for use in link.pacer.usage(now) if link.is_up else ():
                kind, name = ("link", str(number)) if use.scope == "link" else ("process", use.scope)
                what = f"{use.amount} ({'/'.join(use.counts)}) in {use.seconds:g} s, for each {use.scope}"
                said = f"{use.used} are used of {what}."
                found[f"{name} {what}"] = Reading(f"{name} {what}", kind, name, use.used / use.amount, said)
        return list(found.values())

    def _latencies(self, now: int) -> list[Reading]:
        """Of channels that brought enough; counts the frames for `_skew` as well."""
        hub, found = self._hub, []
        turns = now - self._delays_turned >= DELAYS_NS
        live = skewed = 0
        for index, channel in enumerate(hub.venue.channels):
            flow = hub.meter.channel(index)
            if not flow.frames:
                continue
            live, skewed = live + flow.frames - flow.snapshots, skewed + flow.skewed
            recent = self._delays.setdefault(index, Recent())
            delays = recent.figures(flow.delays)
            if delays.count >= FRAMES_TO_TELL:
                found.append(_latency(index, channel.name, delays))
            if turns:
                recent.turn(flow.delays)
        self._delays_turned = now if turns else self._delays_turned
        self._flows.append((live, skewed))
        return found

    def _skew(self) -> Reading:
        (live_before, skewed_before), (live, skewed) = self._flows[0], self._flows[-1]
        frames, early = live - live_before, skewed - skewed_before
        value = 0.0
        if frames and early > SKEWED_SHARE * frames:
            value = self._median_skew()
        said = f"{early} of the last {frames} frames came before the time they bear, half of them by {value:.3f} s."
        return self._of_process(value, said)

    def _median_skew(self) -> float:
        rows = self._hub.meter.streams()
        since = self._hub.clock.time_ns() - 3 * SLOWLY * LOOK_NS
        heard = rows["last_delay_ns"][rows["last_receive_ns"] >= since]
        return max(0.0, -float(np.median(heard)) / SECOND) if len(heard) else 0.0


_ZERO: npt.NDArray[np.int64] = np.zeros(1, np.int64)


def _latency(index: int, channel: str, delays: Delays) -> Reading:
    p50, p99 = (delays.p50_ns or 0) / SECOND, (delays.p99_ns or 0) / SECOND
    said = (
        f"Of {delays.count} frames 1 % came over {p99:.3f} s after the exchange's time, half over {p50:.3f}."
    )
    return Reading(str(index), "channel", channel, p99, said)
