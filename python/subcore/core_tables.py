"""What a manager has in the compiled core, joined: tables, the reader of frames, and what counts beside them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ._duties import DutyTable
from ._feed import Feed
from ._intern import Interner
from ._ledger import Ledger
from ._meter import Meter
from ._route import Router
from ._scan import Scanner
from ._schema import Schema
from .clock import Clock, call_clock, delay_table
from .controls import expected_format
from .intent import Intent
from .venue import Venue

__all__ = ["CoreTables"]

MAX_COMPONENTS = 65_536


class CoreTables:
    """Of one manager; they belong to the loop's thread. `gone`: sinks whose object was collected, or whose task ended.

    `replayed`: frames were received long ago, so nobody is late. `on_error`: as the router has it.
    """

    def __init__(
        self,
        venue: Venue,
        clock: Clock,
        seed: int,
        *,
        replayed: bool,
        on_error: Callable[[int, int, BaseException], None],
    ) -> None:
        self.gone: deque[int] = deque()
        self.ledger = Ledger(max_components=MAX_COMPONENTS, seed=seed)
        self.interner = Interner(seed=seed)
        self.router = Router(self.ledger, gone=self.gone, on_error=on_error, clock=call_clock(clock))
        self.duties = DutyTable(None if replayed else delay_table(clock))
        self.router.delays = self.duties.delays
        self.meter = Meter(len(venue.channels))
        wire_names, names = [c.wire_name for c in venue.channels], [c.name for c in venue.channels]
        self.scanner = Scanner(Schema(venue.load_fields(), wire_names, names), self.interner)
        self.feed = Feed(venue.name, self.scanner, self.ledger, self.meter, self.router)
        self.feed.whole_channels = sum(
            1 << i for i, c in enumerate(venue.channels[:64]) if not c.needs_symbol
        )
        self.feed.expected_format = expected_format(venue, self.scanner.schema)
        self.intent = Intent(venue, self.interner, self.ledger, self.router)
        self._grouped = [index for index, channel in enumerate(venue.channels) if channel.grouping]
        self.intent.on_grouping = self._set_groupings

    def _set_groupings(self, variants: dict[float, int]) -> None:
        for index in self._grouped:
            self.scanner.set_variants(index, variants)
