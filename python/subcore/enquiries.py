"""What is asked of the venue beside its links: which markets there are, and what is newest of silent streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any

from .engine import events
from .engine.context import Settings
from .markets import MarketList, Markets
from .newest import LatestCall, Newest, RestPages, UserCall

if TYPE_CHECKING:
    from .clock import Clock
    from .engine.actions import AskLatest
    from .types import StreamColumns
    from .venue import Venue

MARKETS_EVERY_S = 600.0
GIVEN_GAP_NS = 100_000_000  # between two looks at a list that was given, for a symbol it does not name


class Enquiries:
    """Belongs to the loop's thread. What comes back is told to `handle`."""

    def __init__(
        self,
        venue: Venue,
        clock: Clock,
        handle: Callable[[events.Event], None],
        *,
        markets: Markets | None,
        own_markets: bool,
        latest: bool | LatestCall,
    ) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._handle = handle
        self._clock = clock
        self.markets = MarketList(
            venue.name,
            source=markets,
            url=venue.markets_url if own_markets else None,
            parse=venue.parse_markets,
        )
        source: RestPages | UserCall | None = None
        if callable(latest):
            source = UserCall(latest, venue)
        elif latest and venue.latest is not None:
            source = RestPages(venue.latest, clock)
        self.newest = None if source is None else Newest(source, clock, handle)

    def settings(self) -> Settings | None:
        """Of the engine; None = its own. The gap between two questions for the list spares who answers them: a venue,
        or the user's function. What was given costs nothing to look at, and whom it does not name need not wait."""
        return Settings(markets_gap=GIVEN_GAP_NS) if self.markets.is_given else None

    def start(self) -> None:
        """Fetch the list of markets, and again from time to time, beside the connect."""
        if self.markets.available:
            self._spawn(self._refresh_markets(), "markets")

    def end(self) -> None:
        """Cancel what is under way; nothing more is told."""
        for task in self._tasks:
            task.cancel()
        if self.newest is not None:
            self.newest.close()

    @property
    def under_way(self) -> set[asyncio.Future[Any]]:
        """What did not end yet."""
        return {*self._tasks, *(() if self.newest is None else self.newest.under_way)}

    def ask_markets(self) -> None:
        """Fetch the list of markets now."""
        self._spawn(self._ask_markets(), "markets")

    def ask_latest(self, action: AskLatest, columns: Callable[[], StreamColumns]) -> None:
        """What is newest of the streams of `action`, whose names `columns` gives."""
        if self.newest is not None and self.newest.take(action, columns()):
            self._spawn(self.newest.work(), "newest")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"subcore-{name}", context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_markets(self) -> None:
        asked = self._clock.monotonic_ns()
        self._handle(events.SymbolsKnown(await self.markets.refresh(), asked))

    async def _refresh_markets(self) -> None:
        while True:
            await self._ask_markets()
            await asyncio.sleep(MARKETS_EVERY_S)
