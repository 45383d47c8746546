"""Waiting until what a component wants is proven."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from . import _columns
from .errors import ComponentClosed, SubscribeError, SubscribeTimeout, UsageError
from .types import Evidence, Int32Array, StreamState, Topic

if TYPE_CHECKING:
    from ._ledger import Ledger
    from .engine.engine import Engine
    from .engine.topics import TopicRow
    from .granting import Granting
    from .intent import Intent
    from .members import Member

NOT_STARTED = "nothing is asked for: the manager is new, await start() first"
NAMED_AT_MOST = 5
EXPLAINED_AT_MOST = 100  # each costs what it says; what is wrong with more is mostly the same


class _Wait:
    def __init__(self, member: Member, topics: Int32Array, needs_data: bool) -> None:
        self.member = member
        self.needs_data = needs_data
        self.topics = topics  # those of them that are still held; fewer each time somebody looks
        self.streams: set[int] = set()
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def is_met_by(self, row: TopicRow) -> bool:
        """Whether a stream that stands like this is proven as it was asked for."""
        return row.state is StreamState.OPEN and bool(not self.needs_data or row.evidence & Evidence.DATA)


class Waits:
    """All `live()` calls under way. A notice about streams costs O(streams) a wait they concern.

    `granting` knows the REFUSED streams that somebody asked for again in this turn, of which it is not known yet what
    became, and who gets nothing while load lasts. `excuse`: called with a component that begins to wait (1), or ends
    (-1), and whether that wait has a timeout: meanwhile nobody reads what it takes by itself. `idle`: why the manager
    asks for nothing at all, "" where it runs.
    """

    def __init__(
        self,
        engine: Engine,
        intent: Intent,
        ledger: Ledger,
        granting: Granting,
        excuse: Callable[[Member, int, bool], None],
        now: Callable[[], int],
        idle: Callable[[], str],
    ) -> None:
        self._engine = engine
        self._intent = intent
        self._ledger = ledger
        self._granting = granting
        self._excuse = excuse
        self._now = now
        self._idle = idle
        self._waits: set[_Wait] = set()

    async def wait(self, member: Member, timeout: float | None, *, needs_data: bool = False) -> None:
        """Until every topic held now is OPEN, and had data where that is needed.

        Raises SubscribeError, SubscribeTimeout, ComponentClosed, UsageError where it is paused. Cancel-safe.
        """
        if member.paused:
            raise self._paused(member)
        topics = self._ledger.interests(member.id)
        if not len(topics):
            return
        wait = _Wait(member, topics, needs_data)
        self._judge(wait)
        self._waits.add(wait)
        self._excuse(member, 1, timeout is not None)
        try:
            async with asyncio.timeout(timeout):
                await wait.future
        except TimeoutError:
            if wait.future.done() and not wait.future.cancelled():
                return wait.future.result()  # it ended in the very turn in which its time ran out
            raise self._error(wait, SubscribeTimeout, f"not proven within {timeout:g} s") from None
        finally:
            self._waits.discard(wait)
            self._excuse(member, -1, timeout is not None)

    def changed(self, streams: Int32Array) -> None:
        """These streams may be in another state, or have had their first data."""
        if self._waits:
            touched = set(streams.tolist())
            for wait in list(self._waits):
                if touched & wait.streams:
                    self._judge(wait)

    def look(self) -> None:
        """At the end of a turn, before ids are given back: what is wanted no longer is not waited for."""
        for wait in list(self._waits):
            self._judge(wait)

    def forget(self, member: Member) -> None:
        """The component was closed, or reaped: its waits end with that error."""
        closed = ComponentClosed(f"component {member.name!r} was closed while it waited")
        self._fail(member, closed if member.reaped is None else member.closed_error())

    def paused(self, member: Member) -> None:
        """The component was paused: what it wants may never be asked for, so its waits end with UsageError."""
        self._fail(member, self._paused(member))

    def _fail(self, member: Member, error: UsageError) -> None:
        for wait in self._waits:
            if wait.member is member and not wait.future.done():
                wait.future.set_exception(error)

    def _paused(self, member: Member) -> UsageError:
        return UsageError(
            f"component {member.name!r} is paused, so nothing is asked for on its account: resume() it before live()"
        )

    def _judge(self, wait: _Wait) -> None:
        if wait.future.done():
            return
        wait.topics = wait.topics[_columns.holds_many(self._ledger, wait.member.id, wait.topics)]
        wanted = np.unique(_columns.topic_columns(self._ledger, wait.topics)[0])
        wait.streams = set(wanted.tolist())
        columns = self._engine.streams
        seen = wanted[wanted < len(columns.state)]
        refused = columns.in_state(seen, StreamState.REFUSED)
        if not self._granting.anew.issuperset(refused.tolist()):
            wait.future.set_exception(self._error(wait, SubscribeError, "refused"))
        elif len(columns.in_state(seen, StreamState.OPEN)) == len(wanted) and (
            not wait.needs_data or all(wait.is_met_by(self._engine.row(stream)) for stream in wait.streams)
        ):
            wait.future.set_result(None)

    def _error(self, wait: _Wait, kind: type[SubscribeError], what: str) -> SubscribeError:
        held = wait.topics[_columns.holds_many(self._ledger, wait.member.id, wait.topics)]
        streams = _columns.topic_columns(self._ledger, held)[0].tolist()
        of_all = self._idle() or self._granting.adapting.suspension(wait.member)
        reasons: dict[Topic, str] = {}
        for topic, stream in zip(self._intent.topics_of(held), streams, strict=True):
            row = self._engine.row(stream)
            if wait.is_met_by(row) or (kind is SubscribeError and row.state is not StreamState.REFUSED):
                continue
            if stream in self._granting.anew:
                reasons[topic] = "asked for again"
                continue
            withheld = self._granting.adapting.withheld.why(stream)
            known = of_all or withheld or row.reason
            if not known and len(reasons) < EXPLAINED_AT_MOST:
                known = self._engine.explain(stream, self._now())
            reasons[topic] = known or row.state.name.lower()
        some = ", ".join(f"{topic} ({reason})" for topic, reason in list(reasons.items())[:NAMED_AT_MOST])
        more = f" and {len(reasons) - NAMED_AT_MOST} more" if len(reasons) > NAMED_AT_MOST else ""
        return kind(f"component {wait.member.name!r}: {len(reasons)} topics {what}: {some}{more}", reasons)
