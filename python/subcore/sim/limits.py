"""The venue's limits, judged by arrivals: who came when, in rolling windows, whatever the client believes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

__all__ = ["ArrivalLog", "Gate", "Verdict", "Violation"]


@dataclass(frozen=True)
class Violation:
    """One breach of a limit: more than `limit` arrivals within a rolling `window_ns`."""

    at: int
    conn: int | None
    """The connection, or None for a connect attempt."""
    ip: str
    rule: str
    """`message-short`, `message-long`, `connect` or `origin`."""
    count: int
    limit: int
    window_ns: int


class ArrivalLog:
    """Times of arrivals against several rolling windows; every arrival counts, refused ones too.

    A window of `w` at time `t` holds the arrivals in (t - w, t]. Costs O(1) an arrival.
    """

    def __init__(self, rules: tuple[tuple[str, int, int], ...]) -> None:
        """`rules` are (name, limit, window in ns)."""
        self.rules = rules
        self._logs: tuple[deque[int], ...] = tuple(deque() for _ in rules)

    def arrive(self, now: int) -> list[tuple[str, int, int, int]]:
        """Note an arrival; return (rule, count, limit, window) for each rule it breaks."""
        broken = []
        for (name, limit, window), log in zip(self.rules, self._logs, strict=True):
            log.append(now)
            while log[0] <= now - window:
                log.popleft()
            if len(log) > limit:
                broken.append((name, len(log), limit, window))
        return broken

    def room_at(self, now: int) -> int:
        """The first time at or after `now` at which one more arrival breaks no rule."""
        when = now
        for (_, limit, window), log in zip(self.rules, self._logs, strict=True):
            if len(log) >= limit:
                when = max(when, log[-limit] + window)
        return when


@dataclass(frozen=True)
class Verdict:
    """What the gate says to a connect: status 0 = come in, else 429 or 418 and the time to stay away."""

    status: int = 0
    retry_after_ns: int = 0
    violations: tuple[Violation, ...] = ()


class Gate:
    """Connect limits of one address: 5 a second, 1 in 10 s with an Origin; who goes on after refusals is
    blocked.

    Three refusals without a pause of ten windows bring a block (418) that is told and doubles each time.
    """

    PATIENCE = 3

    def __init__(self, ip: str, limit: int, window_ns: int, origin_window_ns: int, block_ns: int) -> None:
        self.ip = ip
        self._log = ArrivalLog((("connect", limit, window_ns),))
        self._origin_log = ArrivalLog((("origin", 1, origin_window_ns),))
        self._window_ns = window_ns
        self._block_ns = block_ns
        self._refusals = 0
        self._last_refusal = -(10**30)
        self._blocked_until = 0

    def knock(self, now: int, *, origin: bool) -> Verdict:
        """Judge a connect attempt at `now`."""
        broken = self._log.arrive(now)
        if origin:
            broken += self._origin_log.arrive(now)
        violations = tuple(Violation(now, None, self.ip, *each) for each in broken)
        if now < self._blocked_until:
            return Verdict(418, self._blocked_until - now, violations)
        if not broken:
            return Verdict()
        if now - self._last_refusal > 10 * self._window_ns:
            self._refusals = 0
        self._refusals += 1
        self._last_refusal = now
        if self._refusals > self.PATIENCE:
            self._refusals = 0
            self._blocked_until = now + self._block_ns
            self._block_ns *= 2
            return Verdict(418, self._blocked_until - now, violations)
        wait = (
            self._log.room_at(now)
            if not origin
            else max(self._log.room_at(now), self._origin_log.room_at(now))
        )
        return Verdict(429, max(1, wait - now), violations)
