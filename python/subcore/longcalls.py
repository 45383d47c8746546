"""Tells components of calls of theirs that held the event loop: whose they were, and how much of it was their own time.

A call may give up its own handler, or close its component; it is named all the same. What passed while the process was
stopped is nobody's, which only the watchdog's next look shows: so a call is told of after that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .engine.clock import SECOND
from .naming import handler_name
from .types import StatusKind

if TYPE_CHECKING:
    from ._calls import LongCall
    from .hub import Hub
    from .members import Member
    from .watchdog import Watchdog

TICKS = 2  # to wait for that look at most: a thread may be kept from it


@dataclass(slots=True)
class _Found:
    call: LongCall
    member: Member | None
    name: str
    handler: str
    looks: int  # of the watchdog, when it was found
    ticks: int = 0


class LongCalls:
    """Of one manager. `held(component)`: it is told that it held the loop. All but `name` in the loop's thread."""

    def __init__(self, hub: Hub, watchdog: Watchdog, held: Callable[[int], None]) -> None:
        self._hub = hub
        self._watchdog = watchdog
        self._held = held
        self._found: list[_Found] = []
        self._gone: dict[int, tuple[str, str]] = {}  # of calls under way, by sink: whose component is no more

    def name(self, component: int, sink: int) -> tuple[str, str] | None:
        """Component and handler of the call under way; None where that cannot be said. From the watchdog's thread."""
        gone = self._gone.get(sink)
        member = self._hub.members.get(component)
        if gone is not None or member is None or not member.had_sink(sink):
            return gone
        return member.name, _handler_of(self._hub, member, sink)

    def left(self, member: Member) -> None:
        """It is no more: its calls that are over are found while it is known; so is the one that closed it."""
        self._collect(member)
        if member.given_up is not None and member.given_up[0] == self._hub.router.calling[1]:
            self._gone[member.given_up[0]] = member.name, member.given_up[1]

    def look(self) -> None:
        """At a tick, when no call is under way: tell of those the watchdog has looked after."""
        self._collect(None)
        self._gone.clear()
        found, self._found = self._found, []
        for one in found:
            one.ticks += 1
            if self._watchdog.looks == one.looks and one.ticks < TICKS:
                self._found.append(one)
            else:
                self._tell(one)

    def _collect(self, leaving: Member | None) -> None:
        calls = self._hub.router.take_long_calls()
        for place, whole in enumerate(calls):
            call = without_hooks(whole, calls[:place]) if whole.names is None else whole
            if call.duration_ns >= self._watchdog.blocked * SECOND:
                member = self._whose(call, leaving)
                named = call.names or self._gone.get(call.sink_id)
                if member is not None and named is None:
                    named = member.name, _handler_of(self._hub, member, call.sink_id)
                if named is not None:
                    self._found.append(_Found(call, member, *named, self._watchdog.looks))

    def _whose(self, call: LongCall, leaving: Member | None) -> Member | None:
        """By the sink: the id of a component may be another's by now. What has names of its own has the right id, or
        none: a hook is nobody's call, since `on_status` might take as long again over a status about it."""
        if call.names is not None:
            if leaving is not None and leaving.id == call.component:
                return leaving
            return self._hub.members.get(call.component)
        members: list[Member] = [*self._hub.members.values(), *(() if leaving is None else (leaving,))]
        for member in members:
            if member.had_sink(call.sink_id):
                return member
        return None

    def _tell(self, one: _Found) -> None:
        call, watchdog, hub = one.call, self._watchdog, self._hub
        stopped = watchdog.stopped_ns(call.at_ns - call.duration_ns, call.at_ns)
        seconds = (call.duration_ns - stopped) / SECOND
        if seconds < watchdog.blocked:
            return
        watchdog.over(one.name, one.handler, seconds, hub.clock.time_ns())
        if one.member is not None and not one.member.closed:
            self._held(one.member.id)
            reason = f"its handler {one.handler} held the event loop for {seconds:.1f} s"
            hub.notices.step(one.member, StatusKind.SLOW, reason, 0)


def without_hooks(call: LongCall, before: Sequence[LongCall]) -> LongCall:
    """A call made by a fan-out, but for hooks that were called on account of it, such as `on_status` when it raised:
    these are named by themselves. `before`: the long calls that ended before it."""
    began, ended, hooks = call.at_ns - call.duration_ns, call.at_ns, 0
    for other in reversed(before):
        if other.at_ns <= began:
            break
        if other.names is not None and other.at_ns <= ended:  # else it is inside of one that counts already
            hooks += other.duration_ns
            ended = other.at_ns - other.duration_ns
    return call._replace(duration_ns=max(0, call.duration_ns - hooks), at_ns=call.at_ns - hooks)


def _handler_of(hub: Hub, member: Member, sink: int) -> str:
    if member.given_up is not None and member.given_up[0] == sink:
        return member.given_up[1]
    return handler_name(hub.router, sink)
