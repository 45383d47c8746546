"""Carries facts to the pure engine and its actions out to the links, the meter and the ledger.

Nothing is decided here. One timer stands for the engine's next deadline; everything that changes within one turn of the
loop reaches the engine together, at the end of that turn. What is scheduled here runs in a context of its own: what a
caller has in his (a trace id, a session) is not of those who are called on account of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Protocol

from .engine import actions, events
from .engine.engine import Engine
from .engine.link import Role
from .link import Connect, Link
from .listening import raise_in_loop
from .types import Control, Int32Array

if TYPE_CHECKING:
    from picows import WSListener

    from ._ledger import Ledger
    from ._meter import Meter
    from .clock import Clock
    from .engine.restored import Restore

log = logging.getLogger("subcore.engine")


class RuntimeOwner(Protocol):
    """What the runtime asks of the manager. Called from the loop, never inside a public call."""

    def notify(self, notice: actions.Notify) -> None: ...
    def release_streams(self, streams: Int32Array) -> None: ...
    def data_came(self, streams: Int32Array) -> None: ...
    def request_markets(self) -> None: ...
    def ask_latest(self, action: actions.AskLatest) -> None: ...
    def restored(self, restore: Restore) -> None: ...
    def make_listener(self, link: Link, generation: int) -> WSListener: ...
    def housekeeping(self) -> None: ...
    def turn_begins(self) -> None: ...
    def let_on(self, opened: Int32Array, closed: Int32Array) -> tuple[Int32Array, Int32Array]: ...
    def turn_done(self) -> None: ...


HOUSEKEEPING_S = 0.1


class Runtime:
    """Belongs to the loop's thread. `start` arms it, `end` leaves no timer behind, nor a task that does not end."""

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        meter: Meter,
        *,
        owner: RuntimeOwner,
        connect: Connect,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._meter = meter
        self._owner = owner
        self._connect = connect
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._housekeeper: asyncio.TimerHandle | None = None
        self._turn_scheduled = False
        self._evidence_scheduled = False
        self._links: dict[int, Link] = {}
        self._before: dict[int, int] = {}  # frames of a link when its present connection began
        self._stamps: dict[
            int, tuple[int, int]
        ] = {}  # its last frame: as it was stamped, and on the monotonic clock
        self._urgent = False
        self._due: deque[actions.Action] = deque()
        self._carrying = False

    @property
    def links(self) -> dict[int, Link]:
        """By number; a link stays listed once it was used."""
        return self._links

    @property
    def is_running(self) -> bool:
        """True between start and end."""
        return self._loop is not None

    def start(self) -> None:
        """Arm the timers; what was wanted before goes out at the end of this turn."""
        self._loop = asyncio.get_running_loop()
        self.changed()
        self._keep_house()

    def changed(self, *, urgent: bool = False) -> None:
        """The ledger changed: look at the end of this turn of the loop."""
        self._urgent |= urgent
        if self._loop is not None and not self._turn_scheduled:
            self._turn_scheduled = True
            self._loop.call_soon(self._turn, context=Context())

    def flush(self) -> None:
        """Give the engine what changed now, and not at the end of this turn."""
        if self._turn_scheduled:
            self._turn()

    def evidence_waits(self) -> None:
        """The meter saw awaited data: take it at the end of this turn, however many frames bring some."""
        if self._loop is not None and not self._evidence_scheduled:
            self._evidence_scheduled = True
            self._loop.call_soon(self._take_evidence, context=Context())

    def handle(self, event: events.Event) -> None:
        """Give one event to the engine and carry out what it wants.

        All of it, in order: one action that fails (a user is told of things in some) is the loop's to report and keeps
        no other from being done; what a user then calls for is done after those.
        """
        try:
            self._due += self._engine.handle(event, self._clock.monotonic_ns())
            if not self._carrying:
                self._carry_out_all()
        finally:
            self._rearm()

    def rotate(self, links: Mapping[int, int] | None) -> dict[int, int]:
        """Have links replaced: all, or those of these numbers and generations that still stand.

        Those that cannot be replaced yet, in the same way.
        """
        known = self._engine.links
        if links is not None:
            links = {n: g for n, g in links.items() if n in known and known[n].generation == g}
            if not links:
                return {}
        self.handle(events.Rotate(None if links is None else tuple(links)))
        return {
            link.id: link.generation
            for link in known.values()
            if link.is_up and link.role is not Role.RETIRED and (links is None or link.id in links)
        }

    def end(self) -> None:
        """Tell every link to end. No timer runs, and nothing is told any more."""
        if self._loop is None:
            return
        try:
            self.handle(events.CloseAll())
        finally:
            self._loop = None
            for timer in (self._timer, self._housekeeper):
                if timer is not None:
                    timer.cancel()
            for link in self._links.values():
                link.end()

    async def ended(self, timeout: float) -> list[str]:
        """After `end`: wait for the links; names those that did not end in time."""
        unfinished = await asyncio.gather(*(link.ended(timeout) for link in self._links.values()))
        return [name for name in unfinished if name]

    # -- what links tell --

    def make_listener(self, link: Link, generation: int) -> WSListener:
        """A listener for one connection."""
        return self._owner.make_listener(link, generation)

    def link_up(self, link: int, generation: int, rtt_ns: int) -> None:
        """See LinkOwner."""
        if self._loop is not None:
            self.handle(events.LinkUp(link, generation, rtt_ns))

    def link_down(
        self,
        link: int,
        generation: int,
        reason: str,
        *,
        code: int | None = None,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        no_token: bool = False,
    ) -> None:
        """See LinkOwner."""
        if self._loop is None:
            return
        retry_after_ns = None if retry_after_s is None else round(retry_after_s * 1e9)
        self._take_evidence()
        down = events.LinkDown(link, generation, reason, code, http_status, retry_after_ns, no_token)
        self.handle(down)

    def pong(self, link: int, generation: int, rtt_ns: int) -> None:
        """The answer to a ping."""
        if self._loop is not None:
            self.handle(events.Pong(link, generation, rtt_ns))

    def control(self, link: int, generation: int, control: Control) -> None:
        """A frame that is not data. Evidence that came before it is told before it."""
        if self._loop is not None:
            self._take_evidence()
            self.handle(events.ControlFrame(link, generation, control))

    # -- inside --

    def _turn(self) -> None:
        if self._loop is None or not self._turn_scheduled:
            return
        self._turn_scheduled = False
        urgent, self._urgent = self._urgent, False
        self._owner.turn_begins()
        edges = self._ledger.take_edges()
        if edges:
            opened, closed = self._owner.let_on(edges.opened, edges.closed)
            self.handle(events.Changed(opened, closed, edges.changed, urgent))
        self._owner.turn_done()

    def _take_evidence(self) -> None:
        self._evidence_scheduled = False
        if self._loop is None:
            return
        for link, streams, at_ns in self._meter.take_evidence():
            generation = self._links[link].generation
            self.handle(events.StreamEvidence(link, generation, streams, at_ns - self._wall_offset()))
            self._owner.data_came(streams)

    def _tick(self) -> None:
        self._timer = None
        if self._loop is None:
            return
        self._take_evidence()
        offset = self._wall_offset()
        for link in list(self._links.values()):  # the engine may open another meanwhile
            link.look_at_queue()
            if link.is_up:
                stamp, frames = self._meter.link_activity(link.number)
                frames -= self._before[link.number]  # the meter counts all connections of a link together
                last = self._received(link.number, stamp, offset) if frames else 0
                self.handle(events.LinkActivity(link.number, link.generation, last, frames))
        self._tell_heard(offset)
        self.handle(events.Tick())

    def _received(self, link: int, stamp: int, offset: int) -> int:
        """When a frame with this stamp came, on the monotonic clock: once said, it stays. The two clocks wander apart,
        by noise or while the wall clock is being set, and that is no sign of life."""
        known = self._stamps.get(link)
        if known is None or known[0] != stamp:
            known = self._stamps[link] = stamp, min(stamp - offset, self._clock.monotonic_ns())
        return known[1]

    def _tell_heard(self, offset: int) -> None:
        streams = self._engine.to_look_at(self._clock.monotonic_ns())
        if len(streams):
            frames, snapshots, received, exchange = self._meter.heard(streams)
            received[received > 0] -= offset
            self.handle(events.StreamsHeard(streams, frames, snapshots, received, exchange))

    def _rearm(self) -> None:
        deadline = self._engine.deadline()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._loop is not None and deadline is not None:
            wait = max(0, deadline - self._clock.monotonic_ns()) / 1e9
            self._timer = self._loop.call_later(wait, self._tick, context=Context())

    def _keep_house(self) -> None:
        if self._loop is not None:
            self._housekeeper = self._loop.call_later(HOUSEKEEPING_S, self._keep_house, context=Context())
            self._owner.housekeeping()

    def _wall_offset(self) -> int:
        return self._clock.time_ns() - self._clock.monotonic_ns()

    def _carry_out_all(self) -> None:
        self._carrying = True
        while self._due:
            action = self._due.popleft()
            carry: Callable[[actions.Action], None] = _CARRY[type(action)].__get__(self)
            try:
                carry(action)
            except BaseException as error:  # KeyboardInterrupt too: it ends the loop, not half an event
                raise_in_loop(error)
        self._carrying = False

    def _do_connect(self, action: actions.Connect) -> None:
        link = self._links.get(action.link)
        if link is None:
            link = self._links[action.link] = Link(action.link, self, self._connect)
        _, self._before[action.link] = self._meter.link_activity(action.link)
        link.connect(action.generation, action.url, action.headers)

    def _do_send(self, action: actions.Send) -> None:
        self._links[action.link].send(action.generation, action.opcode, action.payload)

    def _do_ping(self, action: actions.Ping) -> None:
        self._links[action.link].ping(action.generation)

    def _do_disconnect(self, action: actions.Disconnect) -> None:
        self._links[action.link].disconnect(action.generation, action.reason, action.code)

    def _do_await_evidence(self, action: actions.AwaitEvidence) -> None:
        not_before = action.realtime_not_before_ns and action.realtime_not_before_ns + self._wall_offset()
        self._meter.await_evidence(action.link, action.streams, not_before)

    def _do_request_markets(self, action: actions.RequestMarkets) -> None:
        self._owner.request_markets()

    def _do_ask_latest(self, action: actions.AskLatest) -> None:
        self._owner.ask_latest(action)

    def _do_notify(self, action: actions.Notify) -> None:
        self._owner.notify(action)

    def _do_release(self, action: actions.ReleaseStreams) -> None:
        self._owner.release_streams(action.streams)

    def _do_arbitrate(self, action: actions.Arbitrate) -> None:
        self._meter.arbitrate(action.streams, action.on)

    def _do_restored(self, action: actions.Restored) -> None:
        self._owner.restored(action.restore)

    def _do_log(self, action: actions.Log) -> None:
        log.log(action.level, "%s", action.text, extra={"subcore": dict(action.fields)})


_CARRY = {
    actions.Connect: Runtime._do_connect,
    actions.Send: Runtime._do_send,
    actions.Ping: Runtime._do_ping,
    actions.Disconnect: Runtime._do_disconnect,
    actions.AwaitEvidence: Runtime._do_await_evidence,
    actions.RequestMarkets: Runtime._do_request_markets,
    actions.AskLatest: Runtime._do_ask_latest,
    actions.Notify: Runtime._do_notify,
    actions.ReleaseStreams: Runtime._do_release,
    actions.Arbitrate: Runtime._do_arbitrate,
    actions.Restored: Runtime._do_restored,
    actions.Log: Runtime._do_log,
}
