"""What a manager's messages were worth, by the exchange's own account: no manager tells it anything.

The definitions of the figures are those of `figures`. Topics are (type, code) as the exchange writes them; times are
nanoseconds and never go back.
"""

from __future__ import annotations

from collections.abc import Iterable

from subcore.engine.clock import SECOND
from subcore.scenarios.optimum import REMOVAL_WAITS, UPBIT, Optimum, Windows

__all__ = ["Account", "Key", "efficiency"]

Key = tuple[str, str]
"""(type, code)"""

LEAST_BUSY = SECOND


class Account:
    """From `since` on, when the exchange carries what is wanted and nothing else.

    An event costs what is wanted and carried at its time.
    """

    def __init__(
        self, since: int, wanted: Iterable[Key] = (), carried: dict[int, set[Key]] | None = None
    ) -> None:
        self.wanted = set(wanted)
        self.carried = carried or {}
        self.optimum = Optimum(Windows(UPBIT), {_name(key) for key in self.wanted})
        self.messages = self.within_limits = 0
        self.busy_ns = self.wanted_ns = self.wire_ns = self.served_ns = 0
        self._leaving = dict.fromkeys(self._on_wire() - self.wanted, since)
        self._at = since

    # -- what happens --

    def turn(self, changes: Iterable[tuple[Key, bool]], now: int) -> None:
        """What is wanted changed in one turn of the loop."""
        changes = list(changes)
        self.until(now)
        on_wire = self._on_wire()
        for key, comes in changes:
            (self.wanted.add if comes else self.wanted.discard)(key)
            if comes:
                self._leaving.pop(key, None)
            elif key in on_wire:
                self._leaving.setdefault(key, now)
        self.optimum.turn([(_name(key), comes) for key, comes in changes], now)

    def message(self, now: int, *, within_limits: bool) -> None:
        """One arrived at the exchange."""
        self.until(now)
        self.messages += 1
        self.within_limits += within_limits

    def carries(self, carried: dict[int, set[Key]], now: int) -> None:
        """What each connection carries from now on."""
        self.until(now)
        self.carried = carried
        since = self._leaving
        self._leaving = {key: since.get(key, now) for key in self._on_wire() - self.wanted}

    def until(self, now: int) -> None:
        """Let time pass."""
        span = now - self._at
        if span <= 0:
            return
        on_wire = self._on_wire()
        self.wanted_ns += span * len(self.wanted)
        self.wire_ns += span * sum(map(len, self.carried.values()))
        self.served_ns += span * len(self.wanted & on_wire)
        start = self._at
        if self.wanted <= on_wire:  # nothing waits but for a removal that is overdue
            start = max(start, min(self._leaving.values(), default=now) + REMOVAL_WAITS)
        self.busy_ns += max(0, now - start)
        self.optimum.run(now)
        self._at = now

    # -- what came of it --

    @property
    def efficiency(self) -> float:
        """As defined."""
        return efficiency([self])

    @property
    def rate_use(self) -> float:
        """Messages within the limits, of the nominal allowance over the time in which work was waiting."""
        allowed = max(self.busy_ns, LEAST_BUSY) / SECOND * UPBIT.a_second
        return self.within_limits / allowed

    def _on_wire(self) -> set[Key]:
        return set().union(*self.carried.values())


def efficiency(accounts: Iterable[Account]) -> float:
    """(optimal messages / messages sent, 1 where fewer were sent) x (stream-seconds wanted / on the wire, each
    connection counted, 1 where less was on the wire), over several accounts together."""
    optimal = sent = wanted = on_wire = 0
    for account in accounts:
        optimal += min(account.optimum.messages, account.messages)
        sent += account.messages
        wanted, on_wire = wanted + account.wanted_ns, on_wire + account.wire_ns
    of_messages = optimal / sent if sent else 1.0
    return of_messages * (min(1.0, wanted / on_wire) if on_wire else 1.0)


def _name(key: Key) -> str:
    return " ".join(key)
