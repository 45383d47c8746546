"""The gate before the wire: which symbols the venue has, as far as its own list tells.

A well-spelt symbol that is not in the list waits while the list is asked anew; then it passes, or is refused.
Without a
list everything well-spelt passes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from subcore.types import Int32Array, StreamColumns

__all__ = ["SymbolGate"]


class SymbolGate:
    """Holds back streams of unknown symbols, and says when to ask for the list."""

    def __init__(self, gap_ns: int, known: frozenset[str] | None = None) -> None:
        self._gap_ns = gap_ns
        self._asked: int | None = None
        self._held: dict[int, tuple[str, int]] = {}  # stream -> symbol, since when
        self.known = known

    def passes(self, columns: StreamColumns) -> npt.NDArray[np.bool_]:
        """Which of these may go to the wire."""
        if self.known is None:
            return np.ones(len(columns.streams), np.bool_)
        known = self.known
        return np.fromiter((s in known or not s for s in columns.symbols), np.bool_, len(columns.streams))

    def hold(self, columns: StreamColumns, mask: npt.NDArray[np.bool_], now: int) -> None:
        """These wait for a newer list."""
        for at in np.flatnonzero(mask).tolist():
            self._held[int(columns.streams[at])] = (columns.symbols[at], now)

    def holds(self, stream: int) -> bool:
        """Whether this one waits for a newer list."""
        return stream in self._held

    def drop(self, streams: Int32Array) -> None:
        """Nobody wants these any more."""
        if self._held:
            for stream in streams.tolist():
                self._held.pop(stream, None)

    def deadline(self) -> int | None:
        """When to ask for the list; None = no need."""
        if not self._held:
            return None
        return 0 if self._asked is None else self._asked + self._gap_ns

    def ask(self, now: int) -> bool:
        """Whether to ask now; if so it counts as asked."""
        when = self.deadline()
        if when is None or when > now:
            return False
        self._asked = now
        return True

    def learn(self, known: frozenset[str] | None, asked: int | None = None) -> tuple[Int32Array, Int32Array]:
        """A list arrived, or cannot be had: streams that may go now, and streams that are not listed. `asked`: when it
        was asked for; None = when this told to.

        Only a list asked for after a stream came can refuse it; the others wait for the next one.
        """
        self.known = known
        passed, refused = [], []
        for stream, (symbol, since) in self._held.items():
            if known is None or symbol in known:
                passed.append(stream)
            elif asked is not None and since > asked:
                continue
            elif self._asked is not None and since <= self._asked:
                refused.append(stream)
        ids = np.array(passed, np.int32), np.array(refused, np.int32)
        for array in ids:
            self.drop(array)
        return ids
