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
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from subcore.engine.clock import nanoseconds
from subcore.venue import Counted, Limit, Scope

__all__ = ["JITTER_NS", "PROCESS_LIMITS", "LimitRegistry", "Pacer", "WindowUse"]

CONNECT = Counted.CONNECT
JITTER_NS = 300_000_000
CALM_BURSTS = 3  # a burst is free again once it is this many times older than spreading it would have taken


class SendLog:
    """Times of the latest sends, oldest first: when each left, and by when it had certainly arrived."""

    __slots__ = ("_keep", "_settled", "arrived", "even", "sent")

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.arrived: list[int] = []
        self.even: int | None = None  # the gap that can be kept up, once somebody asked
        self._keep = 1
        self._settled = 0  # sends before this index have their final arrival time

    def reserve(self, amount: int) -> None:
        """Remember at least the last `amount` sends."""
        self._keep = max(self._keep, amount)

    def append(self, now: int) -> None:
        """A send leaves now."""
        if len(self.sent) >= 2 * self._keep:
            cut = len(self.sent) - self._keep
            del self.sent[:cut], self.arrived[:cut]
            self._settled = max(0, self._settled - cut)
        self.even = None
        self.sent.append(now)
        self.arrived.append(now + JITTER_NS)

    def clear(self) -> None:
        """Forget every send."""
        self.sent.clear()
        self.arrived.clear()
        self.even = None
        self._settled = 0

    def settle(self, sent_at: int, now: int) -> None:
        """One that left at `sent_at` has arrived by now, and with it all that left before; what left later may still be
        under way, and so may others of that moment."""
        sent, end = self.sent, self._settled
        while end < len(sent) and sent[end] < sent_at:
            end += 1
        if end < len(sent) and sent[end] == sent_at:
            end += 1
        for index in range(self._settled, end):
            self.arrived[index] = min(self.arrived[index], now)
        self._settled = end


@dataclass(frozen=True, slots=True)
class _Window:
    amount: int
    usable: int  # by ordinary sends
    wire_ns: int
    planned_ns: int


class WindowUse(NamedTuple):
    """How full one rolling window is: `used` of `amount`, of which `reserve` is kept for repair."""

    counts: tuple[str, ...]
    scope: str
    amount: int
    seconds: float
    reserve: int
    used: int
    left: int


class Rule:
    """One limit, ready to be judged against a log."""

    __slots__ = ("_burst", "_calm_ns", "_even_ns", "_gap_ns", "_longest", "_windows", "amount")

    def __init__(self, limit: Limit) -> None:
        self._windows = tuple(
            _Window(w.amount, w.amount - w.reserve, nanoseconds(w.seconds), nanoseconds(w.planned_seconds))
            for w in limit.windows
        )
        self._longest = max(self._windows, key=lambda w: w.planned_ns)
        self._gap_ns = nanoseconds(limit.min_gap_seconds)
        self._burst = limit.burst
        self._even_ns = -(-self._longest.planned_ns // self._longest.usable)
        self._calm_ns = CALM_BURSTS * self._burst * self._even_ns
        self.amount = max(w.amount for w in self._windows)

    def next_allowed(self, log: SendLog, now: int, repair: bool) -> int:
        """The first moment, at least `now`, at which one more send keeps every window."""
        sent = log.sent
        if not sent:
            return now
        when, count = sent[-1] + self._gap_ns, len(sent)
        for window in self._windows:
            amount = window.amount if repair else window.usable
            if count >= amount:
                when = max(when, sent[-amount] + window.planned_ns, log.arrived[-amount] + window.wire_ns)
        if self._burst and not repair and (even := self._spread(log, now)) > when:
            when = even
        return when if when > now else now

    def used(self, log: SendLog, now: int) -> list[int]:
        """For each window, the sends that are in it: one more is allowed while they are fewer than its amount."""
        sends = list(zip(log.sent, log.arrived, strict=True))
        return [
            sum(sent + w.planned_ns > now or arrived + w.wire_ns > now for sent, arrived in sends)
            for w in self._windows
        ]

    def _spread(self, log: SendLog, now: int) -> int:
        """Not before this: so evenly that no later send has to wait longer, unless a burst is due."""
        sent = log.sent
        if len(sent) < self._burst:
            return now
        calm = sent[-self._burst] + self._calm_ns
        if calm <= now:
            return now
        if log.even is None:
            log.even = self._even_gap(sent)
        return min(calm, sent[-1] + log.even)

    def _even_gap(self, sent: list[int]) -> int:
        """The least gap that can be kept up: what is in the longest window makes room only as it leaves it."""
        last, window = sent[-1], self._longest
        first = bisect_right(sent, last - window.planned_ns)
        left = window.usable - (len(sent) - first)
        gap = self._even_ns
        for nth, when in enumerate(sent[first:], left + 1):
            if nth > 0:
                gap = max(gap, (when + window.planned_ns - last) // nth)
        return gap


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
            return self._logs.setdefault((group, host, scope, account), SendLog())

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


PROCESS_LIMITS = LimitRegistry()


class Pacer:
    """What one link may send, and when. Its LINK logs belong to one connection: `renew()` at each new one."""

    def __init__(
        self, limits: Iterable[Limit], host: str, registry: LimitRegistry = PROCESS_LIMITS, account: str = ""
    ) -> None:
        self._host = host
        self._registry = registry
        self._rules: dict[Counted, list[tuple[Rule, SendLog, bool]]] = {counted: [] for counted in Counted}
        self._own: list[SendLog] = []
        self._uses: list[tuple[Limit, Scope, Rule, SendLog, bool]] = []
        self._free: tuple[Counted, int, bool, int] | None = (
            None  # what was found free last, and at which change
        )
        for limit in limits:
            self._add(limit, account)

    def _add(self, limit: Limit, account: str) -> None:
        rule = Rule(limit)
        key = account if limit.scope is Scope.ACCOUNT else ""
        shared_scope = Scope.IP if limit.scope is Scope.LINK else limit.scope
        shared = self._registry.log(limit.group, self._host, shared_scope, key)
        uses = [(rule, shared, limit.scope is Scope.LINK)]
        if limit.scope is Scope.LINK:
            own = SendLog()
            self._own.append(own)
            uses.append((rule, own, False))
        for _, log, _ in uses:
            log.reserve(rule.amount)
        for counted in limit.counts:
            self._rules[counted] += uses
        scopes = (shared_scope, limit.scope)
        self._uses += [(limit, scope, *use) for scope, use in zip(scopes, uses, strict=False)]

    def next_allowed(self, counted: Counted, now: int, *, repair: bool = False) -> int:
        """The first moment, at least `now`, at which one may go out. Spends nothing.

        `repair`: may use the part of the windows that is kept for restores and re-asks.
        """
        registry = self._registry
        with registry.lock:
            when = now
            if counted is CONNECT:
                when = max(when, registry.blocked_until(self._host) or now)
            narrowed = registry.is_narrowed(self._host, now)
            for rule, log, only_narrowed in self._rules[counted]:
                if (narrowed or not only_narrowed) and (free := rule.next_allowed(log, now, repair)) > when:
                    when = free
            self._free = (counted, now, repair, registry.changes) if when == now else None
            return when

    def try_spend(self, counted: Counted, now: int, *, repair: bool = False) -> bool:
        """Take one, if it may go out now; else change nothing."""
        with self._registry.lock:
            known = self._free == (counted, now, repair, self._registry.changes)  # asked just before
            if not known and self.next_allowed(counted, now, repair=repair) > now:
                return False
            self._registry.changes += 1
            for _, log, _ in self._rules[counted]:
                log.append(now)
            return True

    def note(self, counted: Counted, now: int, times: int) -> None:
        """So many leave now, whether they may or not: nobody asked."""
        with self._registry.lock:
            self._registry.changes += times > 0
            for _ in range(times):
                for _, log, _ in self._rules[counted]:
                    log.append(now)

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
