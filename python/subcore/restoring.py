"""The public account of a restore: what was lost with a link, and when and on what evidence each of it came back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .engine.clock import SECOND
from .types import Evidence, Priority, StreamState, Topic

if TYPE_CHECKING:
    from .engine.restore import Restore
    from .intent import Intent

__all__ = ["RestoreReport", "RestoredClass", "RestoredStream", "make_report"]


@dataclass(frozen=True, slots=True)
class RestoredStream:
    """One stream. Seconds count from the loss; None = it was not asked for, or has not come back."""

    topic: Topic
    priority: Priority
    state: StreamState  # OPEN or REFUSED; RECOVERING while it is not back
    evidence: Evidence
    asked_seconds: float | None
    back_seconds: float | None


@dataclass(frozen=True, slots=True)
class RestoredClass:
    """All streams of one class."""

    priority: Priority
    lost: int
    asked: int
    proven: int
    refused: int
    last_seconds: float | None  # until the last of them was back


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """One restore. Streams that nobody wanted any more before they were back are left out.

    `str(report)` is a table for people. `done`: every stream is OPEN or REFUSED.
    """

    number: int
    reason: str
    started_ns: int  # since 1970 UTC
    done: bool
    classes: tuple[RestoredClass, ...]
    streams: tuple[RestoredStream, ...]

    @property
    def seconds(self) -> float | None:
        """From the loss until the last stream was back; None while one is not."""
        return max((s.back_seconds or 0.0 for s in self.streams), default=0.0) if self.done else None

    def __str__(self) -> str:
        lines = [f"restore {self.number} after {self.reason}" + ("" if self.done else " (under way)")]
        lines.append(f"{'class':<10}{'lost':>7}{'asked':>7}{'proven':>8}{'refused':>9}{'last back':>12}")
        for row in self.classes:
            last = "-" if row.last_seconds is None else f"{row.last_seconds:.3f} s"
            name = row.priority.name.lower()
            lines.append(f"{name:<10}{row.lost:>7}{row.asked:>7}{row.proven:>8}{row.refused:>9}{last:>12}")
        return "\n".join(lines)


def make_report(restore: Restore, intent: Intent, wall_offset: int) -> RestoreReport:
    """The account in words and topics. `wall_offset`: from the engine's clock to 1970. O(streams)."""
    wanted = np.flatnonzero((restore.ended == 0) | (restore.states != StreamState.CLOSED)).tolist()
    columns = intent.columns(restore.streams[wanted])
    streams = []
    for place, row in enumerate(wanted):
        ended = int(restore.ended[row])
        channel = intent.venue.channels[int(columns.channels[place])]
        shared = len(intent.venue.channel_indexes(channel.name)) > 1  # each depth is a stream of its own
        depth = channel.depths[0] if shared and channel.depths else None
        topic = Topic(channel.name, columns.symbols[place], depth, float(columns.groupings[place]) or None)
        streams.append(
            RestoredStream(
                topic,
                Priority(max(0, int(restore.classes[row]))),
                StreamState(int(restore.states[row])) if ended else StreamState.RECOVERING,
                Evidence(int(restore.evidence[row])),
                _since(int(restore.asked[row]), restore.began),
                _since(ended, restore.began),
            )
        )
    return RestoreReport(
        restore.number,
        restore.reason,
        restore.began + wall_offset,
        restore.pending == 0,
        tuple(_of_class(priority, streams) for priority in sorted(Priority, reverse=True)),
        tuple(streams),
    )


def _since(when: int, began: int) -> float | None:
    return (when - began) / SECOND if when else None


def _of_class(priority: Priority, streams: list[RestoredStream]) -> RestoredClass:
    mine = [stream for stream in streams if stream.priority is priority]
    back = [s.back_seconds for s in mine if s.back_seconds is not None]
    return RestoredClass(
        priority,
        len(mine),
        sum(s.asked_seconds is not None for s in mine),
        sum(s.state is StreamState.OPEN for s in mine),
        sum(s.state is StreamState.REFUSED for s in mine),
        max(back) if mine and len(back) == len(mine) else None,
    )
