"""The real ledger, routes and names in the place of the driver's plain ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from handlers import Handlers

from subcore import _columns
from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore.engine.events import Changed
from subcore.errors import SubcoreError
from subcore.intent import Act, Intent, Wish
from subcore.types import Int32Array, Priority, StreamColumns, Topic
from subcore.venue import Venue


class CoreLedger:
    """What `EngineDriver` asks of a ledger, and what components ask of a manager: by names, over the compiled core."""

    def __init__(self, venue: Venue, seed: int) -> None:
        self._venue = venue
        self._ledger = Ledger(seed=seed)
        self._interner = Interner(seed=seed)
        self.handlers = Handlers(venue, self._interner, self._ledger, seed)
        self._router = self.handlers.router
        self.intent = Intent(venue, self._interner, self._ledger, self._router)
        self.intent.on_grouping = self.handlers.group
        self._members: dict[str, tuple[int, int]] = {}  # component and sink

    # -- what components do --

    def grant(self, name: str, act: Act, topics: list[Topic], priority: Priority = Priority.NORMAL) -> None:
        """One call's worth of wishes of a component, all or none. Raises what the manager would raise.

        Topics are checked only when all of them are resolved: that nothing has changed then is for Intent to see to.
        """
        component, sink = self._member(name)
        wishes = []
        for topic in topics:
            index = self._venue.channel_index(topic.channel, topic.depth)
            wishes.append(
                Wish(
                    act,
                    component,
                    index,
                    (topic.symbol,),
                    topic.depth,
                    topic.grouping,
                    int(priority),
                    lambda sink=sink: sink,
                )
            )
        if wishes:
            with self._public_call():
                self.intent.grant(wishes, lambda _: self._check(act, topics))

    def _check(self, act: Act, topics: Sequence[Topic]) -> None:
        try:
            for topic in topics if act is not Act.REMOVE else ():
                self._venue.check_topic(topic)
        except SubcoreError:
            self.handlers.counts["calls refused once resolved"] += 1
            raise

    def close(self, name: str) -> None:
        """The component ends."""
        member = self._members.pop(name, None)
        if member is not None:
            with self._public_call():
                self._router.release_sink(member[1])
                self.intent.close(member[0])
            self.handlers.end(name)

    def pause(self, name: str, flag: bool) -> None:
        """Its interests count for nothing, or again."""
        component, sink = self._member(name)
        with self._public_call():
            self._ledger.pause(component, flag)
            self._router.mute_sink(sink, flag)

    @contextmanager
    def _public_call(self) -> Iterator[None]:
        self.handlers.calling += 1
        try:
            yield
        finally:
            self.handlers.calling -= 1

    def _member(self, name: str) -> tuple[int, int]:
        member = self._members.get(name)
        if member is None:
            component = self._ledger.open_component()
            member = self._members[name] = (
                component,
                self._router.new_sink(component, self.handlers.handler(name)),
            )
        return member

    def held(self, name: str) -> set[Topic]:
        """What a component holds, by the ledger's own books."""
        member = self._members.get(name)
        return set() if member is None else set(self.intent.topics_of(self._ledger.interests(member[0])))

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Components, interests and streams it still knows of."""
        return self._ledger.component_count, len(self._ledger), len(self.live())

    # -- what the driver asks --

    def subscribe(self, component: str, topic: Topic, priority: Priority = Priority.NORMAL) -> int:
        """Hold an interest; its stream."""
        self.grant(component, Act.ADD, [topic], priority)
        index = self._venue.channel_index(topic.channel, topic.depth)
        return self.find_stream(index, topic.symbol, topic.grouping or 0.0)

    def unsubscribe(self, component: str, topic: Topic) -> None:
        """Let go of an interest."""
        self.grant(component, Act.REMOVE, [topic])

    def take_edges(self, urgent: bool = False) -> Changed:
        """What changed since the last call."""
        edges = self._ledger.take_edges()
        return Changed(edges.opened, edges.closed, edges.changed, urgent)

    def tidy(self, knows: Callable[[Int32Array], npt.NDArray[np.bool_]]) -> None:
        """Ids the engine never heard of are given back."""
        self.intent.tidy(knows)

    def release(self, streams: Int32Array) -> None:
        """The engine gave these back."""
        self.handlers.release(streams)
        self.intent.release(streams)

    def columns(self, streams: Int32Array) -> StreamColumns:
        """See engine.ports.StreamTable."""
        return self.intent.columns(streams)

    @property
    def is_ahead(self) -> bool:
        """See engine.ports.StreamTable."""
        return self.intent.is_ahead

    def columns_to_write(self, streams: Int32Array) -> StreamColumns:
        """See engine.ports.StreamTable."""
        return self.intent.columns_to_write(streams)

    def channels_of(self, streams: Int32Array) -> list[int]:
        """See engine.ports.StreamTable."""
        return self.intent.channels_of(streams)

    def find_stream(self, channel: int, symbol: str, grouping: float) -> int:
        """See engine.ports.StreamTable."""
        return self.intent.find_stream(channel, symbol, grouping)

    def wanted(self) -> set[int]:
        """Streams with an interest that counts."""
        return set(self._ledger.wanted_streams().tolist())

    def live(self) -> set[int]:
        """Ids in use, wanted or not."""
        return set(_columns.live_streams(self._ledger).tolist())

    def topic(self, stream: int) -> Topic:
        """The stream's name."""
        row = self.intent.columns(np.array([stream], np.int32))
        channel = self._venue.channels[int(row.channels[0])]
        shared = len(self._venue.channel_indexes(channel.name)) > 1
        depth = channel.depths[0] if shared else None
        return Topic(channel.name, row.symbols[0], depth, float(row.groupings[0]) or None)
