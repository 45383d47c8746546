"""Grants what components ask for: checked first, then carried out as a whole or not at all.

Every call that changes what is wanted comes through here. Whom events are delivered to is kept alive, and what is
delivered to objects that are gone is given up. Belongs to the loop's thread.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from . import _columns
from .adapting import Adapting
from .caps import RateCaps
from .checking import as_priority, as_step, check_policy
from .conflicting import Conflicts
from .engine import events
from .errors import UsageError
from .former import FormerNames
from .images import Images
from .intent import Act, Resolved, Wish
from .joining import Joiners
from .standby import Asked
from .transaction import Transactions
from .types import Int32Array, Priority, StreamState, Topic
from .venue import ALL

if TYPE_CHECKING:
    from .component import Component, Handler
    from .engine.adaptive import Adapt
    from .hub import Hub
    from .members import Member

log = logging.getLogger("subcore.manager")

_COMPONENT = attrgetter("component")


class Granting:
    """Wishes of one manager's components. `gone`: sinks whose object was collected, as the router notes them."""

    def __init__(
        self, hub: Hub, channel_priority: Mapping[str, Priority], gone: deque[int], adapt: Adapt | None
    ) -> None:
        venue = self.venue = hub.venue
        self.intent = hub.intent
        self.ledger = hub.ledger
        self.interner = hub.interner
        self.router = hub.router
        self.engine = hub.engine
        self.runtime = hub.runtime
        self.members = hub.members
        self.standby = Asked(hub.ledger, events.StandBy)
        self.own_link = Asked(hub.ledger, events.OwnLink)
        self.caps = RateCaps(hub.feed, hub.notices, hub.clock)
        self.adapting = Adapting(hub, adapt)
        self.images = Images(hub.feed)
        self.joiners = Joiners(
            hub.ledger,
            hub.engine.streams,
            hub.members,
            hub.notices,
            lambda member: hub.claims.provisional(member),
        )
        self.former = FormerNames(hub.intent, hub.members)
        hub.intent.on_drop = self._dropped
        hub.intent.on_kept = lambda component, topics, raw: self.members[component].twins.match(topics, raw)
        hub.intent.on_release = self.former.settle
        self.conflicts = Conflicts(hub.intent, hub.members, self.standby, self.own_link)
        self._grants = hub.grants
        self._has_whole = False
        self._gone = gone
        self._priorities = {
            index: as_priority(p) for c, p in channel_priority.items() for index in venue.channel_indexes(c)
        }
        self.anew: set[int] = set()  # REFUSED streams asked for again since the last turn
        self._pinned: dict[int, Component] = {}
        self._good_asks: dict[tuple[str, int | None], int] = {}  # (channel, depth) the venue has: its index
        self._good_channels: dict[str, int] = {}  # ... without depth
        self.transactions = Transactions(self._grant, self._check_symbols)

    def check_topics(
        self, channel: str, symbols: tuple[str, ...], depth: int | None, grouping: float | None
    ) -> int:
        """Check the parameters; the channel's index. Symbols not seen before are checked where the wish is granted."""
        if self._gone:
            self.collect()
        if grouping is None:
            try:
                return self._good_asks[channel, depth]
            except (KeyError, TypeError):
                pass  # not asked before, or no number: the venue says what is wrong with it
        else:
            as_step(grouping)
        index = self.venue.channel_index(channel, depth)
        if not symbols:
            return index
        self._check_parameters(Topic(channel, symbols[0], depth, grouping))
        if not self.venue.channels[index].needs_symbol:
            for symbol in symbols[1:]:  # which of them may be asked for is the channel's matter
                self._check_parameters(Topic(channel, symbol, depth, grouping))
        elif grouping is None:
            self._good_asks[channel, depth] = index
            if depth is None:
                self._good_channels[channel] = index
        else:  # which markets have it is the venue's matter
            for symbol in symbols[1:]:
                self._check_parameters(Topic(channel, symbol, depth, grouping))
        return index

    def _check_parameters(self, topic: Topic) -> None:
        try:
            self.venue.check_topic(topic, self._grants)
        except UsageError as error:
            error.args = (f"{topic}: {error}",)
            raise

    def as_keyed(self, channel: int, symbols: tuple[str, ...]) -> tuple[str, ...]:
        """Symbols as topics are keyed: where a channel has a stream of all of them, "*" is written "".

        UnknownSymbolError for "" where it has none: the text may be known by now, so nobody else would look.
        """
        if not self.venue.channels[channel].needs_symbol:
            self._has_whole = True
            return tuple("" if symbol == ALL else symbol for symbol in symbols)
        if self._has_whole and "" in symbols:
            self.venue.check_symbol("")
        return symbols

    def check_topic(self, topic: Topic) -> int:
        """Check one topic completely; its channel's index. UsageError."""
        if topic.symbol:
            self.venue.check_symbol(topic.symbol)
        index = self.check_topics(topic.channel, (topic.symbol,), topic.depth, topic.grouping)
        self.as_keyed(index, (topic.symbol,))
        return index

    def connect(self, member: Member, topics: Int32Array, handler: Handler | None, raw: bool) -> None:
        """Deliver topics it holds to this handler, or to its own queue; all or none."""
        if len(topics):
            try:
                for sink, part in self._places(member, topics, handler, raw):
                    self.router.connect(sink, part)
            finally:
                self._repin(member)

    def _places(
        self, member: Member, topics: Int32Array, handler: Handler | None, raw: bool
    ) -> list[tuple[int, Int32Array]]:
        """Sinks of topics of several channels, and which topics go there. UsageError, see check_policy."""
        if handler is not None:
            return [(member.sink(handler, raw), topics)]
        of_topic = _columns.topic_columns(self.ledger, topics)[1]
        channels = np.unique(of_topic).tolist()
        for channel in channels:
            check_policy(None, member.delivery, self.venue.channels[channel], raw=raw)
        return [
            (member.sink(None, raw, channel=channel), topics[of_topic == channel]) for channel in channels
        ]

    def channel_index(self, channel: str) -> int:
        """Place of a channel among the venue's. UnsupportedError naming those there are."""
        try:
            return self._good_channels[channel]
        except (KeyError, TypeError):
            return self.venue.channel_index(channel)

    def class_of(self, channel: int, priority: Priority | None, member: Member) -> int:
        """Class of an interest: the call's, else the channel's, else the component's."""
        if priority is not None:
            return int(as_priority(priority))
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
        if self._gone or self.conflicts.possible or self.transactions.is_open:
            return False
        if type(channel) is not str:
            return False
        index = self._good_channels.get(channel)
        topics = None if index is None else self.intent.known_topics(index, symbols)
        if index is None or topics is None:
            return False
        keeps = handler is None and member.has_choice
        if keeps and member.twins.have_bytes:  # which are not asked for now
            return False
        if handler is None:
            check_policy(None, member.delivery, self.venue.channels[index])
        cls = self._priorities.get(index, member.priority)
        self.joiners.note(member.id, topics)
        try:
            self.intent.grant_known(member.sink(handler, channel=index), topics, cls, keeps)
        except BaseException:  # a sink may have been made for what is not to be
            self._repin(member)
            raise
        self.standby.put(member.id, topics, on=False)
        self.own_link.put(member.id, topics, on=False)
        self.caps.put(member, topics, None)
        self.adapting.touched(member.id)
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
            if wish.symbols[place] or self.venue.channels[wish.channel].needs_symbol:
                self.venue.check_symbol(wish.symbols[place])

    def _grant(self, wishes: Sequence[Wish]) -> None:
        """Carry out all or none of these; those of components closed meanwhile are passed over."""
        if self._gone:  # what is asked for anew may have come into a block before
            self.collect()
        if len(wishes) > 1 or wishes[0].component not in self.members:
            wishes = [wish for wish in wishes if wish.component in self.members]
        granted = None
        try:
            with self.intent.whole:
                granted = self.intent.grant(wishes, self._check)
                for wish, adds, _, _ in granted:
                    self.standby.put(wish.component, adds, wish.standby)
                    self.own_link.put(wish.component, adds, wish.own_link)
                    self.caps.put(self.members[wish.component], adds, wish.max_rate)
                    self.adapting.touched(wish.component)
        finally:  # after an error too: a sink may have been made for what is not to be
            for component in dict.fromkeys(map(_COMPONENT, wishes)):
                if (
                    member := self.members.get(component)
                ) is not None:  # letting go of a handler may close it
                    member.change_policies(granted=granted is not None)
                    self._repin(member)
        self.conflicts.report()
        if self.engine.streams.reasons:
            self._ask_again(self.intent.streams_wanted(granted))
        self.runtime.changed()

    def _check(self, resolved: Sequence[Resolved]) -> None:
        """All that may be held against wishes whose topics are known. ConflictError."""
        self.conflicts.check(resolved)
        for component in dict.fromkeys(wish.component for wish, _, _, _ in resolved):
            self._check_policies(component, resolved)
            if any(wish.may_go_by_own for wish, _, _, _ in resolved if wish.component == component):
                self._check_own_policy(self.members[component], resolved)
        for component in {wish.component for wish, _, _, _ in resolved if wish.raw and wish.keeps_sinks}:
            self.members[component].twins.check(resolved, self.ledger.interests(component))
        for wish, adds, _, _ in resolved:
            self.joiners.note(wish.component, adds)

    def _check_own_policy(self, member: Member, resolved: Sequence[Resolved]) -> None:
        """UsageError where topics would go by its own policy that it does not suit, see check_policy."""
        held = set(self.ledger.interests(member.id).tolist())
        for wish, adds, removes, _ in resolved:
            if wish.component != member.id:
                continue
            held.difference_update(removes.tolist())
            if wish.may_go_by_own and not (wish.keeps_sinks and held.issuperset(adds.tolist())):
                try:
                    check_policy(None, member.delivery, self.venue.channels[wish.channel], raw=wish.raw)
                except UsageError as error:
                    error.args = (f"component {member.name!r}: {error}",)
                    raise
            held.update(adds.tolist())

    def _check_policies(self, component: int, resolved: Sequence[Resolved]) -> None:
        member = self.members[component]
        if member.asks_for_queues:
            parts = [(adds, removes) for wish, adds, removes, _ in resolved if wish.component == component]
            member.check_policies({topic for pair in parts for part in pair for topic in part.tolist()})

    def _dropped(self, component: int, topics: Int32Array) -> None:
        self.caps.dropped(component, topics)
        self.adapting.touched(component)
        self.former.dropped(component, topics)

    def _ask_again(self, streams: Int32Array) -> None:
        """A REFUSED stream gets another chance when somebody asks for it anew."""
        self.anew.update(self.engine.streams.in_state(self._seen(streams), StreamState.REFUSED).tolist())

    def tell_asked_again(self, handle: Callable[[events.Event], object]) -> None:
        """Tell the engine what was asked for anew in this turn."""
        if self.anew:
            streams = np.array(sorted(self.anew), np.int32)
            self.anew.clear()
            handle(events.AskedAgain(streams))

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

    def collect(self) -> None:
        """Interests of handlers that are no more: their object is gone, or their task ended."""
        while self._gone:
            sink = self._gone.popleft()
            for member in list(self.members.values()):
                if sink in member.sinks:
                    topics = self.router.topics_of_sink(sink)
                    member.forget_sink(sink)
                    log.warning(
                        "component %r: a handler is no more (its object is gone, or its task ended); %d topics go",
                        member.name,
                        len(topics),
                    )
                    self.intent.drop(member.id, topics)
                    self._repin(member)
                    self.runtime.changed()
                    break

    def forget(self, member: Member) -> None:
        """A component was closed: nothing keeps it alive any more, and what it asked for is gone."""
        self.transactions.forget(member.id)
        self.standby.forget(member.id)
        self.own_link.forget(member.id)
        self.caps.forget(member)
        self.adapting.left(member)
        self._pinned.pop(member.id, None)

    def turn_done(self, handle: Callable[[events.Event], None]) -> None:
        """What was granted in this turn is asked for: tell of standbys, and joiners of what they join."""
        self.former.settle()
        self.standby.tell(handle)
        self.joiners.tell()
        self.adapting.turn_done()
        self.images.give()

    def end(self) -> None:
        """The manager ends: no timer is left."""
        self.caps.end()
        self.images.end()
