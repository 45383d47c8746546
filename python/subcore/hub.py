"""Everything a manager owns, put together: core tables, engine, runtime, members, markets, recorder."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import weakref
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _columns
from ._delivery import Delivery, WakeBatch
from ._feed import Feed
from ._intern import Interner
from ._ledger import Ledger
from ._meter import Meter
from ._route import Router
from ._scan import Scanner
from ._schema import Schema
from ._sets import WireSet
from .clock import Clock
from .engine import events
from .engine.engine import Engine
from .intent import Act, Intent, Wish
from .link import Connect, Link
from .listening import raise_in_loop
from .markets import MarketList, Markets
from .members import Member, Ties
from .notices import Notices
from .reports import Reports
from .restoring import RestoreReport, make_report
from .runtime import Runtime
from .transaction import Transactions
from .types import Int32Array, Priority, StatusKind, StreamState, Topic
from .venue import Venue
from .waits import Waits

if TYPE_CHECKING:
    from ._listener import FeedListener
    from .component import Component, Handler, OnStatus
    from .engine.actions import Notify
    from .engine.restore import Restore
    from .recording import Recorder

log = logging.getLogger("subcore.manager")

MARKETS_EVERY_S = 600.0
MAX_COMPONENTS = 65_536
RESTORES_KEPT = 16
_COMPONENT = attrgetter("component")


class Hub:
    """The inside of one manager. Belongs to the loop's thread."""

    def __init__(
        self,
        venue: Venue,
        *,
        channel_priority: Mapping[str, Priority],
        clock: Clock,
        connect: Connect | None,
        markets: Markets | None,
        own_markets: bool,
        replay: tuple[Path, float] | None,
        seed: int | None,
    ) -> None:
        seed = secrets.randbits(63) if seed is None else seed
        self.venue = venue
        self.clock = clock
        self._priorities = {
            index: Priority(p) for c, p in channel_priority.items() for index in venue.channel_indexes(c)
        }
        self.members: dict[int, Member] = {}
        self.names: set[str] = set()
        self.restores: deque[RestoreReport] = deque(maxlen=RESTORES_KEPT)
        self._gone: deque[int] = deque()  # sinks whose object was collected
        self._left: deque[int] = deque()  # components whose last reference or owner went
        self._pinned: dict[int, Component] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._good_asks: dict[tuple[str, int | None], int] = {}  # (channel, depth) the venue has: its index
        self._good_channels: dict[str, int] = {}  # ... without depth
        self._recorder: Recorder | None = None
        self._replay = replay
        self.ledger = Ledger(max_components=MAX_COMPONENTS, seed=seed)
        self.interner = Interner(seed=seed)
        self.router = Router(self.ledger, gone=self._gone, on_error=self._handler_failed)
        self.meter = Meter(len(venue.channels))
        wire_names, names = [c.wire_name for c in venue.channels], [c.name for c in venue.channels]
        self.scanner = Scanner(Schema(venue.load_fields(), wire_names, names), self.interner)
        self.feed = Feed(venue.name, self.scanner, self.ledger, self.meter, self.router)
        self.intent = Intent(venue, self.interner, self.ledger, self.router)
        self.intent.on_grouping = self._set_groupings
        self.markets = MarketList(
            venue.name,
            source=markets,
            url=venue.markets_url if own_markets else None,
            parse=venue.parse_markets,
        )
        self.engine = Engine(
            venue, self.intent, WireSet, random.Random(seed), symbols=self.markets.load_cached()
        )
        self.runtime = Runtime(
            self.engine, self.ledger, self.meter, owner=self, connect=self._connect(connect), clock=clock
        )
        self.wakes = WakeBatch(lambda flush: asyncio.get_running_loop().call_soon(flush))
        self.feed.on_evidence = self.runtime.evidence_waits
        self.feed.on_control = self._control
        self.feed.on_fatal = raise_in_loop
        self.feed.on_gap = self._gap
        self._expect_format()
        self.notices = Notices(self.router, self.intent, self.members, clock)
        self._ties = Ties(self.router, self.wakes, self._left, self.notices.loss)
        self.waits = Waits(self.engine, self.intent, self.ledger)
        self.reports = Reports(self)
        self.transactions = Transactions(self._grant, self._check_symbols)

    def _connect(self, given: Connect | None) -> Connect:
        if given is not None:
            return given
        if self._replay is not None:
            from .replaying import ReplayConnection

            return ReplayConnection(*self._replay, hub=self)
        from .dialing import Dialer

        return Dialer()

    # -- life --

    def start(self) -> None:
        """Arm timers; fetch the list of markets beside the connect."""
        self.runtime.start()
        if self.markets.available:
            self._spawn(self._refresh_markets(), "markets")

    async def close(self, timeout: float) -> tuple[int, list[str]]:
        """End links, tasks and the recorder; the number of links closed, and what did not end in time."""
        links = sum(link.is_up for link in self.runtime.links.values())
        try:
            unfinished = await self.runtime.close(timeout)
        finally:
            for task in self._tasks:
                task.cancel()
            recorder, self._recorder = self._recorder, None
            if recorder is not None:
                recorder.close(timeout)
        if self._tasks:
            _, pending = await asyncio.wait(self._tasks, timeout=timeout)
            unfinished += [task.get_name() for task in pending]
        return links, unfinished

    def record(self, path: str | Path) -> None:
        """See SubscriptionManager.record."""
        from .recording import Recorder

        recorder = Recorder(path)
        earlier, self._recorder = self._recorder, recorder
        self.feed.recorder = recorder.write
        if earlier is not None:
            earlier.close()

    # -- members --

    def add_member(
        self,
        name: str,
        *,
        priority: Priority,
        delivery: Delivery | None,
        on_status: OnStatus | None,
        include_status: bool,
    ) -> Member:
        """A new component in the ledger. CapacityError where there are too many."""
        member = Member(
            self.ledger.open_component(),
            name,
            self._ties,
            priority,
            delivery,
            on_status,
            include_status,
        )
        self.members[member.id] = member
        self.names.add(name)
        return member

    def attach(self, member: Member, component: Component, owner: object | None) -> None:
        """Tie a member to what the user holds."""
        member.handle = weakref.ref(component)
        if owner is None:
            return
        member.set_owner(owner)
        if isinstance(owner, asyncio.Future):
            owner.add_done_callback(lambda _: member.left_behind())

    def close_member(self, member: Member) -> None:
        """Remove a component: nothing is delivered to it after this returns."""
        member.closed = True
        member.release_all()
        self.intent.close(member.id)
        self.waits.forget(member)
        del self.members[member.id]
        self.names.discard(member.name)
        self._pinned.pop(member.id, None)
        member.close_queue()
        self.notices.forget(member.id)
        self.runtime.changed()

    def set_paused(self, member: Member, flag: bool) -> None:
        """Interests of a paused component stay in the ledger, count for nothing, and get nothing."""
        if member.paused != flag:
            member.paused = flag
            self.ledger.pause(member.id, flag)
            for sink in member.sinks:
                self.router.mute_sink(sink, flag)
            self.runtime.changed()

    def topics_of(self, member: Member) -> tuple[Topic, ...]:
        """What a component wants; nothing once it is closed."""
        if member.closed:
            return ()
        return tuple(self.intent.topics_of(self.ledger.interests(member.id)))

    # -- wishes --

    def check_topics(
        self, channel: str, symbols: tuple[str, ...], depth: int | None, grouping: float | None
    ) -> int:
        """Check the parameters; the channel's index. Symbols not seen before are checked where the wish is granted."""
        if self._gone:
            self._collect()
        if grouping is None:
            try:
                return self._good_asks[channel, depth]
            except (KeyError, TypeError):
                pass  # not asked before, or no number: the venue says what is wrong with it
        index = self.venue.channel_index(channel, depth)
        if not symbols:
            return index
        self.venue.check_topic(Topic(channel, symbols[0], depth, grouping))
        if grouping is None:
            self._good_asks[channel, depth] = index
            if depth is None:
                self._good_channels[channel] = index
        else:  # which markets have it is the venue's matter
            for symbol in symbols[1:]:
                self.venue.check_topic(Topic(channel, symbol, depth, grouping))
        return index

    def channel_index(self, channel: str) -> int:
        """Place of a channel among the venue's. UnsupportedError naming those there are."""
        try:
            return self._good_channels[channel]
        except (KeyError, TypeError):
            return self.venue.channel_index(channel)

    def class_of(self, channel: int, priority: Priority | None, member: Member) -> int:
        """Class of an interest: the call's, else the channel's, else the component's."""
        if priority is not None:
            return int(Priority(priority))
        return int(self._priorities.get(channel, member.priority))

    def add_known(
        self,
        component: Component,
        member: Member,
        channel: str,
        symbols: Iterable[str],
        handler: Handler | None,
    ) -> bool:
        """Grant the common wish at once: a checked handler, no options, symbols that all have a stream by now.

        False where it is another one: then nothing has changed. Cost: one look-up a symbol.
        """
        if self._gone or self.transactions.wishes() is not None or type(channel) is not str:
            return False
        index = self._good_channels.get(channel)
        topics = None if index is None else self.intent.known_topics(index, symbols)
        if index is None or topics is None:
            return False
        keeps = handler is None and member.has_handlers
        cls = self._priorities.get(index, member.priority)
        try:
            self.intent.grant_known(member.sink(handler), topics, cls, keeps)
        except BaseException:  # a sink may have been made for what is not to be
            self._repin(member)
            raise
        if handler is not None and member.has_one_sink:  # what _repin would find out
            self._pinned[member.id] = component
        else:
            self._repin(member)
        if self.engine.streams.reasons:
            self._ask_again(np.unique(_columns.topic_columns(self.ledger, topics)[0]))
        self.runtime.changed()
        return True

    def _check_symbols(self, wish: Wish) -> None:
        """Raise for symbols not seen before that the venue would not understand."""
        if wish.act is Act.REMOVE or wish.symbols is None:
            return
        for place in np.flatnonzero(self.interner.get_many(wish.symbols) < 0).tolist():
            self.venue.check_symbol(wish.symbols[place])

    def _grant(self, wishes: Sequence[Wish]) -> None:
        """Carry out all or none of these; those of components closed meanwhile are passed over."""
        if len(wishes) > 1 or wishes[0].component not in self.members:
            wishes = [wish for wish in wishes if wish.component in self.members]
        try:
            granted = self.intent.grant(wishes)
        finally:  # after an error too: a sink may have been made for what is not to be
            for component in dict.fromkeys(map(_COMPONENT, wishes)):
                self._repin(self.members[component])
        if self.engine.streams.reasons:
            self._ask_again(self.intent.streams_wanted(granted))
        self.runtime.changed()

    def _ask_again(self, streams: Int32Array) -> None:
        """A REFUSED stream gets another chance when somebody asks for it anew."""
        refused = self.engine.streams.in_state(self._seen(streams), StreamState.REFUSED)
        if len(refused) and self.runtime.is_running:
            asyncio.get_running_loop().call_soon(self.runtime.handle, events.AskedAgain(refused))

    def _seen(self, streams: Int32Array) -> Int32Array:
        """Those the engine's columns have room for."""
        return streams[streams < len(self.engine.streams.state)]

    def _repin(self, member: Member) -> None:
        """A component with handlers lives without anybody holding it."""
        member.release_idle_sinks()
        handle = member.handle() if member.handle is not None else None
        if member.has_handlers and handle is not None:
            self._pinned[member.id] = handle
        else:
            self._pinned.pop(member.id, None)

    def _set_groupings(self, variants: dict[float, int]) -> None:
        for index, channel in enumerate(self.venue.channels):
            if channel.grouping:
                self.scanner.set_variants(index, variants)

    # -- what the runtime asks --

    def make_listener(self, link: Link, generation: int) -> FeedListener:
        """See RuntimeOwner."""
        from .listening import make_listener

        return make_listener(self.feed, link, generation, self.runtime)

    def notify(self, notice: Notify) -> None:
        """See RuntimeOwner."""
        self.notices.spread(notice)
        self.waits.changed(notice.streams)

    def release_streams(self, streams: Int32Array) -> None:
        """See RuntimeOwner."""
        self.meter.reset_streams(streams)
        self.intent.release(streams)

    def request_markets(self) -> None:
        """See RuntimeOwner."""
        self._spawn(self._ask_markets(), "markets")

    def restored(self, restore: Restore) -> None:
        """See RuntimeOwner."""
        self.restores.append(self.report_of(restore))

    def report_of(self, restore: Restore) -> RestoreReport:
        """The account of a restore, over or under way."""
        return make_report(restore, self.intent, self.clock.time_ns() - self.clock.monotonic_ns())

    def turn_done(self) -> None:
        """See RuntimeOwner."""
        self.intent.tidy(self.engine.knows)

    def housekeeping(self) -> None:
        """See RuntimeOwner: what the garbage collector noted is carried out here."""
        self._collect()
        while self._left:
            member = self.members.get(self._left.popleft())
            if member is not None and not self._is_held(member):
                log.warning("component %r is removed: nobody holds it, or its owner is gone", member.name)
                self.close_member(member)

    def _is_held(self, member: Member) -> bool:
        return member.handle is not None and member.handle() is not None and not member.owner_done()

    def _collect(self) -> None:
        """Interests of handlers whose object is gone."""
        while self._gone:
            sink = self._gone.popleft()
            for member in list(self.members.values()):
                if sink in member.sinks:
                    topics = self.router.topics_of_sink(sink)
                    member.forget_sink(sink)
                    log.warning(
                        "component %r: the object of a handler is gone; %d topics go",
                        member.name,
                        len(topics),
                    )
                    self.intent.drop(member.id, topics)
                    self._repin(member)
                    self.runtime.changed()
                    break

    def _handler_failed(self, component: int, sink: int, error: BaseException) -> None:
        member = self.members.get(component)
        if member is not None:
            self.notices.handler_failed(member, error)

    def _expect_format(self) -> None:
        """Frames in another format than the one asked for are read all the same, and counted."""
        asked = str(self.venue.options.get("format", ""))
        name = {"SIMPLE_LIST": "SIMPLE", "JSON_LIST": "DEFAULT"}.get(asked, asked)
        formats = self.scanner.schema.formats
        self.feed.expected_format = formats.index(name) if name in formats else -1

    def _control(self, link: int, frame: bytes) -> None:
        """A frame that is no data: read it now, tell the engine outside the transport's callback."""
        generation = self.runtime.links[link].generation
        for control in self.venue.decode_control(frame):
            asyncio.get_running_loop().call_soon(self.runtime.control, link, generation, control)

    def _gap(self, stream: int) -> None:
        asyncio.get_running_loop().call_soon(
            self.notices.tell,
            StatusKind.GAP,
            [stream],
            "trades may be missing: the snapshot's last one was not seen",
        )

    # -- tasks --

    def _spawn(self, work: Any, name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"subcore-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_markets(self) -> None:
        self.runtime.handle(events.SymbolsKnown(await self.markets.refresh()))

    async def _refresh_markets(self) -> None:
        while True:
            await self._ask_markets()
            await asyncio.sleep(MARKETS_EVERY_S)
