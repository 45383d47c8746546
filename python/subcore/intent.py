"""What components want, between the names people use and the ids the core counts.

A wish is checked and resolved completely before any is granted, so a group of wishes lands as a whole or not at all.
Belongs to the loop's thread.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _columns, _names
from ._intern import Interner, exact_texts
from ._ledger import Ledger
from ._route import Router
from .errors import CapacityError, UsageError
from .types import Float64Array, Int32Array, StreamColumns, Topic
from .venue import Venue

NO_TOPICS: Int32Array = np.empty(0, np.int32)
NO_GROUPING = 0.0
MAX_GROUPINGS = 1024  # with that of none
NO_SINK = -1


class Act(Enum):
    """What a wish does to the interests of its component."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@dataclass(slots=True)  # frozen would cost more than all else it takes to make one
class Wish:
    """The content of one call, checked but not yet resolved to ids. Nobody changes it.

    `symbols` None (REMOVE only) = every symbol. `depth`, `grouping` None in a REMOVE = whatever was asked for.
    `standby`: two links shall carry it; `own_link`: one that nobody else shares. `sink` makes the place to deliver to;
    with `keeps_sinks` topics held already stay where they go: a function is asked once it is the wish's turn. `image`:
    who joins a stream gets its last event; `max_rate`: at most so many events a second, see caps. `holder` lives while
    the wish waits in a transaction. `may_go_by_own`: whether its component's own policy suits what goes by that
    is to be seen once it is the wish's turn.
    """

    act: Act
    component: int
    channel: int
    symbols: tuple[str, ...] | None
    depth: int | None = None
    grouping: float | None = None
    priority: int = 1
    sink: Callable[[], int] | None = None
    keeps_sinks: bool | Callable[[], bool] = False
    holder: object = None
    standby: bool = False
    own_link: bool = False
    image: bool = True
    max_rate: float | None = None
    raw: bool = False
    may_go_by_own: bool = False

    @property
    def chooses(self) -> bool:
        """Whether it says where its topics go. Of a wish in a transaction."""
        return self.act is not Act.REMOVE and self.keeps_sinks is False


# A wish, the topics it adds and removes, and where they are delivered to (NO_SINK = it adds none).
Resolved = tuple[Wish, Int32Array, Int32Array, int]


class Intent:
    """Names to ids, and the only writer of ledger and routes. Also the engine's `StreamTable`."""

    def __init__(self, venue: Venue, interner: Interner, ledger: Ledger, router: Router) -> None:
        self.venue = venue
        self.ledger = ledger
        self.interner = interner
        self._router = router
        self._named = [venue.channel_indexes(channel.name) for channel in venue.channels]
        self._groupings: list[float] = [NO_GROUPING]
        self._steps: Float64Array = np.array(self._groupings, np.float64)
        self.whole = (
            threading.RLock()
        )  # held while a change has several steps: no other thread reads half of it
        self._dropped: list[Int32Array] = []  # streams that lost an interest since the last tidy
        self.narrow: Callable[[Int32Array, Int32Array, Int32Array], Int32Array] | None = None  # see Shallows
        self.on_drop: Callable[[int, Int32Array], None] = lambda component, topics: None
        self.on_kept: Callable[[int, Int32Array, bool], None] = lambda component, topics, raw: None
        self.on_release: Callable[[], None] = lambda: None  # before ids are given back
        self.on_grouping: Callable[[dict[float, int]], None] = lambda variants: None

    # -- wishes --

    def grant(
        self, wishes: Sequence[Wish], check: Callable[[Sequence[Resolved]], None] = lambda _: None
    ) -> list[Resolved]:
        """Carry out all wishes or, with an exception, none. Sinks made for none are idle; O(interests touched).

        `check` is given all of them once they are resolved, and may raise.
        """
        resolved: list[Resolved] = []
        try:
            for wish in wishes:
                resolved.append(self._resolve(wish))
                if len(resolved) > 1 and wish.act is not Act.ADD:
                    self._take_back(resolved)
            check(resolved)
        except BaseException:
            for _, adds, _, _ in resolved:
                self.forget(adds)
            raise
        with self.whole:
            for wish, adds, removes, sink in resolved:
                if len(removes):
                    self._drop(wish.component, removes)
                if sink != NO_SINK:
                    self._router.add(sink, adds, wish.priority, keep=bool(wish.keeps_sinks), image=wish.image)
                    if wish.keeps_sinks:
                        self.on_kept(wish.component, adds, wish.raw)
        return resolved

    def streams_wanted(self, granted: Sequence[Resolved]) -> Int32Array:
        """The streams that these wishes asked for, each once."""
        topics = np.concatenate([NO_TOPICS, *(adds for _, adds, _, _ in granted)])
        streams: Int32Array = np.unique(_columns.topic_columns(self.ledger, topics)[0])
        return streams

    def close(self, component: int) -> None:
        """Remove every interest of a component, and its id."""
        self._dropped.append(self._router.close_component(component))

    def drop(self, component: int, topics: Int32Array) -> None:
        """Remove these interests of a component, whoever asks; those not held are passed over."""
        self._drop(component, topics[_columns.holds_many(self.ledger, component, topics)])

    def known_topics(self, channel: int, symbols: Iterable[str]) -> Int32Array | None:
        """What a plain ADD of these symbols asks for, where a look-up tells: each has its topic already.

        None where it takes more than that; see _names. Nothing is made.
        """
        return _names.known_topics(self.interner, self._router, channel, symbols)

    def grant_known(self, sink: int, topics: Int32Array, priority: int, keeps_sinks: bool) -> None:
        """Carry out a plain ADD resolved by `known_topics`, with nothing between the two that could release a topic."""
        self._router.add(sink, topics, priority, keep=keeps_sinks)

    def _drop(self, component: int, topics: Int32Array) -> None:
        self._dropped.append(self._router.remove(component, topics))
        self.on_drop(component, topics)

    def _resolve(self, wish: Wish) -> Resolved:
        if wish.act is Act.REMOVE:
            return wish, NO_TOPICS, self._held(wish), NO_SINK
        if callable(wish.keeps_sinks):  # the sinks of the wishes before it are made by now
            wish = replace(wish, keeps_sinks=wish.keeps_sinks())
        # A sink that cannot be made fails the wish before it has topics.
        sink = wish.sink() if wish.symbols and wish.sink is not None else NO_SINK
        adds = self.topics(wish)
        removes = NO_TOPICS
        if wish.act is Act.REPLACE:
            held = self._held_of_channel(wish.component, wish.channel)
            removes = np.setdiff1d(held, adds).astype(np.int32)
        return wish, adds, removes, sink

    def _take_back(self, resolved: list[Resolved]) -> None:
        """What the last of these removes is no longer added by those before it, which the ledger has not seen yet."""
        last, kept, _, _ = resolved[-1]
        for at, (wish, adds, removes, sink) in enumerate(resolved[:-1]):
            if wish.component != last.component or not len(adds):
                continue
            gone = self._meant(last, adds)
            if last.act is Act.REPLACE:
                gone = np.setdiff1d(gone, kept).astype(np.int32)
            if len(gone):
                self.forget(gone)
                resolved[at] = wish, adds[~np.isin(adds, gone)], removes, sink

    def _meant(self, wish: Wish, topics: Int32Array) -> Int32Array:
        """Those of these topics that a REMOVE or REPLACE is about."""
        _, channels, symbols, _, _ = _columns.topic_columns(self.ledger, topics)
        about = np.isin(channels, self._named[wish.channel])
        if wish.act is Act.REMOVE and wish.symbols is not None:
            about &= np.isin(symbols, self.interner.get_many(wish.symbols))
        return self._with_parameters(wish, topics[about])

    def topics(self, wish: Wish) -> Int32Array:
        """Ids of the topics a wish names, made where there are none; CapacityError with nothing changed."""
        symbols = wish.symbols or ()
        check = self.venue.check_symbol
        if not self.venue.channels[wish.channel].needs_symbol:
            check = self._check_named
        try:
            ids = self.interner.intern_many(symbols, check)
        except CapacityError:
            self.release_unused_symbols()
            ids = self.interner.intern_many(symbols, check)
        variant = self._variant(wish.grouping) if wish.grouping else 0
        return self.ledger.topics(wish.channel, ids, variant, wish.depth or 0)

    def _check_named(self, symbol: str) -> None:
        if symbol:  # "" = all of them
            self.venue.check_symbol(symbol)

    def _variant(self, grouping: float) -> int:
        grouping = float(grouping)  # frames hold doubles: what equals one is one
        if grouping in self._groupings:
            return self._groupings.index(grouping)
        index = len(self._groupings)
        if index >= MAX_GROUPINGS and (index := self._unused_variant()) < 0:
            raise CapacityError(
                f"over {MAX_GROUPINGS - 1:,} different groupings are in use: use fewer price steps"
            )
        groupings = [*self._groupings[:index], grouping, *self._groupings[index + 1 :]]
        self.on_grouping({value: place for place, value in enumerate(groupings) if value != NO_GROUPING})
        self._groupings, self._steps = groupings, np.array(groupings, np.float64)
        return index

    def _unused_variant(self) -> int:
        """One that no stream is told apart by, -1 = none. O(streams); asked only when all are taken."""
        used = set(_columns.stream_columns(self.ledger, _columns.live_streams(self.ledger))[2].tolist())
        return next((index for index in range(1, len(self._groupings)) if index not in used), -1)

    def _held(self, wish: Wish) -> Int32Array:
        """Topics the component holds that a REMOVE means: O(symbols named), or O(its interests) where none are."""
        if wish.symbols is None:
            held = self._held_of_channel(wish.component, wish.channel)
        else:
            held = self._held_of_symbols(wish.component, wish.channel, wish.symbols)
        return self._with_parameters(wish, held)

    def _with_parameters(self, wish: Wish, topics: Int32Array) -> Int32Array:
        """Those a REMOVE that names parameters is about."""
        if wish.act is not Act.REMOVE or not len(topics) or (wish.depth is None and wish.grouping is None):
            return topics
        _, _, _, variants, cuts = _columns.topic_columns(self.ledger, topics)
        keep = np.ones(len(topics), bool)
        if wish.depth is not None:
            keep &= cuts == wish.depth
        if wish.grouping is not None:
            keep &= variants == self._variant_if_known(wish.grouping)
        return topics[keep]

    def _held_of_channel(self, component: int, channel: int) -> Int32Array:
        return _merged([_names.held_of_channel(self.ledger, component, one) for one in self._named[channel]])

    def _held_of_symbols(self, component: int, channel: int, symbols: tuple[str, ...]) -> Int32Array:
        ids, variants = self.interner.get_many(symbols), len(self._groupings)
        return _merged(
            [
                _names.held_of_symbols(self.ledger, component, one, ids, variants)
                for one in self._named[channel]
            ]
        )

    def _variant_if_known(self, grouping: float) -> int:
        grouping = float(grouping)
        return self._groupings.index(grouping) if grouping in self._groupings else -1

    # -- ids given back --

    def release(self, streams: Int32Array) -> None:
        """Give these ids back, but for those somebody holds (a paused component's interests count).

        All of them lose their last event: once asked for anew, the venue says again what is newest.
        """
        self.on_release()
        with self.whole:
            for stream in streams.tolist():
                with contextlib.suppress(ValueError):
                    self.ledger.release_stream(stream)
            self._router.forget_images(streams)

    def tidy(self, is_known: Callable[[Int32Array], npt.NDArray[np.bool_]]) -> None:
        """After the edges were taken: ids the engine never heard of, or has let go, are given back."""
        if not self._dropped:
            return
        streams = np.unique(np.concatenate(self._dropped)).astype(np.int32)
        self._dropped.clear()
        unknown = streams[~is_known(streams)].tolist()
        if unknown:
            self.release(np.array([stream for stream in unknown if self._is_live_stream(stream)], np.int32))

    def _is_live_stream(self, stream: int) -> bool:
        try:
            self.ledger.stream_key(stream)
        except IndexError:
            return False
        return True

    def forget(self, topics: Int32Array) -> None:
        """After a failed change: those of its topics that nobody holds go at the next tidy."""
        self._dropped.append(_columns.topic_columns(self.ledger, topics)[0])

    def release_unused_symbols(self) -> None:
        """Let go of texts no stream is about. O(symbols); asked only when the table is full."""
        used = set(_columns.stream_columns(self.ledger, _columns.live_streams(self.ledger))[1].tolist())
        for symbol in _columns.interned_ids(self.interner).tolist():
            if symbol not in used:
                self.interner.release(symbol)

    # -- what the engine and people ask --

    def columns(self, streams: Int32Array) -> StreamColumns:
        """See engine.ports.StreamTable."""
        channels, symbols, variants, classes, widths = _columns.wanted_columns(self.ledger, streams)
        names = _columns.texts(self.interner, symbols)
        if self.narrow is not None:
            widths = self.narrow(streams, channels, widths)
        return StreamColumns(streams, channels, names, widths, self._steps[variants], classes)

    @property
    def is_ahead(self) -> bool:
        """See engine.ports.StreamTable."""
        return self.ledger.has_edges

    def columns_to_write(self, streams: Int32Array) -> StreamColumns:
        """See engine.ports.StreamTable."""
        if self.narrow is not None:
            return self.columns(streams)
        return _columns.columns_to_write(self.ledger, self.interner, self._steps, streams)

    def channels_of(self, streams: Int32Array) -> list[int]:
        """See engine.ports.StreamTable."""
        return _columns.channels_of(self.ledger, streams)

    def find_stream(self, channel: int, symbol: str, grouping: float) -> int:
        """See engine.ports.StreamTable."""
        text = self.interner.get(symbol)
        variant = self._variant_if_known(grouping)
        if text < 0 or variant < 0:
            return -1
        return self.ledger.get_stream(channel, text, variant)

    @property
    def groupings(self) -> list[float]:
        """Price steps by variant; an index is given to another one when no stream has it any more."""
        return self._groupings

    def texts(self, symbols: Int32Array) -> list[str]:
        """Names of markets by the interner's ids. O(len(symbols))."""
        return _columns.texts(self.interner, symbols)

    def topic_of(self, topic: int) -> Topic:
        """The public name of one topic id."""
        return self.topics_of(np.array([topic], np.int32))[0]

    def topics_of(self, topics: Int32Array) -> list[Topic]:
        """Public names of topic ids. O(len(topics))."""
        _, channels, symbols, variants, cuts = _columns.topic_columns(self.ledger, topics)
        texts = _columns.texts(self.interner, symbols)
        names = [channel.name for channel in self.venue.channels]
        return [
            Topic(names[channel], text, int(cut) or None, self._groupings[variant] or None)
            for channel, text, variant, cut in zip(channels, texts, variants, cuts, strict=True)
        ]

    def is_live(self, topic: int) -> bool:
        """False where the id was given back."""
        try:
            self.ledger.topic_key(topic)
        except IndexError:
            return False
        return True

    def find_topic(self, topic: Topic) -> int:
        """The id of a topic somebody holds, else -1."""
        channel = self.venue.channel_index(topic.channel, topic.depth)
        stream = self.find_stream(channel, topic.symbol, topic.grouping or NO_GROUPING)
        return -1 if stream < 0 else _columns.get_topic(self.ledger, stream, topic.depth or 0)


def _merged(parts: list[Int32Array]) -> Int32Array:
    return parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))


def as_symbols(symbols: Any, what: str) -> tuple[str, ...]:
    """A lone string is one symbol. Raises UsageError for anything that is not text."""
    if isinstance(symbols, str):
        return (symbols,)
    try:
        given = tuple(symbols)
    except TypeError:
        raise UsageError(f"{what}: symbols must be a text or texts, not {type(symbols).__name__}") from None
    try:
        return exact_texts(given)
    except TypeError:
        wrong = next(symbol for symbol in given if not isinstance(symbol, str))
        raise UsageError(f"{what}: symbols must be texts, not {type(wrong).__name__} ({wrong!r})") from None
