"""One call of the loop's, later: set anew, stopped, and ended for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context

__all__ = ["Timer"]


class Timer:
    """Calls `call` once each time it was set, in a context of its own. Belongs to the loop's thread."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._handle: asyncio.TimerHandle | None = None
        self._ended = False

    @property
    def is_set(self) -> bool:
        """Whether a call is to come."""
        return self._handle is not None

    def set(self, seconds: float) -> None:
        """Call after so long, and not when it was to be before. Nothing once it has ended."""
        self.stop()
        if not self._ended:
            loop = asyncio.get_running_loop()
            self._handle = loop.call_later(max(0.0, seconds), self._fire, context=Context())

    def stop(self) -> None:
        """No call is to come."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def end(self) -> None:
        """No call is to come, ever."""
        self._ended = True
        self.stop()

    def _fire(self) -> None:
        self._handle = None
        self._call()
