"""The least number of messages for given changes, and when a venue's own windows have room: for judges of the wire.

Written apart from the engine, which plays an ideal of its own: what is judged shall not be the judge.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from subcore.engine.clock import SECOND

__all__ = ["REMOVAL_WAITS", "UPBIT", "Nominal", "Optimum", "Windows"]

REMOVAL_WAITS = 2 * SECOND


@dataclass(frozen=True)
class Nominal:
    """A venue's limit on the messages of a connection, typed again from its documents. Times in nanoseconds."""

    windows: tuple[tuple[int, int], ...]
    gap: int
    a_second: float  # what may be sent in the long run
    names: int | None  # a message takes; None = it carries everything


UPBIT = Nominal(((5, SECOND), (100, 60 * SECOND)), 0, 100 / 60, None)


class Windows:
    """When the venue's own windows had no room, given the messages of one connection."""

    def __init__(self, nominal: Nominal) -> None:
        self.nominal = nominal
        self.sent: list[int] = []
        self._opens: list[int] = []  # when there was room again after each
        self._full: list[int] = []  # time without room before each

    def opens(self) -> int:
        """When there is room for the next message."""
        return self._opens[-1] if self._opens else 0

    def send(self, now: int) -> None:
        """One goes."""
        self._full.append(self.time_full(now))
        self.sent.append(now)
        opens = now + self.nominal.gap
        for amount, window in self.nominal.windows:
            if len(self.sent) >= amount:
                opens = max(opens, self.sent[-amount] + window)
        self._opens.append(max(now, opens))

    def time_full(self, until: int) -> int:
        """How long there was no room, all in all, until then."""
        at = bisect_right(self.sent, until) - 1
        return 0 if at < 0 else self._full[at] + min(until, self._opens[at]) - self.sent[at]


@dataclass
class Optimum:
    """The least number of messages for the same changes.

    An addition that is not cancelled by then goes at the end of its loop turn or, where the windows have no room, when
    they next reopen; a removal at most 2 s later.
    """

    windows: Windows
    on_wire: set[str] = field(default_factory=set)
    adds: dict[str, int] = field(default_factory=dict)
    removes: dict[str, int] = field(default_factory=dict)

    @property
    def messages(self) -> int:
        """So far."""
        return len(self.windows.sent)

    def change(self, name: str, wanted: bool, now: int) -> None:
        """One change, a loop turn of its own."""
        self.turn([(name, wanted)], now)

    def turn(self, changes: Iterable[tuple[str, bool]], now: int) -> None:
        """The changes of one loop turn: (name, whether it is wanted from now on)."""
        self.run(now - 1)
        for name, wanted in changes:
            if wanted:
                self.removes.pop(name, None)
                if name not in self.on_wire:
                    self.adds[name] = now
            else:
                self.adds.pop(name, None)
                if name in self.on_wire:
                    self.removes[name] = now + REMOVAL_WAITS
        self.run(now)

    def run(self, until: int) -> None:
        """Let time pass."""
        while True:
            due = min(self.adds.values(), default=None)
            if due is None:
                due = min(self.removes.values(), default=until + 1)
            when = max(due, self.windows.opens())
            if when > until:
                return
            self.windows.send(when)
            self._carry()

    def _carry(self) -> None:
        names = self.windows.nominal.names
        if names is None:
            self.on_wire = (self.on_wire | self.adds.keys()) - self.removes.keys()
            self.adds.clear()
            self.removes.clear()
            return
        taken = self.adds or self.removes  # a message adds or removes
        for name in list(taken)[:names]:
            del taken[name]
            (self.on_wire.add if taken is self.adds else self.on_wire.discard)(name)
