"""Time for tests."""

from __future__ import annotations

from subcore.engine.clock import SECOND

__all__ = ["VirtualClock"]


class VirtualClock:
    """Time that stands still until it is moved. Nanoseconds; `time_ns` and `monotonic_ns` are `epoch`
    apart."""

    def __init__(self, now: int = 0, epoch: int = 1_790_000_000 * SECOND) -> None:
        self.now = now
        self.epoch = epoch

    def monotonic_ns(self) -> int:
        """The present."""
        return self.now

    def time_ns(self) -> int:
        """The present since 1970 UTC."""
        return self.epoch + self.now

    def advance_to(self, when: int) -> None:
        """Go there. A time that has passed leaves the clock where it is."""
        self.now = max(self.now, when)
