"""What the page and its JSON are made of, each at most once an interval for all viewers together.

One look at the whole a second goes on while the server runs, for the charts; all else is made only when asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..exporters.prometheus import content_type, exposition_parts
from ..figures import as_json
from .answers import Answer, json_answer, json_bytes
from .columns import component_columns, component_records, joined, topic_columns
from .history import History
from .readiness import readiness
from .sharing import Shared, Turns, then

if TYPE_CHECKING:
    import asyncio

    from ..figures import Stats
    from ..looking import Looking

__all__ = ["Figures"]

LIVE_SHARE = 0.02
"""Of the time, for making the live figures, while somebody looks."""
OTHER_SHARE = 0.01
"""The same of each of the others."""


class Figures:
    """Of one manager. Belongs to the loop's thread."""

    def __init__(self, manager: Looking, instance: str) -> None:
        self._manager = manager
        self._hub = manager._hub
        self._instance = instance
        self.history = History()
        self.live: Shared[bytes] = Shared("live", self._make_live, LIVE_SHARE)
        self._stats: Shared[Answer] = Shared("stats", self._make_stats, OTHER_SHARE)
        self._topics: Shared[dict[str, bytes]] = Shared("topics", self._make_topics, OTHER_SHARE)
        self._metrics: dict[tuple[bool, bool], Shared[Answer]] = {}

    def look(self) -> None:
        """Once a second."""
        self.history.look(self._hub)

    def stats(self) -> asyncio.Future[Answer]:
        """`as_json(manager.stats())`."""
        return self._stats.get()

    def topics(self, columns: Sequence[str]) -> asyncio.Future[Answer]:
        """`manager.topic_stats()` by column; all where none is named. Who asks for which costs next to nothing."""
        return then(self._topics.get(), lambda made: joined(made, columns))

    def metrics(self, *, openmetrics: bool, topics: bool) -> asyncio.Future[Answer]:
        """For Prometheus, in one of its two formats. UsageError: prometheus_client is not installed."""
        key = (openmetrics, topics)
        if key not in self._metrics:
            kind = content_type(openmetrics)

            async def make(turns: Turns) -> Answer:
                parts = []
                for part in exposition_parts(self._manager, topics, openmetrics):
                    parts.append(part)
                    await turns.breathe()
                return Answer(200, b"".join(parts), kind)

            self._metrics[key] = Shared("metrics", make, OTHER_SHARE)
        return self._metrics[key].get()

    def issues(self) -> list[Any]:
        """`manager.issues()`."""
        return [as_json(issue) for issue in self._manager.issues()]

    def load(self) -> dict[str, Any]:
        """How loaded it is, and what is held back for that; see `adapt=`."""
        return self._hub.granting.adapting.brief()

    def readiness(self) -> dict[str, Any]:
        """See there."""
        return readiness(self._hub, running=self._manager._state == "running")

    async def _make_stats(self, turns: Turns) -> Answer:
        whole = as_json(await self._whole(turns))
        async for part in component_records(self._hub, turns):
            whole["components"].update({record.name: as_json(record) for record in part})
        return json_answer(whole)

    async def _whole(self, turns: Turns) -> Stats:
        """`manager.stats(components=False)`, made in parts."""
        sums = self._hub.measuring.sums()
        for _ in sums.parts():
            await turns.breathe()
        return self._hub.measuring.stats(components=False, sums=sums)

    async def _make_topics(self, turns: Turns) -> dict[str, bytes]:
        return await topic_columns(self._manager.topic_stats(), turns)

    async def _make_live(self, turns: Turns) -> bytes:
        """One event of the stream: all that the page shows but topics, restores and what is selected."""
        base, restores = await self._whole(turns), self._manager.restores
        await turns.breathe()
        components = await component_columns(self._hub, turns)
        event: dict[str, Any] = {
            "instance": self._instance,
            "venue": self._manager.venue.name,
            "interval_s": self.live.interval_s,
            "stats": as_json(base),
            "components": components,
            "issues": self.issues(),
            "load": self.load(),
            "readiness": self.readiness(),
            "restores": [len(restores), restores[-1].number, restores[-1].done] if restores else [0, 0, True],
            "points": self.history.newest(2 * self.live.interval_s + 2),  # more than since the last event
        }
        return b"data: " + json_bytes(event) + b"\n\n"

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Those under way."""
        every: tuple[Shared[Any], ...] = (
            self.live,
            self._stats,
            self._topics,
            *self._metrics.values(),
        )
        return [one.task for one in every if one.task is not None and not one.task.done()]

    def cancel(self) -> None:
        """The server is closed."""
        for task in self.tasks():
            task.cancel()
