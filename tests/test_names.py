"""From names to topics in one pass: against the look-ups one by one, and against the long way of the same call."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import subcore
from examples import examples
from subcore import _names
from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._route import Router

MANY = 600  # more than two batches of names


class Name(str):
    """A subclass may hash and compare as it likes, so it is looked at by the long way."""

    __slots__ = ()


class Tables:
    """Interner, ledger and router as a manager has them."""

    def __init__(self, hash_bits: int = 32) -> None:
        self.interner = Interner(seed=5, hash_bits=hash_bits)
        self.ledger = Ledger(seed=5)
        self.router = Router(self.ledger, gone=deque())

    def add(self, channel: int, symbols: list[str], variant: int = 0, cut: int = 0) -> list[int]:
        return self.ledger.topics(channel, self.interner.intern_many(symbols), variant, cut).tolist()

    def find(self, channel: int, symbols: Any) -> list[int] | None:
        found = _names.known_topics(self.interner, self.router, channel, symbols)
        return None if found is None else found.tolist()

    def one_by_one(self, channel: int, symbol: str) -> int:
        stream = self.ledger.get_stream(channel, self.interner.get(symbol) if symbol in self.interner else -1)
        topics = [] if stream < 0 else self.ledger.topics_of_stream(stream).tolist()
        return next((topic for topic in topics if self.ledger.topic_key(topic)[1] == 0), -1)


def names(count: int) -> list[str]:
    return [f"KRW-{number:05d}" for number in range(count)]


@pytest.mark.parametrize("hash_bits", [0, 3, 32])
def test_known_names_are_found_in_order_whatever_collides(hash_bits: int) -> None:
    tables = Tables(hash_bits)
    known = tables.add(1, names(MANY))
    order = np.random.default_rng(1).permutation(MANY).tolist()
    asked = [names(MANY)[i] for i in order]
    assert tables.find(1, asked) == tables.find(1, tuple(asked)) == [known[i] for i in order]
    assert tables.find(1, [asked[0], asked[0]]) == [known[order[0]]] * 2


@pytest.mark.parametrize("place", [0, 63, 64, 255, 256, MANY - 1])
def test_one_that_is_not_known_anywhere_is_enough(place: int) -> None:
    tables = Tables()
    tables.add(1, names(MANY))
    tables.interner.intern("KRW-INTERNED")
    tables.ledger.stream(1, tables.interner.intern("KRW-STREAM"))
    tables.add(1, ["KRW-CUT"], cut=5)
    tables.add(1, ["KRW-VARIANT"], variant=1)
    tables.add(0, ["KRW-OTHER"])
    for symbol in (
        "KRW-NEVER",
        "KRW-INTERNED",
        "KRW-STREAM",
        "KRW-CUT",
        "KRW-VARIANT",
        "KRW-OTHER",
        "K" * 300,
    ):
        asked = [*names(MANY)]
        asked[place] = symbol
        assert tables.find(1, asked) is None
    assert tables.find(0, ["KRW-OTHER"]) is not None
    assert len(tables.interner) == MANY + 5


def test_what_needs_the_long_way_is_left_to_it() -> None:
    tables = Tables()
    tables.add(0, ["KRW-BTC", "비트코인"])
    assert tables.find(0, ["KRW-BTC"]) is not None
    for symbols in ([], (), "KRW-BTC", {"KRW-BTC"}, iter(["KRW-BTC"]), ["비트코인"], [Name("KRW-BTC")],
                    ["KRW-BTC", 1], ["KRW-BTC", None], [b"KRW-BTC"], None, 7):  # fmt: skip
        assert tables.find(0, symbols) is None
    assert Tables().find(0, ["KRW-BTC"]) is None
    with pytest.raises(ValueError, match="a channel"):
        tables.find(-1, ["KRW-BTC"])


symbols = st.sampled_from([*names(6), "비트코인", "KRW-" + "A" * 30, ""])


@given(
    made=st.lists(
        st.tuples(st.integers(0, 1), symbols, st.integers(0, 1), st.sampled_from([0, 5])), max_size=12
    ),
    released=st.lists(st.integers(0, 11), max_size=4),
    channel=st.integers(0, 1),
    asked=st.lists(symbols, max_size=5),
)
@examples(300)
def test_the_pass_equals_the_single_look_ups(
    made: list[tuple[int, str, int, int]], released: list[int], channel: int, asked: list[str]
) -> None:
    tables = Tables(hash_bits=2)
    for one, symbol, variant, cut in made:
        tables.add(one, [symbol], variant, cut)
    for stream in sorted({stream for stream in released if stream < tables.ledger.stream_count}):
        tables.ledger.release_stream(stream)
    expected = [tables.one_by_one(channel, symbol) for symbol in asked]
    found = tables.find(channel, asked)
    if found is None:
        assert not asked or -1 in expected or not all(symbol.isascii() for symbol in asked)
    else:
        assert found == expected


@given(
    held=st.sets(st.integers(0, 35), max_size=20),
    channel=st.integers(0, 2),
    asked=st.lists(st.integers(-1, 8), max_size=8),
)
@examples(200)
def test_what_is_held_of_a_channel_and_of_symbols(held: set[int], channel: int, asked: list[int]) -> None:
    ledger = Ledger(seed=1)
    topics = {}
    for number in range(36):
        key = (number % 3, number // 3 % 6, number // 18, (number // 6 % 2) * 5)
        topics[number] = ledger.topic(ledger.stream(*key[:3]), key[3])
    component = ledger.open_component()
    ledger.add(component, [topics[number] for number in held])
    keys = {ids: ledger.stream_key(ledger.topic_key(ids)[0]) for ids in topics.values()}
    mine = sorted(ids for ids in {topics[n] for n in held} if keys[ids][0] == channel)
    assert _names.held_of_channel(ledger, component, channel).tolist() == mine
    for variants in (1, 2):
        of_symbols = _names.held_of_symbols(ledger, component, channel, np.array(asked, np.int32), variants)
        assert of_symbols.tolist() == [
            ids for ids in mine if keys[ids][1] in asked and keys[ids][2] < variants
        ]
    with pytest.raises(IndexError):
        _names.held_of_channel(ledger, 99, channel)
    with pytest.raises(IndexError):
        _names.held_of_symbols(ledger, 99, channel, [0], 1)


# --- the calls: one manager takes the short way where there is one, the other never does


SYMBOLS = [f"KRW-{letter * 3}" for letter in "ABCDE"]
CALLS = st.sampled_from(["ticker", "ticker", "orderbook", "trade"])
GIVEN = st.lists(st.sampled_from(SYMBOLS), max_size=4) | st.sampled_from(
    [SYMBOLS, tuple(SYMBOLS), "KRW-AAA", ["no such"], ["KRW-AAA", "KRW-NEW"], 7, [None], ["KRW-AAA", 3]]
)
HANDLERS = st.sampled_from([None, 0, 1, "none"])


class CallMachine(RuleBasedStateMachine):
    """The same calls on two managers; whatever they raise and whatever they hold must be the same."""

    @initialize()
    def start(self) -> None:
        self.short, self.long = (
            subcore.SubscriptionManager("upbit", url="ws://127.0.0.1:9", markets=None, seed=1)
            for _ in range(2)
        )
        self.long._hub.granting.add_known = lambda *_: False  # type: ignore[method-assign]
        self.pairs: list[tuple[subcore.Component, subcore.Component]] = []
        self.handlers = [lambda event: None, lambda event: None]
        self.number = 0
        for priority in (subcore.Priority.LOW, subcore.Priority.CRITICAL):
            self.join(priority)
        for component in self.pairs[0]:
            for channel in ("ticker", "orderbook"):
                component.subscribe(channel, SYMBOLS)

    def both(self, act: Any) -> None:
        outcomes = []
        for side in (0, 1):
            try:
                act(side)
                outcomes.append(None)
            except Exception as error:
                outcomes.append((type(error), str(error)))
        assert outcomes[0] == outcomes[1]

    @rule(priority=st.sampled_from(list(subcore.Priority)))
    def join(self, priority: subcore.Priority) -> None:
        self.number += 1
        made = [m.component(f"c{self.number}", priority=priority) for m in (self.short, self.long)]
        self.pairs.append((made[0], made[1]))

    @precondition(lambda self: self.pairs)
    @rule(
        who=st.integers(0, 9),
        channel=CALLS,
        symbols=GIVEN,
        handler=HANDLERS,
        grouped=st.sampled_from([False] * 3 + [True]),
    )
    def subscribe(self, who: int, channel: str, symbols: Any, handler: Any, grouped: bool) -> None:
        pair = self.pairs[who % len(self.pairs)]
        call = (
            {None: None, "none": "not callable"}.get(handler)
            if handler in (None, "none")
            else self.handlers[handler]
        )

        def act(side: int) -> None:
            if not grouped:
                pair[side].subscribe(channel, symbols, call)
                return
            with (self.short, self.long)[side].transaction():
                pair[side].subscribe(channel, ["KRW-EEE"], call)
                pair[side].subscribe(channel, symbols, call)

        self.both(act)

    @precondition(lambda self: self.pairs)
    @rule(who=st.integers(0, 9), channel=CALLS, symbols=GIVEN | st.none(), depth=st.sampled_from([None, 5]))
    def unsubscribe(self, who: int, channel: str, symbols: Any, depth: int | None) -> None:
        pair = self.pairs[who % len(self.pairs)]
        self.both(lambda side: pair[side].unsubscribe(channel, symbols, depth=depth))

    @precondition(lambda self: self.pairs)
    @rule(who=st.integers(0, 9), symbols=GIVEN, depth=st.sampled_from([None, 5]))
    def replace(self, who: int, symbols: Any, depth: int | None) -> None:
        pair = self.pairs[who % len(self.pairs)]
        self.both(lambda side: pair[side].replace("orderbook", symbols, depth=depth))

    @precondition(lambda self: self.pairs)
    @rule(who=st.integers(0, 9), flag=st.booleans())
    def pause(self, who: int, flag: bool) -> None:
        for component in self.pairs[who % len(self.pairs)]:
            component.pause() if flag else component.resume()

    @precondition(lambda self: self.pairs)
    @rule(who=st.integers(0, 9))
    def close(self, who: int) -> None:
        for component in self.pairs.pop(who % len(self.pairs)):
            component.close()

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "short"):
            return
        for pair in self.pairs:
            assert set(pair[0].topics) == set(pair[1].topics)
        seen = [sorted(state(manager)) for manager in (self.short, self.long)]
        assert seen[0] == seen[1]
        assert self.short._hub.router.searches == 0
        for manager in (self.short, self.long):
            hub = manager._hub
            assert hub.router.interest_count == len(hub.ledger)

    def teardown(self) -> None:
        for pair in getattr(self, "pairs", []):
            for component in pair:
                component.close()
        if hasattr(self, "short"):
            assert self.short._hub.router.sink_count == self.long._hub.router.sink_count == 0
            assert len(self.short._hub.ledger) == 0


def state(manager: subcore.SubscriptionManager) -> list[tuple[Any, ...]]:
    """Per interest who holds it, in what class, and to which of its handlers it goes; and who is kept alive."""
    hub, rows = manager._hub, []
    for member in hub.members.values():
        places = {sink: key for key, sink in zip(member._sinks, member.sinks, strict=True)}
        for topic in hub.ledger.interests(member.id).tolist():
            stream, _ = hub.ledger.topic_key(topic)
            sinks = [places[row[3]] for row in hub.router.route(stream) if row[:2] == (member.id, topic)]
            named = str(hub.intent.topic_of(topic))
            rows.append(
                (member.name, named, hub.ledger.class_held(member.id, topic), str(sinks), member.paused)
            )
        rows.append(
            (
                member.name,
                "pinned",
                member.id in hub.granting._pinned,
                str(sorted(places.values(), key=str)),
                True,
            )
        )
    return rows


TestCallMachine = CallMachine.TestCase
TestCallMachine.settings = examples(80, stateful_step_count=30)
