"""Restores as JSON: when what was lost with a link was asked for again, and when it was back. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..figures import as_json

if TYPE_CHECKING:
    from ..restoring import RestoredClass, RestoreReport

__all__ = ["restores_json"]


def restores_json(reports: Iterable[RestoreReport]) -> list[dict[str, Any]]:
    """Oldest first; the last may be under way. Classes that lost nothing are left out. Seconds count from the loss."""
    return [
        {
            "number": report.number,
            "reason": report.reason,
            "started_time_ns": report.started_ns,
            "done": report.done,
            "seconds": report.seconds,
            "classes": [_class(report, each) for each in report.classes if each.lost],
            "rejected": [str(conflict) for conflict in report.rejected],
        }
        for report in reports
    ]


def _class(report: RestoreReport, of: RestoredClass) -> dict[str, Any]:
    """`half_seconds`: until half of them were back."""
    columns = report._columns
    mine = columns.classes == of.priority
    asked, ended = columns.asked[mine], np.sort(columns.ended[mine])
    back = ended[ended > 0]
    half = (of.lost + 1) // 2
    first = int(asked[asked > 0].min(initial=np.iinfo(np.int64).max))
    return {
        **as_json(of),
        "back": len(back),
        "first_asked_seconds": (first - columns.began) / 1e9 if (asked > 0).any() else None,
        "half_seconds": (int(back[half - 1]) - columns.began) / 1e9 if len(back) >= half else None,
        "newest_seconds": (int(back[-1]) - columns.began) / 1e9 if len(back) else None,
    }
