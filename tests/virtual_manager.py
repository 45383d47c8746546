"""`subcore.testing.world` for tests: whatever happened, the exchange must have nothing to complain of."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from manager_rig import KEPT
from subcore.testing import world
from subcore.testing.world import DELAY_S, PATIENCE_S, VirtualLoop

__all__ = ["DELAY_S", "PATIENCE_S", "VirtualLoop", "World"]


class World(world.World):
    """The exchange, the network and the clock of one test; managers come and go."""

    def run(self, main: Callable[[Any], Coroutine[Any, Any, Any]], *, patience_s: float = PATIENCE_S) -> Any:
        """Run a test to its end, on a loop of its own."""
        said = super().run(main, patience_s=patience_s)
        assert not self.exchange.violations, "the exchange's own count"
        return said

    def ended(self) -> None:
        """Components that a test kept go with its loop."""
        KEPT.clear()
