"""What handlers took of the loop's time of late, for who looks about once a second.

The core times one call in some thirty, and each long one. So what a component took is how often it was called since the
last look, times what its calls took of late: not since it began, or a handler that was slow once would be for ever. Of
async handlers each step is timed, and a call may have any number of them, over any time: there the times are added up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ._route import Router
    from .hub import Hub
    from .members import Member

__all__ = ["CallTime", "mean_call_ns"]

KEPT = 0.8  # of what was timed before, at each look: the mean is that of the last seconds


class _Seen(NamedTuple):
    calls: int = 0  # so far, all of them
    timed: int = 0  # so far, calls that the times stand for
    timed_ns: int = 0
    recent: float = 0.0  # the same of late
    recent_ns: float = 0.0


class CallTime:
    """Belongs to the loop's thread. A look costs some microseconds a component."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._seen: dict[int, _Seen] = {}

    def took(self, members: list[Member]) -> float:
        """Nanoseconds that their handlers took since the last look."""
        return sum(self._took(member) for member in members)

    def forget(self, component: int) -> None:
        """It was closed; its id will be another's."""
        self._seen.pop(component, None)

    def _took(self, member: Member) -> float:
        router, before = self._hub.router, self._seen.get(member.id, _Seen())
        calls = _plain_calls(router, member)
        timed, timed_ns = router.timed_so_far(member.id)
        recent = before.recent * KEPT + timed - before.timed
        recent_ns = before.recent_ns * KEPT + timed_ns - before.timed_ns
        self._seen[member.id] = _Seen(calls, timed, timed_ns, recent, recent_ns)
        if member.pumps.is_used:
            return timed_ns - before.timed_ns
        return recent_ns / recent * max(0, calls - before.calls) if recent else 0.0


def mean_call_ns(router: Router, member: Member) -> float:
    """What a call of its handlers so far held the loop for, with all its steps; 0 where none was timed."""
    units, timed_ns = router.timed_so_far(member.id)
    if member.pumps.is_used:  # steps are timed, each by itself, and not calls
        units = _plain_calls(router, member) + member.pumps.calls
    return timed_ns / units if units else 0.0


def _plain_calls(router: Router, member: Member) -> int:
    return sum(router.sink_info(sink).calls for sink in member.sinks) + member.calls_before
