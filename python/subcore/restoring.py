"""The public account of a restore: what was lost with a link, and when and on what evidence each of it came back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .engine.clock import SECOND
from .types import Evidence, Int32Array, Int64Array, Priority, StreamColumns, StreamState, Topic

if TYPE_CHECKING:
    from .engine.conflicts import Conflict
    from .engine.restored import Restore
    from .intent import Intent

__all__ = ["RestoreReport", "RestoredClass", "RestoredStream", "joined", "make_report"]


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


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """A row for each stream still wanted, copied: names may mean something else later. Times: 0 = not yet."""

    topics: StreamColumns
    depths: Sequence[int | None]  # of each channel: set where each depth is a stream of its own
    channels: Sequence[str]
    began: int
    classes: Int32Array
    asked: Int64Array
    ended: Int64Array
    states: npt.NDArray[np.uint8]  # RECOVERING while it is not back
    evidence: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class RestoreReport:
    """One restore. Streams that nobody wanted any more by its end are left out, those that had been back as well.

    `str(report)` is a table for people. `done`: every stream is OPEN or REFUSED. `streams` is made when first asked
    for, in O(streams); what it says was true when the report was made. `rejected`: interests of a snapshot that the
    venue cannot serve beside what is wanted by now, each with what is in its way; they were left out.
    """

    number: int
    reason: str
    started_ns: int  # since 1970 UTC
    done: bool
    classes: tuple[RestoredClass, ...]
    _columns: _Columns = field(repr=False, compare=False)
    rejected: tuple[Conflict, ...] = ()

    @property
    def seconds(self) -> float | None:
        """From the loss until the last stream was back; None while one is not."""
        return (
            _since(int(self._columns.ended.max(initial=0)), self._columns.began) or 0.0 if self.done else None
        )

    @cached_property
    def streams(self) -> tuple[RestoredStream, ...]:
        """Every stream of it."""
        return tuple(_streams_of(self._columns))

    def __str__(self) -> str:
        lines = [f"restore {self.number} after {self.reason}" + ("" if self.done else " (under way)")]
        lines.append(f"{'class':<10}{'lost':>7}{'asked':>7}{'proven':>8}{'refused':>9}{'last back':>12}")
        for row in self.classes:
            last = "-" if row.last_seconds is None else f"{row.last_seconds:.3f} s"
            name = row.priority.name.lower()
            lines.append(f"{name:<10}{row.lost:>7}{row.asked:>7}{row.proven:>8}{row.refused:>9}{last:>12}")
        lines += [f"rejected: {conflict}" for conflict in self.rejected]
        return "\n".join(lines)


def make_report(
    restore: Restore, intent: Intent, wall_offset: int, rejected: tuple[Conflict, ...] = ()
) -> RestoreReport:
    """The account in words and topics. `wall_offset`: from the engine's clock to 1970. O(streams), in columns."""
    wanted = np.flatnonzero((restore.ended == 0) | (restore.states != StreamState.CLOSED))
    offered, ended = intent.venue.channels, restore.ended[wanted]
    shared = [len(intent.venue.channel_indexes(c.name)) > 1 and bool(c.depths) for c in offered]
    columns = _Columns(
        intent.columns(restore.streams[wanted]),
        [c.depths[0] if own else None for c, own in zip(offered, shared, strict=True)],
        [c.name for c in offered],
        restore.began,
        np.maximum(restore.classes[wanted], 0),
        restore.asked[wanted],
        ended,
        np.where(ended > 0, restore.states[wanted], StreamState.RECOVERING).astype(np.uint8),
        restore.evidence[wanted],
    )
    return RestoreReport(
        restore.number,
        restore.reason,
        restore.began + wall_offset,
        restore.pending == 0,
        tuple(_of_class(priority, columns) for priority in sorted(Priority, reverse=True)),
        columns,
        rejected,
    )


def joined(reports: Sequence[RestoreReport]) -> RestoreReport:
    """The account of restores on several routes that began with one wish, as of one."""
    if len(reports) == 1:
        return reports[0]
    first, parts = min(reports, key=lambda report: report.number), [report._columns for report in reports]

    def column(of: Sequence[object], name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in of])

    topics = [part.topics for part in parts]
    columns = _Columns(
        StreamColumns(
            column(topics, "streams"),
            column(topics, "channels"),
            tuple(chain.from_iterable(topic.symbols for topic in topics)),
            column(topics, "widths"),
            column(topics, "groupings"),
            column(topics, "priorities"),
        ),
        parts[0].depths,
        parts[0].channels,
        min(part.began for part in parts),
        column(parts, "classes"),
        column(parts, "asked"),
        column(parts, "ended"),
        column(parts, "states"),
        column(parts, "evidence"),
    )
    return replace(
        first,
        started_ns=min(report.started_ns for report in reports),
        done=all(report.done for report in reports),
        classes=tuple(_of_class(priority, columns) for priority in sorted(Priority, reverse=True)),
        _columns=columns,
    )


def _streams_of(columns: _Columns) -> Iterator[RestoredStream]:
    topics = columns.topics
    named = zip(topics.channels.tolist(), topics.symbols, topics.groupings.tolist(), strict=True)
    rows = (columns.classes, columns.states, columns.evidence, columns.asked, columns.ended)
    judged = zip(*(column.tolist() for column in rows), strict=True)
    for (channel, symbol, grouping), (cls, state, evidence, asked, ended) in zip(named, judged, strict=True):
        yield RestoredStream(
            Topic(columns.channels[channel], symbol, columns.depths[channel], grouping or None),
            Priority(cls),
            StreamState(state),
            Evidence(evidence),
            _since(asked, columns.began),
            _since(ended, columns.began),
        )


def _since(when: int, began: int) -> float | None:
    return (when - began) / SECOND if when else None


def _of_class(priority: Priority, columns: _Columns) -> RestoredClass:
    mine = columns.classes == priority
    lost, ended, states = int(np.count_nonzero(mine)), columns.ended[mine], columns.states[mine]
    return RestoredClass(
        priority,
        lost,
        int(np.count_nonzero(columns.asked[mine])),
        int(np.count_nonzero(states == StreamState.OPEN)),
        int(np.count_nonzero(states == StreamState.REFUSED)),
        _since(int(ended.max()), columns.began) if lost and ended.all() else None,
    )
