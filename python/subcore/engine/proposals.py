"""Moves that would leave fewer links or streams on the wire, each with its reason. Reads only; O(links).

Nothing is carried out here. What placement does by itself in time is among them, with when; what it leaves alone, since
each move costs messages, is for people to decide (`manager.rotate()` fills links anew).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from subcore.engine.clock import SECOND
from subcore.engine.context import Settings
from subcore.engine.link import Link, Role

__all__ = ["Proposal", "optimize"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Streams that would be better off on another link. `in_seconds`: when it is done; None = not by itself."""

    source: int
    to: int | None
    streams: int
    in_seconds: float | None
    reason: str

    def __str__(self) -> str:
        when = (
            "not done by itself" if self.in_seconds is None else f"in {self.in_seconds:.0f} s at the earliest"
        )
        return f"{self.streams} streams from link {self.source} to link {self.to}: {self.reason}; {when}"


def optimize(links: list[Link], capacity: int | None, settings: Settings, now: int) -> list[Proposal]:
    """The proposals, in the order of their links."""
    return [
        proposal
        for name in dict.fromkeys(link.route.name for link in links)
        for part in (_home, _merge)
        for proposal in part([k for k in links if k.route.name == name], capacity, settings, now)
    ]


def _home(links: list[Link], capacity: int | None, settings: Settings, now: int) -> Iterator[Proposal]:
    """A nursery is for what is new or restless. What comes from it goes to the first link that has room for it."""
    settled = [link for link in links if link.role is Role.SETTLED]
    for link in links:
        load = link.wire.len_target
        if link.role is not Role.NURSERY or not load:
            continue
        fits = [
            other
            for other in settled
            if capacity is None or other.wire.len_target + other.wire.len_removed + load <= capacity
        ]
        if not fits:
            continue
        calm = max(0, now - link.sent_at) / SECOND
        wait = max(0.0, (link.sent_at + settings.calm - now) / SECOND)
        reason = f"the nursery has been calm for {calm:.0f} s, and what is settled needs no second link"
        yield Proposal(link.id, fits[0].id, load, wait, reason)


def _merge(links: list[Link], capacity: int | None, settings: Settings, now: int) -> Iterator[Proposal]:
    """Links emptied by removals may fit on fewer: the emptiest goes to the one that it fits best.

    What is yet to be removed does not count: who fills links anew does it on new connections, which never had it.
    """
    settled = [link for link in links if link.role is Role.SETTLED and link.wire.len_target]
    if capacity is None:
        return
    loads = {link.id: link.wire.len_target for link in settled}
    for link in sorted(settled, key=lambda one: loads[one.id]):
        load = loads.pop(link.id)
        fits = [other for other, carried in loads.items() if carried + load <= capacity]
        if fits:
            to = max(fits, key=lambda other: loads[other])
            reason = f"together they carry {loads[to] + load} of the {capacity} streams that one link takes"
            yield Proposal(link.id, to, load, None, reason)
            loads[to] += load
