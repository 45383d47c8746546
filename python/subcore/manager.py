"""The manager: one venue, its links, and the components that share them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from numbers import Real
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any, TypeVar

from ._delivery import Delivery
from .alerting import alerts_of
from .checking import (
    as_priority,
    check_delivery,
    check_flags,
    check_interval,
    check_on_status,
    check_owner,
    check_seconds,
    measures_of,
    rules_of,
)
from .claims import CLAIM_GRACE_S
from .clock import Clock, SystemClock
from .closing import DRAIN_S
from .component import Component, OnStatus
from .engine.link import Role
from .engine.snapshot import Snapshot
from .errors import ManagerClosed, NameTakenError, UsageError
from .looking import Looking
from .markets import Markets
from .opening import Terms, open_component
from .types import CloseReport, Priority
from .venue import Venue
from .venues import get_venue

if TYPE_CHECKING:
    from .engine.adaptive import Adapt
    from .engine.alerts import AlertRules
    from .engine.obligations import Obligations
    from .hub import Hub
    from .link import Connect
    from .logins import Credentials
    from .newest import LatestCall
    from .restoring import RestoreReport

T = TypeVar("T")
MAX_SPEED = 1e9
ROTATE_POLL_S = 0.05


class SubscriptionManager(Looking):
    """Subscriptions of many components to one venue, over as few connections and messages as it allows.

    `venue`: a name (`"upbit"`) or a `Venue`. `url`: another address of it. `markets`: known symbols (read once), a
    (possibly async) callable that gives them, or None for spelling rules only (the default where `url` is given); left
    out, the venue's own list is fetched. While no list can be had, whatever raises, nothing is refused for not being in
    one, and a warning says so. `channel_priority`: class of a channel's interests where the call says none.
    `snapshot_path`: a file that keeps what is wanted, so that a restart finds it: SnapshotError where another process
    has it, where it is another venue's, or no plain file. What it says is held at once, provisionally:
    `component(name)` claims a name with its topics, `subscribe` and `replace` confirm them, and the rest is dropped
    `claim_grace` seconds after the start (of runnable time in which nothing is being restored).
    `credentials`: for channels that need a login, a callable that gives a fresh token (Upbit: a JWT) at each connect;
    async, or plain and then called in a thread of its own. It has 10 s; where it raises, or takes longer, that connect
    failed and is tried again later, and other links go on. Its `account` attribute, if it has one, names whose limits
    count. Nothing of what it gives is kept, logged, recorded or put into a snapshot.
    `latest`: whether the venue's REST is asked for the time of the newest event of streams that are silent, which tells
    a frozen stream from a market that rests (only at the venue's own address, few requests a second at most). False =
    never. A callable is asked instead: it gets topics and gives a mapping of those it knows to exchange times in
    nanoseconds since the epoch; async, or plain and then called in a thread of its own. It has 3 s, and what it raises
    is logged and makes the next question wait.
    `obligations`: how long components that hang, raise or fall silent are waited for, see `Obligations`; None = nobody
    is judged, and left out nobody is with `replay`, which waits for its readers.
    `alerts`: when `issues` and `on_alert` tell of something that is wrong, see `AlertRules`; None = never, and left out
    never with `replay`, whose events are old.
    `adapt`: measures against load: True, or an `Adapt` that says when and which. Lower classes get less first, as caps
    that are shown, told and taken back; nothing is ever taken from CRITICAL, and no trade is conflated, but for what is
    suspended altogether, which CAPPED and RECOVERED say. Off by default,
    since it changes what components get. See `adaptation()`.
    `replay`: a recording to drive the components from, in recorded time times `speed` (0 = as fast as they read).
    `clock`, `connect`, `seed`: for tests; see `subcore.testing`.

    Use it as `async with`, or call `start` and `close`. `component` and `subscribe` also work before. All methods
    belong to the thread of the event loop, but for `stats`, `snapshot` and `call_threadsafe`.
    """

    def __init__(
        self,
        venue: str | Venue,
        *,
        url: str | None = None,
        markets: Markets | EllipsisType | None = ...,
        channel_priority: Mapping[str, Priority] | None = None,
        snapshot_path: str | Path | None = None,
        claim_grace: float = CLAIM_GRACE_S,
        credentials: Credentials | None = None,
        latest: bool | LatestCall = True,
        obligations: Obligations | EllipsisType | None = ...,
        alerts: AlertRules | EllipsisType | None = ...,
        adapt: bool | Adapt = False,
        replay: str | Path | None = None,
        speed: float = 1.0,
        clock: Clock | None = None,
        connect: Connect | None = None,
        seed: int | None = None,
    ) -> None:
        from .hub import Hub
        from .options import Options, as_path

        self.venue = get_venue(venue) if url is None else get_venue(venue).at(url)
        if not isinstance(speed, Real) or not 0 <= speed <= MAX_SPEED:
            raise UsageError(f"speed must be 0 (as fast as read) to {MAX_SPEED:g}, not {speed!r}")
        if replay is not None and connect is not None:
            raise UsageError("replay= is a connection of its own: leave connect= out")
        if credentials is not None and not self.venue.grants:
            raise UsageError(f"{self.venue.name} has no channel that needs a login: leave credentials= out")
        if credentials is not None and not callable(credentials):
            raise UsageError(
                "credentials= takes a callable that gives a token, not the token: it is called at each connect"
            )
        recording = as_path("replay", replay)
        self._clock = SystemClock() if clock is None else clock
        self._thread = threading.get_ident()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._state = "new"
        self._hub: Hub = Hub(
            self.venue,
            Options(
                clock=self._clock,
                connect=connect,
                markets=None if isinstance(markets, EllipsisType) else markets,
                own_markets=markets is ... and url is None and replay is None,
                replay=None if recording is None else (recording, speed),
                snapshot_path=as_path("snapshot_path", snapshot_path),
                claim_grace=claim_grace,
                credentials=credentials,
                latest=latest if callable(latest) else latest and replay is None and connect is None,
                obligations=rules_of(obligations, replay),
                alerts=alerts_of(alerts, replay),
                adapt=measures_of(adapt),
                channel_priority={} if channel_priority is None else channel_priority,
                seed=secrets.randbits(63) if seed is None else seed,
            ),
        )

    # -- life --

    async def start(self) -> None:
        """Begin: what is wanted goes to the wire at the end of this loop turn. UsageError if started before.

        Whatever raises, the manager is closed then, and nothing of it is left.
        """
        if self._state != "new":
            raise UsageError(f"the manager is {self._state}: make a new one to start again")
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._state = "running"
        try:
            self._hub.start()
        except BaseException:  # threads, timers and the lock on the snapshot's file would stay for nobody
            await self.close(drain=0.0)
            raise

    async def close(self, *, timeout: float = 5.0, drain: float = DRAIN_S) -> CloseReport:
        """End every link, task, thread and component, within `timeout` seconds altogether. Idempotent.

        No more events come at once. Consumers at work have `drain` of these seconds: async handlers to work off what
        waits for them, and tasks that read to take what waits; it ends sooner when they have. 0 drops what waits.
        After that calls of async handlers are cancelled (but for one that closes the manager itself), and what waited
        for them is dropped; what is unread stays readable in its component. The report says how much, of whom.
        `async with` drains after a block that ended well, and drops after an exception or a cancellation.
        What ended badly (a recording or the snapshot's file that could not be written, a handler that does not let
        itself be cancelled) is told in the report's `unfinished`, not raised. Cancelling it drops, and leaves the
        manager closed all the same: another call waits for what is left.
        """
        self.check_thread()
        check_seconds("timeout", timeout)
        check_seconds("drain", drain)
        if self._state != "closed":
            self._state = "closed"
            self._hub.closing.begin(min(drain, timeout))
        return await self._hub.closing.ended(timeout, drain)

    async def __aenter__(self) -> SubscriptionManager:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        await self.close(drain=DRAIN_S if kind is None else 0.0)

    # -- components --

    def component(
        self,
        name: str,
        *,
        priority: Priority = Priority.NORMAL,
        delivery: Delivery | None = None,
        on_status: OnStatus | None = None,
        include_status: bool = False,
        heartbeat: float | None = None,
        callback_budget: float | None = None,
        owner: object | None = None,
    ) -> Component:
        """Register a consumer. NameTakenError while a live component has the name.

        `delivery`: how events without a handler wait for it, where `subscribe` does not say: `Queue(...)` (the default,
        `Queue(8192)`) or `Latest()` for iteration, or `Ring(size)` for `Component.ring`. `on_status` is called with
        each `Status`, in order with the data; `include_status=True` puts them into the iteration. When `owner` (a task,
        or any object that can be weakly referenced) is done or gone, so is the component. `heartbeat`: it promises to
        call `component.heartbeat()` at least each so many seconds. `callback_budget`: seconds that one call of its
        handlers, or one step of an async one, may take; `stats()` counts those that took longer.
        A name that came back from a snapshot is claimed: the component has its restored topics, in their restored
        classes; they are proven on the wire and go nowhere until `subscribe`, `replace` or `adopt` confirms them.
        """
        self.check_thread()
        self._check_open()
        if not isinstance(name, str) or not name:
            raise UsageError(f"a component's name is a text that is not empty, not {name!r}")
        priority = as_priority(priority)
        check_delivery(delivery)
        check_on_status(on_status)
        check_flags(include_status=include_status)
        check_owner(owner)
        check_interval("heartbeat", heartbeat)
        check_interval("callback_budget", callback_budget)
        self._hub.obligations.check_promise(heartbeat)
        self._hub.housekeeping(in_call=True)
        if name in self._hub.names:
            raise NameTakenError(
                f"a component named {name!r} is live: close it first, or choose another name"
            )
        terms = Terms(priority, delivery, on_status, include_status, heartbeat, callback_budget, owner)
        return open_component(self._hub, name, terms, lambda member: Component(self, self._hub, member))

    @property
    def components(self) -> dict[str, Component]:
        """The live components by name."""
        self.check_thread()
        found = {
            member.name: member.handle() for member in self._hub.members.values() if member.handle is not None
        }
        return {name: handle for name, handle in found.items() if handle is not None}

    def transaction(self) -> AbstractContextManager[None]:
        """Group the current task's `subscribe`, `replace` and `unsubscribe`: all apply as the outermost block ends.

        Or none: an exception that leaves the block undoes all of them, one that leaves a nested block only those made
        inside it. `close`, `pause`, `resume`, `adopt` and `manager.component` act at once and are not undone. What
        other tasks, handlers and timers ask for meanwhile is not part of the block.
        """
        self.check_thread()
        return self._hub.granting.transactions.begin()

    # -- intent that outlives the manager --

    def snapshot(self) -> Snapshot:
        """What every component wants now, as a value: names, topics, classes, who is paused; no handler, no login.

        May be called from any thread and at any time; nothing waits for it. O(interests).
        """
        return self._hub.saving.take()

    async def restore(self, snapshot: Snapshot, *, adopt: bool = False) -> RestoreReport:
        """Put a snapshot's intent beside what is wanted, as after a restart, and wait until its streams are proven.

        Components that live keep what they have and get what they lack; other names wait to be claimed, and what
        a paused one wanted is not asked for until then; nor is what load suspends, which is not waited for. All of it
        is provisional, for the claim grace; with `adopt` it stays. What cannot be served beside the rest is left out,
        the highest class comes first: `report.rejected`. Returns when each stream is OPEN or REFUSED; a loss meanwhile
        belongs to the same report. SnapshotError: it is another venue's; CapacityError: it does not fit;
        then nothing has changed. ManagerClosed if the manager closes first. Its topics are checked 256 at a time, and
        the loop goes on between; cancelled meanwhile, it changes nothing, and later that only ends the waiting.
        """
        self.check_thread()
        if self._state != "running":
            raise UsageError(f"the manager is {self._state}: only a running one can prove what it restores")
        if not isinstance(snapshot, Snapshot):
            raise UsageError(
                f"restore takes a Snapshot, as manager.snapshot() and Snapshot.from_bytes() give it, not {snapshot!r}"
            )
        check_flags(adopt=adopt)
        return await self._hub.saving.restore(snapshot, adopt)

    def adopt(self) -> None:
        """Keep everything that is provisional now, however long it takes until it is claimed and confirmed."""
        self.check_thread()
        self._hub.claims.adopt_all()

    async def rotate(self, *, timeout: float = 60.0) -> None:
        """Replace every open link by a new one, make before break: each stream is carried all the time.

        Returns when nothing is left on the old links; one that is just finding out who spoils its requests is replaced
        after that, and all are once the venue lets anybody connect (418, 429) and allows one more connection.
        TimeoutError: a successor is not proven within `timeout` seconds; the old link carries on what the new one does
        not, and it is tried again, if it was begun. ManagerClosed: the manager was closed meanwhile. Cancelling it only
        ends the waiting.
        """
        self.check_thread()
        check_seconds("timeout", timeout)
        if self._state != "running":
            raise UsageError(f"the manager is {self._state}: only a running one has links to replace")
        waiting = self._hub.runtime.rotate(None)
        try:
            async with asyncio.timeout(timeout):
                while waiting or self._hub.engine.is_rotating:
                    await asyncio.sleep(ROTATE_POLL_S)
                    self._check_open("while it replaced its links")
                    waiting = self._hub.runtime.rotate(waiting) if waiting else waiting
        except TimeoutError:
            raise TimeoutError(self._unreplaced(waiting, timeout)) from None

    def _unreplaced(self, waiting: Mapping[int, int], timeout: float) -> str:
        known = self._hub.engine.links.values()
        retired = {link.id for link in known if link.role is Role.RETIRED and link.wire.len_target}
        named = ", ".join(f"link {number}" for number in sorted(retired | set(waiting))) or "a link"
        if waiting and not retired:  # nobody may connect, or it is found out who spoils its requests
            then = "It could not be begun, and they carry all they did: call rotate() again later"
        else:
            then = (
                "What their successors do not prove they carry on, and it is tried again: call rotate() with more time "
                "to wait for it"
            )
        return f"not replaced within {timeout:g} s: {named}. {then}, manager.explain(...) says what a topic waits for"

    # -- other --

    def record(self, path: str | Path) -> None:
        """Write every frame received from now on to `path` (.jsonl or .jsonl.gz); ends with the manager.

        Calling it again ends the earlier recording, once what is queued is written; a name still being written to is a
        UsageError. Raises OSError where the file cannot be made. A disk that fails is logged, and told by `close`.
        ManagerClosed once it is closed.
        """
        self.check_thread()
        self._check_open()
        self._hub.record(path)

    def call_threadsafe(self, function: Callable[..., T], *args: Any) -> concurrent.futures.Future[T]:
        """Run `function(*args)` in the loop's thread; from any thread. The future carries its result or exception."""
        loop = self._loop
        if loop is None or self._state != "running":
            raise UsageError("call_threadsafe works between start and close of the manager")
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function(*args))
            except BaseException as error:
                future.set_exception(error)

        loop.call_soon_threadsafe(run)
        return future

    def _check_open(self, meanwhile: str = "") -> None:
        if self._state == "closed":
            closed = f"was closed {meanwhile}" if meanwhile else "is closed"
            raise ManagerClosed(f"the manager {closed}: make a new one")
