"""Questions about what is newest asked by hand, each test with limits of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from subcore import newest
from subcore.clock import SystemClock
from subcore.engine.actions import AskLatest
from subcore.engine.events import LatestKnown
from subcore.engine.pacing import LimitRegistry
from subcore.latest import Latest
from subcore.newest import Newest
from subcore.testing import PlainLedger
from subcore.types import Topic
from subcore.venues import venue

UPBIT = venue("upbit")
assert UPBIT.latest is not None
LATEST: Latest = UPBIT.latest


@pytest.fixture(autouse=True)
def limits_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks and windows are the process's; each test has its own process, so to say."""
    registry = LimitRegistry()
    monkeypatch.setattr(newest, "PROCESS_LIMITS", registry)
    make_pacer = newest.Pacer
    monkeypatch.setattr(newest, "Pacer", lambda limits, host: make_pacer(limits, host, registry))


class Rig:
    """A Newest over `source`, asked by hand."""

    def __init__(self, source: Any, clock: Any = None) -> None:
        self.clock = clock or SystemClock()
        self.told: dict[int, int] = {}
        self.serials: dict[int, int] = {}
        self.newest = Newest(source, self.clock, self._tell)
        self.ledger = PlainLedger(UPBIT)

    def _tell(self, event: LatestKnown) -> None:
        self.told.update(zip(event.streams.tolist(), event.newest_ns.tolist(), strict=True))
        self.serials.update(zip(event.streams.tolist(), event.serials.tolist(), strict=True))

    async def ask(self, *topics: Topic) -> dict[int, int]:
        """Ask about these; what was told."""
        streams = np.array([self.ledger.subscribe("a", topic) for topic in topics], np.int32)
        self.told.clear()
        if self.newest.take(AskLatest(streams, streams + np.int64(500)), self.ledger.columns(streams)):
            await self.newest.work()
        return dict(self.told)


def ticker(*codes: str) -> list[Topic]:
    return [Topic("ticker", code) for code in codes]
