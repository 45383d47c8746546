"""Waiting until what a component wants is proven."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from . import _columns
from .errors import ComponentClosed, SubscribeError, SubscribeTimeout
from .types import Evidence, Int32Array, StreamState, Topic

if TYPE_CHECKING:
    from ._ledger import Ledger
    from .engine.engine import Engine
    from .engine.topics import TopicRow
    from .intent import Intent
    from .members import Member

NAMED_AT_MOST = 5


class _Wait:
    def __init__(self, member: Member, topics: Int32Array, streams: Int32Array, needs_data: bool) -> None:
        self.member = member
        self.needs_data = needs_data
        self.topics = topics
        self.streams = set(streams.tolist())
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def is_met_by(self, row: TopicRow) -> bool:
        """Whether a stream that stands like this is proven as it was asked for."""
        return row.state is StreamState.OPEN and bool(not self.needs_data or row.evidence & Evidence.DATA)


class Waits:
    """All `live()` calls under way. A notice about streams costs O(streams) a wait they concern."""

    def __init__(self, engine: Engine, intent: Intent, ledger: Ledger) -> None:
        self._engine = engine
        self._intent = intent
        self._ledger = ledger
        self._waits: set[_Wait] = set()

    async def wait(self, member: Member, timeout: float | None, *, needs_data: bool = False) -> None:
        """Until every topic held now is OPEN, and had data where that is needed.

        Raises SubscribeError, SubscribeTimeout, ComponentClosed. Cancel-safe.
        """
        topics = self._ledger.interests(member.id)
        if not len(topics):
            return
        streams = np.unique(_columns.topic_columns(self._ledger, topics)[0])
        wait = _Wait(member, topics, streams, needs_data)
        self._judge(wait)
        self._waits.add(wait)
        try:
            async with asyncio.timeout(timeout):
                await wait.future
        except TimeoutError:
            raise self._error(wait, SubscribeTimeout, f"not proven within {timeout:g} s") from None
        finally:
            self._waits.discard(wait)

    def changed(self, streams: Int32Array) -> None:
        """These streams may be in another state, or have had their first data."""
        if self._waits:
            touched = set(streams.tolist())
            for wait in list(self._waits):
                if touched & wait.streams:
                    self._judge(wait)

    def forget(self, member: Member) -> None:
        """The component was closed: its waits end with ComponentClosed."""
        for wait in self._waits:
            if wait.member is member and not wait.future.done():
                wait.future.set_exception(
                    ComponentClosed(f"component {member.name!r} was closed while it waited")
                )

    def _judge(self, wait: _Wait) -> None:
        if wait.future.done():
            return
        held = wait.topics[_columns.holds_many(self._ledger, wait.member.id, wait.topics)]
        streams = set(_columns.topic_columns(self._ledger, held)[0].tolist())
        wait.streams &= streams
        rows = [self._engine.row(stream) for stream in wait.streams]
        if any(row.state is StreamState.REFUSED for row in rows):
            wait.future.set_exception(self._error(wait, SubscribeError, "refused"))
        elif all(wait.is_met_by(row) for row in rows):
            wait.future.set_result(None)

    def _error(self, wait: _Wait, kind: type[SubscribeError], what: str) -> SubscribeError:
        held = wait.topics[_columns.holds_many(self._ledger, wait.member.id, wait.topics)]
        streams = _columns.topic_columns(self._ledger, held)[0].tolist()
        reasons: dict[Topic, str] = {}
        for topic, stream in zip(self._intent.topics_of(held), streams, strict=True):
            row = self._engine.row(stream)
            if wait.is_met_by(row) or (kind is SubscribeError and row.state is not StreamState.REFUSED):
                continue
            silent = "open, no data yet" if row.state is StreamState.OPEN else row.state.name.lower()
            reasons[topic] = row.reason or silent
        some = ", ".join(f"{topic} ({reason})" for topic, reason in list(reasons.items())[:NAMED_AT_MOST])
        more = f" and {len(reasons) - NAMED_AT_MOST} more" if len(reasons) > NAMED_AT_MOST else ""
        return kind(f"component {wait.member.name!r}: {len(reasons)} topics {what}: {some}{more}", reasons)
