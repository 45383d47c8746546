"""When the next message, ping or connect may go out, so that no rolling window of the venue is ever
exceeded.

Each limit keeps a sliding log of sends. The venue counts arrivals, and a message may be under way for a
while, so a window of `amount` in `seconds` has room again when the amount-th last send is
`planned_seconds` old *and* was certainly received `seconds` ago: its answer came by then (`settle`), or
JITTER_NS passed since it left. Hence any interval of the window's length holds at most `amount`
arrivals, whatever its phase.

Logs of scope LINK live with one connection. Logs of scope IP and ACCOUNT live in a `LimitRegistry`,
which all managers of the process share; so do blocks (429, 418) and narrowings (after a rate refusal,
link limits count over the whole process, in case the venue does). `now` is monotonic nanoseconds
everywhere.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final, NamedTuple

from subcore._windows import Rule, SendLog, next_allowed, note
from subcore.engine.clock import nanoseconds
from subcore.venue import Counted, Limit, Scope

__all__ = ["JITTER_NS", "PROCESS_LIMITS", "LimitRegistry", "Pacer", "WindowUse"]

CONNECT: Final = Counted.CONNECT
JITTER_NS: Final = 300_000_000
# A burst is free again once it is this many times older than spreading it would have taken.
CALM_BURSTS: Final = 3


class WindowUse(NamedTuple):
    """How full one rolling window is: `used` of `amount`, of which `reserve` is kept for repair."""

    counts: tuple[str, ...]
    scope: str
    amount: int
    seconds: float
    reserve: int
    used: int
    left: int


def rule_of(limit: Limit) -> Rule:
    """The limit, ready to be judged against a log."""
    windows = [
        (w.amount, w.amount - w.reserve, nanoseconds(w.seconds), nanoseconds(w.planned_seconds))
        for w in limit.windows
    ]
    return Rule(windows, gap=nanoseconds(limit.min_gap_seconds), burst=limit.burst, calm=CALM_BURSTS)


class LimitRegistry:
    """What the whole process shares about hosts. Safe to use from any thread; nothing in it blocks."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._logs: dict[tuple[str, str, Scope, str], SendLog] = {}
        self._blocked: dict[str, int] = {}
        self._narrowed: dict[str, int] = {}
        self.changes = 0  # of anything that may move the next send of some link

    def log(self, group: str, host: str, scope: Scope, account: str = "") -> SendLog:
        """The log of that counter, made when first asked for."""
        with self.lock:
            return self._logs.setdefault((group, host, scope, account), SendLog(JITTER_NS))

    def forget(self, host: str) -> None:
        """Nobody will connect there any more."""
        with self.lock:
            for key in [key for key in self._logs if key[1] == host]:
                del self._logs[key]
            self._blocked.pop(host, None)
            self._narrowed.pop(host, None)

    def block(self, host: str, until: int) -> None:
        """No connect to `host` before `until`; an earlier end never shortens a later one."""
        with self.lock:
            self.changes += 1
            self._blocked[host] = max(until, self._blocked.get(host, until))

    def blocked_until(self, host: str) -> int | None:
        """End of the block, which may lie in the past; None if there never was one."""
        return self._blocked.get(host)

    def narrow(self, host: str, until: int) -> None:
        """Count limits of scope LINK over all links of the process to `host`, until then."""
        with self.lock:
            self.changes += 1
            self._narrowed[host] = max(until, self._narrowed.get(host, until))

    def is_narrowed(self, host: str, now: int) -> bool:
        """Whether link limits of `host` count over the process now."""
        return now < self._narrowed.get(host, now)


PROCESS_LIMITS: Final = LimitRegistry()


class Pacer:
    """What one link may send, and when. Its LINK logs belong to one connection: `renew()` at each new one."""

    def __init__(
        self, limits: Iterable[Limit], host: str, registry: LimitRegistry = PROCESS_LIMITS, account: str = ""
    ) -> None:
        self._host = host
        self._registry = registry
        self._uses_of: dict[Counted, list[tuple[Rule, SendLog, bool]]] = {counted: [] for counted in Counted}
        self._own: list[SendLog] = []
        self._shared: set[Counted] = set()  # what others at that host, or of that account, send as well
        self._uses: list[tuple[Limit, Scope, Rule, SendLog, bool]] = []
        self._free: tuple[Counted, int, bool, int] | None = (
            None  # what was found free last, and at which change
        )
        for limit in limits:
            self._add(limit, account)

    def _add(self, limit: Limit, account: str) -> None:
        rule = rule_of(limit)
        key = account if limit.scope is Scope.ACCOUNT else ""
        shared_scope = Scope.IP if limit.scope is Scope.LINK else limit.scope
        shared = self._registry.log(limit.group, self._host, shared_scope, key)
        uses = [(rule, shared, limit.scope is Scope.LINK)]
        if limit.scope is Scope.LINK:
            own = SendLog(JITTER_NS)
            self._own.append(own)
            uses.append((rule, own, False))
        else:
            self._shared |= limit.counts
        for _, log, _ in uses:
            log.reserve(rule.amount)
        for counted in limit.counts:
            self._uses_of[counted] += uses
        scopes = (shared_scope, limit.scope)
        self._uses += [(limit, scope, *use) for scope, use in zip(scopes, uses, strict=False)]

    def next_allowed(self, counted: Counted, now: int, *, repair: bool = False) -> int:
        """The first moment, at least `now`, at which one may go out. Spends nothing.

        `repair`: may use the part of the windows that is kept for restores and re-asks.
        """
        registry = self._registry
        with registry.lock:
            narrowed = registry.is_narrowed(self._host, now)
            when = next_allowed(self._uses_of[counted], narrowed, now, repair)
            if counted is CONNECT:
                when = max(when, registry.blocked_until(self._host) or now)
            self._free = (counted, now, repair, registry.changes) if when == now else None
            return when

    def shares(self, counted: Counted, now: int) -> bool:
        """Whether what this link sends now takes from what others may send."""
        if self._registry.is_narrowed(self._host, now):
            return len(self._uses_of[counted]) > 0
        return counted in self._shared

    def try_spend(self, counted: Counted, now: int, *, repair: bool = False) -> bool:
        """Take one, if it may go out now; else change nothing."""
        with self._registry.lock:
            known = self._free == (counted, now, repair, self._registry.changes)  # asked just before
            if not known and self.next_allowed(counted, now, repair=repair) > now:
                return False
            self._registry.changes += 1
            note(self._uses_of[counted], now)
            return True

    def note(self, counted: Counted, now: int, times: int) -> None:
        """So many leave now, whether they may or not: nobody asked."""
        with self._registry.lock:
            self._registry.changes += times > 0
            for _ in range(times):
                note(self._uses_of[counted], now)

    def usage(self, now: int) -> list[WindowUse]:
        """How full each window is that its sends have to keep. From any thread; O(sends kept)."""
        with self._registry.lock:
            narrowed = self._registry.is_narrowed(self._host, now)
            return [
                WindowUse(
                    tuple(sorted(counted.value for counted in limit.counts)),
                    scope.value,
                    window.amount,
                    window.seconds,
                    window.reserve,
                    used,
                    max(0, window.amount - used),
                )
                for limit, scope, rule, log, only_narrowed in self._uses
                if narrowed or not only_narrowed
                for window, used in zip(limit.windows, rule.used(log, now), strict=True)
            ]

    def settle(self, sent_at: int, now: int) -> None:
        """The answer to what left at `sent_at` came: that has arrived, and all that this link sent before it. Shared
        logs keep their estimate."""
        with self._registry.lock:
            for log in self._own:
                log.settle(sent_at, now)

    def renew(self) -> None:
        """A new connection: its own counters start at zero."""
        with self._registry.lock:
            self._free = None
            for log in self._own:
                log.clear()
