"""Everything a manager owns, put together: core tables, engine, runtime, members, markets, recorder."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ._delivery import WakeBatch
from ._wire_set import WireSet
from .alerting import Alerting
from .claims import Claims
from .clock import WallOffset
from .closing import Closing
from .controls import ControlReader
from .core_tables import CoreTables
from .engine.engine import Engine
from .enquiries import Enquiries
from .granting import Granting
from .handling import HandlerDuties
from .link import Connect, Link
from .listening import raise_in_loop
from .logins import Login, account_of
from .measuring import Measuring
from .members import Member, Ties
from .monitoring import Monitoring
from .notices import Notices
from .obligations import Duties
from .options import Options
from .pump_ties import PumpTies
from .reports import Reports
from .restoring import RestoreReport, make_report
from .runtime import Runtime
from .saving import Saving
from .types import Int32Array, Priority, StatusKind, Topic
from .venue import Venue
from .waits import NOT_STARTED, Waits

if TYPE_CHECKING:
    from ._listener import FeedListener
    from .dashboard import Dashboard
    from .engine.actions import AskLatest, Notify
    from .engine.conflicts import Conflict
    from .engine.restored import Restore
    from .exporters.json_lines import JsonLines
    from .recording import Recording
    from .replaying import ReplayConnection

log = logging.getLogger("subcore.manager")

RESTORES_KEPT = 16


class Hub:
    """The inside of one manager. Belongs to the loop's thread."""

    def __init__(self, venue: Venue, options: Options) -> None:
        self.venue = venue
        self.clock = options.clock
        self.wall_offset = WallOffset(options.clock)
        self.started = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.members: dict[int, Member] = {}
        self.names: set[str] = set()
        self.restores: deque[RestoreReport] = deque(maxlen=RESTORES_KEPT)
        self._left: deque[int] = deque()  # components whose last reference or owner went
        self.recordings: list[Recording] = []  # the last is under way
        self.dashboards: list[Dashboard] = []
        self.exports: list[JsonLines] = []
        self._replay = options.replay
        self.replaying: ReplayConnection | None = None
        may_login = options.credentials is not None or options.replay is not None  # a recording needs none
        self.grants = venue.grants if may_login else frozenset()
        core = CoreTables(
            venue,
            options.clock,
            options.seed,
            replayed=options.replay is not None,
            on_error=self._handler_failed,
        )
        self.ledger, self.interner, self.intent = core.ledger, core.interner, core.intent
        self.router, self.duties, self.meter = core.router, core.duties, core.meter
        self.scanner, self.feed = core.scanner, core.feed
        self._make_engine(options)
        self._join_feed()
        self._make_delivery(core.gone)
        self._make_services(options, core.gone)

    def _make_engine(self, options: Options) -> None:
        """The engine, what it asks the venue besides, and what carries out its actions."""
        venue, clock = self.venue, self.clock
        self.enquiries = Enquiries(
            venue,
            clock,
            lambda event: self.runtime.handle(event),
            markets=options.markets,
            own_markets=options.own_markets,
            latest=options.latest,
        )
        newest = self.enquiries.newest
        settings = self.enquiries.settings()
        make = Engine if settings is None else partial(Engine, settings=settings)
        self.engine = make(
            venue,
            self.intent,
            WireSet,
            random.Random(options.seed),
            symbols=self.enquiries.markets.load_cached(),
            account=account_of(options.credentials),
            can_ask=None if newest is None else newest.source.can_ask,
        )
        connect = self._connect(options.connect)
        if options.credentials is not None:
            connect = Login(venue, connect, options.credentials, clock)
        self.runtime = Runtime(self.engine, self.ledger, self.meter, owner=self, connect=connect, clock=clock)

    def _join_feed(self) -> None:
        self.controls = ControlReader(self.venue)
        self.feed.on_evidence = self.runtime.evidence_waits
        self.feed.on_control = self._control
        self.feed.on_fatal = raise_in_loop
        self.feed.on_gap = self._gap

    def _make_delivery(self, gone: deque[int]) -> None:
        """What stands between the router and who takes events from boxes and tasks."""
        self.wakes = WakeBatch(self._soon)
        self.notices = Notices(self.router, self.intent, self.members, self.clock)
        self.pumping = PumpTies(
            self.router,
            self.wakes,
            gone,
            self.notices.loss,
            self.notices.queue_changed,
            self.notices.given_up,
            self.notices.failed_elsewhere,
            HandlerDuties(),
            self.duties.delays,
        )
        self.ties = Ties(
            self.router,
            self.wakes,
            self._left,
            self.duties,
            self.notices.loss,
            self.notices.queue_changed,
            tuple(self.venue.channels),
            self.intent.whole,
            self.pumping,
        )

    def _make_services(self, options: Options, gone: deque[int]) -> None:
        self.reports = Reports(self)
        self.monitoring = Monitoring(self)
        self.measuring = Measuring(self)
        self.obligations = Duties(self, options.obligations)
        self.alerting = Alerting(self, options.alerts)
        self.granting = Granting(self, options.channel_priority, gone, options.adapt)
        self.waits = Waits(
            self.engine,
            self.intent,
            self.ledger,
            self.granting,
            self.obligations.waits,
            self.clock.monotonic_ns,
            lambda: "" if self.started else NOT_STARTED,
        )
        self.claims = Claims(self, options.claim_grace)
        self.closing = Closing(self)
        self.saving = Saving(self, options.snapshot_path)

    def _connect(self, given: Connect | None) -> Connect:
        if given is not None:
            return given
        if self._replay is not None:
            from .replaying import ReplayConnection

            self.replaying = ReplayConnection(*self._replay, hub=self)
            return self.replaying
        from .dialing import Dialer

        return Dialer()

    # -- life --

    def start(self) -> None:
        """Arm timers; fetch the list of markets beside the connect."""
        self._loop = asyncio.get_running_loop()
        self.started = True
        self.runtime.start()
        self.obligations.start()
        self.saving.start()
        self.enquiries.start()

    def _soon(self, call: Callable[[], object]) -> None:
        """In the loop that runs; between two runs of the manager's loop in that one, once it goes on."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if self._loop is None:
                raise
            loop = self._loop
        loop.call_soon(call)

    def record(self, path: str | Path) -> None:
        """See SubscriptionManager.record."""
        from .recording import Recording

        self.recordings = [one for one in self.recordings if one.is_of_interest]
        for one in self.recordings:
            one.check_apart(path)
        recording = Recording(path)  # OSError: then the earlier one goes on
        for one in self.recordings:
            one.finish()
        self.recordings.append(recording)
        self.feed.recorder = recording.recorder.write

    # -- members --

    def new_member(self, name: str, priority: Priority) -> Member:
        """One that no component holds, to be claimed by its name."""
        member = Member(self.ledger.open_component(), name, self.ties, priority, None, None, False)
        self.members[member.id] = member
        return member

    def close_member(self, member: Member) -> None:
        """Remove a component: nothing is delivered to it after this returns."""
        member.release_owner()
        with self.intent.whole:
            member.closed = True
            member.release_all()
            member.pumps.end()
            self.granting.former.closed(member)
            self.intent.close(member.id)
            self.measuring.left(member)
            del self.members[member.id]
        self.waits.forget(member)
        if member.handle is not None:  # a name that waits to be claimed is nobody's
            self.names.discard(member.name)
        self.granting.forget(member)
        self.claims.forget(member)
        member.close_boxes()
        self.notices.forget(member)
        self.obligations.left(member)
        self.monitoring.left(member.id)
        self.alerting.left(member.id, member.name)
        self.runtime.changed(urgent=member.reaped is not None)

    def set_paused(self, member: Member, flag: bool) -> None:
        """Interests of a paused component stay in the ledger, count for nothing, and get nothing."""
        if member.paused != flag:
            member.paused = flag
            member.paused_ns = self.clock.time_ns()
            self.ledger.pause(member.id, flag or self.granting.adapting.suspends(member))
            member.hold(flag)
            self.obligations.paused(member, flag)
            self.granting.adapting.touched(member.id)
            if flag:
                self.waits.paused(member)
            self.runtime.changed()

    def topics_of(self, member: Member) -> tuple[Topic, ...]:
        """What a component wants; nothing once it is closed."""
        if member.closed:
            return ()
        return tuple(self.intent.topics_of(self.ledger.interests(member.id)))

    # -- what the runtime asks --

    def make_listener(self, link: Link, generation: int) -> FeedListener:
        """See RuntimeOwner."""
        from .listening import make_listener

        return make_listener(self.feed, link, generation, self.runtime)

    def notify(self, notice: Notify) -> None:
        """See RuntimeOwner."""
        self.granting.joiners.heard(notice)
        self.notices.spread(notice)
        self.waits.changed(notice.streams)

    def release_streams(self, streams: Int32Array) -> None:
        """See RuntimeOwner."""
        self.measuring.released(self.meter.reset_streams(streams))
        self.monitoring.released(streams)
        self.granting.adapting.released(streams)
        self.intent.release(streams)

    def data_came(self, streams: Int32Array) -> None:
        """See RuntimeOwner: the engine knows of their first data by now, also of those it had proven without."""
        self.waits.changed(streams)

    def request_markets(self) -> None:
        """See RuntimeOwner."""
        self.enquiries.ask_markets()

    def ask_latest(self, action: AskLatest) -> None:
        """See RuntimeOwner."""
        self.enquiries.ask_latest(action, lambda: self.intent.columns(action.streams))

    def restored(self, restore: Restore) -> None:
        """See RuntimeOwner."""
        self.restores.append(self.report_of(restore))
        self.saving.restored(restore, self.restores[-1])

    def report_of(self, restore: Restore, rejected: tuple[Conflict, ...] | None = None) -> RestoreReport:
        """The account of a restore, over or under way; `rejected` is another's than of the one under way."""
        rejected = self.saving.rejected if rejected is None else rejected
        return make_report(restore, self.intent, self.wall_offset.ns(), rejected)

    def turn_begins(self) -> None:
        """See RuntimeOwner: before what is new is placed, the engine knows what asked for a link of its own."""
        self.granting.tell_asked_again(self.runtime.handle)
        self.granting.own_link.tell(self.runtime.handle)

    def let_on(self, opened: Int32Array, closed: Int32Array) -> tuple[Int32Array, Int32Array]:
        """See RuntimeOwner."""
        self.alerting.unwanted(closed)
        return self.granting.adapting.withheld.let_on(opened, closed)

    def turn_done(self) -> None:
        """See RuntimeOwner."""
        self.granting.turn_done(self.runtime.handle)
        self.waits.look()
        self.intent.tidy(self.engine.knows)
        self.saving.changed()

    def housekeeping(self, *, in_call: bool = False) -> None:
        """See RuntimeOwner: what the garbage collector noted is carried out; within a public call, no user's code."""
        self.granting.collect()
        self.claims.look()
        for _ in range(len(self._left)):
            member = self.members.get(id := self._left.popleft())
            # The id may be another's by now: also that of a restored name, which nobody holds until it is claimed.
            if member is None or member.handle is None or (member.is_held and not member.owner_done()):
                continue
            if not self.obligations.owner_gone(member, in_call=in_call):
                self._left.append(id)
        if not in_call:
            if self.monitoring.look(now := self.clock.monotonic_ns()):
                self.alerting.look(now)
            self.granting.adapting.look(now)

    def _handler_failed(self, component: int, sink: int, error: BaseException) -> None:
        member = self.members.get(component)
        if member is None or not member.had_sink(sink):  # another may have the id of one that its call closed
            self.notices.failed_after_close(sink, error)
            return
        self.notices.handler_failed(member, error)
        self.obligations.handler_failed(member, sink)

    def _control(self, link: int, frame: bytes) -> None:
        """A frame that is no data: read it now, tell the engine outside the transport's callback."""
        generation = self.runtime.links[link].generation
        for control in self.controls.read(frame):
            asyncio.get_running_loop().call_soon(self.runtime.control, link, generation, control)

    def _gap(self, stream: int) -> None:
        asyncio.get_running_loop().call_soon(
            self.notices.tell,
            StatusKind.GAP,
            [stream],
            "trades may be missing: the snapshot's last one was not seen",
        )
