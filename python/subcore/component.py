"""A component: what a user holds to say what is wanted and to read what comes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from ._delivery import Delivery
from ._ring import RingReader
from .checking import (
    as_step,
    check_depth,
    check_flags,
    check_handler,
    check_policy,
    check_rate,
    check_seconds,
)
from .errors import ConflictError, SubscribeTimeout, UsageError
from .figures import ComponentStats
from .intent import Act, Wish, as_symbols
from .reading import Reader
from .types import Priority, Status, Topic

if TYPE_CHECKING:
    from .hub import Hub
    from .manager import SubscriptionManager
    from .members import Member

Handler = Callable[[Any], Any]
OnStatus = Callable[[Status], Any]


class SubscribeOptions(TypedDict, total=False):
    """What `subscribe` and `replace` take by keyword, all optional.

    `depth`: book levels a side (all). `grouping`: price step of the book (the venue's own). `raw`: events carry the
    frame's own bytes (no); subscribing again without it takes them away.
    `priority`: class of these interests (the channel's, else the component's). `delivery`: without a handler, a
    `Queue(...)`, `Latest()` or `Ring(size)` for these topics (the component's own); asked for again without handler and
    policy, a topic stays where it goes. Beside a plain handler only `Callback()`, which it is anyway; beside an async
    one a `Queue`, in which its events wait (`Queue(8192)`); the last one given counts.
    `standby`: two links carry these streams, and the first copy of each event wins (no): the loss of one link loses no
    event then. `own_link`: these streams share no link but with others that ask for the same (no), so nobody else's
    change or bad request touches them; for class CRITICAL only, since connections are few. Both are asked for anew each
    time: subscribing again without one takes it away.
    `max_rate`: at most so many events a second of each topic (all), evenly spaced, with the newest in the end; what is
    left out is counted as conflated, it is no loss. Subscribing again without it takes it away. `image`: who joins a
    stream that is known already gets its last event at once, marked `is_image` and with its own times (yes).
    """

    depth: int | None
    grouping: float | None
    raw: bool
    priority: Priority | None
    delivery: Delivery | None
    standby: bool
    own_link: bool
    max_rate: float | None
    image: bool


class Component(Reader):
    """A named consumer of events. Made by `SubscriptionManager.component`, never directly.

    All methods belong to the loop's thread, are synchronous unless `async`, and never call a handler. Calls on a closed
    component raise ComponentClosed, on one that was reaped ComponentReaped, which says when and why; `close` itself is
    idempotent. Without handlers a component dies with its last
    reference; with handlers it lives until `close()`, or until the objects of all its bound methods are gone.
    """

    def __init__(self, manager: SubscriptionManager, hub: Hub, member: Member) -> None:
        self._manager = manager
        self._hub = hub
        self._granting = hub.granting
        self._member = member

    # -- what is wanted --

    def subscribe(
        self,
        channel: str,
        symbols: str | Iterable[str],
        handler: Handler | None = None,
        **options: Unpack[SubscribeOptions],
    ) -> None:
        """Say that these topics are wanted. Never waits; the wire follows at the end of the loop turn.

        Subscribing again replaces the handler and options and sends nothing (`handler=None` keeps the handler).
        An async handler is awaited, one call at a time and in order, in a task of its own; what comes meanwhile waits
        in a queue. One that no topic uses any more is given what waits. `close()` drops that, and cancels its call
        under way (but not one that closes the component itself).
        "*" asks for all symbols, where the channel has that (an account's orders and balances).
        `options`: `depth`: book levels a side; `grouping`: price step of the book; `raw`: events carry the frame's own
        bytes; `priority`: class of these interests; `standby`: two links carry them; `own_link`: they share none with
        what others want; `max_rate`: events a second of each topic; `image=False`: not the last event of a stream that
        is known already; `delivery`: see SubscribeOptions.
        Raises UsageError (also UnsupportedError, UnknownSymbolError, ConflictError) or CapacityError, and then has
        changed nothing; within a transaction conflicts raise at its end. What can be served together is: two depths
        of a book share one stream, see `manager.conflicts`.
        Cost: about 0.1 us a symbol.
        """
        if not options:
            member = self._live()
            if handler is not None:
                check_handler(handler, None)
            if self._granting.add_known(self, member, channel, symbols, handler):
                return
        self._want(Act.ADD, channel, symbols, handler, **options)

    def replace(
        self,
        channel: str,
        symbols: str | Iterable[str],
        handler: Handler | None = None,
        **options: Unpack[SubscribeOptions],
    ) -> None:
        """Want exactly these topics of the channel: others of it go, new ones come. As `subscribe` otherwise."""
        self._want(Act.REPLACE, channel, symbols, handler, **options)

    def unsubscribe(
        self,
        channel: str,
        symbols: str | Iterable[str] | None = None,
        *,
        depth: int | None = None,
        grouping: float | None = None,
    ) -> None:
        """Want these topics no longer; `symbols=None` means all of the channel. What is not held is passed over."""
        member = self._live()
        index = self._granting.channel_index(channel)
        check_depth(depth)
        step = None if grouping is None else as_step(grouping)
        given = None
        if symbols is not None:
            given = self._granting.as_keyed(index, as_symbols(symbols, "unsubscribe"))
        self._granting.transactions.submit(Wish(Act.REMOVE, member.id, index, given, depth, step))

    def adopt(self, handler: Handler | None = None, *, raw: bool = False) -> int:
        """Confirm all its provisional topics, as `subscribe` would, in their restored classes; how many they were.

        They go to `handler` (plain or async), or to its own queue. Sends nothing.
        """
        member = self._live()
        check_handler(handler, None)
        check_flags(raw=raw)
        return self._hub.claims.adopt(member, handler, raw)

    def pause(self) -> None:
        """Get nothing from now on; the interests stay, but no longer hold their streams on the wire. Idempotent.

        A `live()` under way ends with UsageError.
        """
        self._hub.set_paused(self._live(), True)

    def resume(self) -> None:
        """Undo `pause`; and say that it goes on: a quarantine ends, and it has all its time again. Idempotent."""
        self._hub.set_paused(self._live(), False)
        self._hub.obligations.forgive(self._member)

    def heartbeat(self) -> None:
        """Say that it is alive, where it promised to with `heartbeat=`; three in a row missed are held against it.

        UsageError where it promised nothing. About 0.3 us; nothing else happens in the call.
        """
        self._hub.obligations.beat(self._live())

    def close(self) -> None:
        """Remove it and its interests; nothing arrives after. What is queued can still be read. Idempotent."""
        self._manager.check_thread()
        if not self._member.closed:
            self._hub.close_member(self._member)

    # -- what comes --

    async def live(self, timeout: float | None = None, *, evidence: Literal["any", "data"] = "any") -> None:
        """Wait until everything wanted now is proven; with `evidence="data"` by data, and not by the venue's listing.

        A market that does not trade has no data for hours: give a `timeout` then. Raises SubscribeError at once when a
        stream is refused (one asked for again in this turn is not, until the venue has answered), SubscribeTimeout
        after `timeout` seconds; both name what is missing and why. What is wanted no longer is not waited for.
        While load suspends it (`adapt=`) nothing is proven, for minutes perhaps; the error at a timeout says so.
        UsageError while it is paused, also when `pause()` comes meanwhile. Cancelling it changes nothing.
        """
        if evidence not in ("any", "data"):
            raise UsageError(f'evidence is "any" or "data", not {evidence!r}')
        if timeout is not None:
            check_seconds("timeout", timeout)
        await self._hub.waits.wait(self._live(), timeout, needs_data=evidence == "data")

    def ring(self, channel: str, *, size: int | None = None) -> RingReader:
        """A new reader of the ring that holds a channel's newest events as rows of numbers; see `Ring`.

        It begins with the oldest row kept. `size` says which where the channel has rings of several sizes. UsageError
        where there is none. The reader works on when the component is closed.
        """
        self._check_thread()
        self._granting.channel_index(channel)
        try:
            return self._member.boxes.reader(channel, size, self._hub.intent.texts)
        except UsageError as error:
            error.args = (f"component {self.name!r}: {error}",)
            raise

    async def __aenter__(self) -> Component:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    # -- what it is --

    @property
    def name(self) -> str:
        """Unique among the manager's live components."""
        return self._member.name

    @property
    def priority(self) -> Priority:
        """Class of its interests where neither the call nor the channel says otherwise."""
        return self._member.priority

    @property
    def closed(self) -> bool:
        """True after `close()`, and once it was reaped."""
        return self._member.closed

    @property
    def paused(self) -> bool:
        """True between `pause()` and `resume()`."""
        return self._member.paused

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What it wants now, in no particular order. O(its interests)."""
        self._manager.check_thread()
        return self._hub.topics_of(self._member)

    @property
    def provisional(self) -> tuple[Topic, ...]:
        """Of its topics, those a snapshot brought back that nobody confirmed yet. O(its interests)."""
        self._manager.check_thread()
        member = self._member
        return (
            () if member.closed else tuple(self._hub.intent.topics_of(self._hub.claims.provisional(member)))
        )

    def stats(self) -> ComponentStats:
        """Figures, also of a closed component. May be called from any thread."""
        return self._hub.measuring.component(self._member)

    def __repr__(self) -> str:
        state = "closed" if self.closed else "paused" if self.paused else "live"
        return f"<Component {self.name!r} {state}>"

    def __del__(self) -> None:
        member = getattr(self, "_member", None)
        if member is not None and not member.closed:
            # may run in any thread and in the middle of anything: only note it, the loop does the rest
            member.left_behind()
            warnings.warn(
                f"component {member.name!r} was not closed", ResourceWarning, stacklevel=2, source=self
            )

    # -- inside --

    def _live(self) -> Member:
        self._manager.check_thread()
        member = self._member
        if member.closed:
            raise member.closed_error()
        return member

    def _holds(self, channel: str, symbols: tuple[str, ...]) -> bool:
        """Whether it wants all of these already, however: what is held stays where it is delivered to."""
        held = {topic.symbol for topic in self._hub.topics_of(self._member) if topic.channel == channel}
        return held.issuperset(symbols)

    def _want(
        self,
        act: Act,
        channel: str,
        symbols: str | Iterable[str],
        handler: Handler | None,
        *,
        depth: int | None = None,
        grouping: float | None = None,
        raw: bool = False,
        priority: Priority | None = None,
        delivery: Delivery | None = None,
        standby: bool = False,
        own_link: bool = False,
        max_rate: float | None = None,
        image: bool = True,
    ) -> None:
        member, granting = self._live(), self._granting
        check_handler(handler, delivery)
        check_rate(max_rate)
        if depth is not None:
            check_depth(depth)
        if raw is not False or standby is not False or own_link is not False or image is not True:
            check_flags(raw=raw, standby=standby, own_link=own_link, image=image)
        given = as_symbols(symbols, act.value)
        try:
            index = granting.check_topics(channel, given, depth, grouping)
            given = granting.as_keyed(index, given)
            cls = granting.class_of(index, priority, member)
            if own_link and cls != Priority.CRITICAL:
                raise UsageError(
                    "own_link= is for what is CRITICAL: give priority=Priority.CRITICAL too, or leave it out"
                )
            keeps = handler is None and delivery is None and member.has_choice
            may_keep = handler is None and delivery is None and granting.transactions.is_open
            chosen_before = may_keep and granting.transactions.has_choice_of(member.id)
            if handler is None and not chosen_before and not (keeps and self._holds(channel, given)):
                check_policy(delivery, member.delivery, granting.venue.channels[index], raw=raw)
            sink = member.sink_maker(handler, raw, delivery, index)
            granting.transactions.submit(
                Wish(
                    act,
                    member.id,
                    index,
                    given,
                    depth,
                    as_step(grouping) if grouping else None,
                    cls,
                    sink,
                    (lambda: member.has_choice) if may_keep else keeps,  # who chose in this block counts
                    self,
                    standby,
                    own_link,
                    image,
                    max_rate,
                    raw,
                    chosen_before or (may_keep and keeps),  # the block may have given it up by then
                )
            )
        except UsageError as error:
            if not isinstance(error, ConflictError):  # which names it
                error.args = (f"component {member.name!r}: {error}",)
            raise


__all__ = ["Component", "ComponentStats", "Handler", "OnStatus", "SubscribeOptions", "SubscribeTimeout"]
