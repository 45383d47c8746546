"""The last event of a stream, for who joins it later: no gap, no double, nothing out of order."""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from compiled import compiled
from examples import examples
from joiners import join, world
from routing import World, orderbook, ticker
from subcore._delivery import WakeBatch
from subcore._events import Event, Orderbook, Ticker
from subcore._queue import EventQueue

__all__ = ["world"]  # a fixture


class ImageMachine(RuleBasedStateMachine):
    """Components join and leave two streams at any time, from inside handlers too; images are given now and then."""

    @initialize()
    def start(self) -> None:
        self.world = World()
        self.topics = [self.world.topic(symbol) for symbol in (0, 1)]
        self.number = 0
        self.last: dict[int, int] = {}  # of each stream
        self.wanted: set[tuple[int, int]] = set()  # (who, symbol) that an image is due to
        self.expected: dict[int, list[tuple[int, float, bool]]] = {}
        self.got: dict[int, list[tuple[int, float, bool]]] = {}
        self.held: set[tuple[int, int]] = set()
        self.plans: dict[int, list[tuple[str, int, int, bool]]] = {}
        self.members: list[tuple[int, int]] = []
        for _ in range(3):
            self.open()

    def open(self) -> None:
        who = len(self.members)
        self.got[who], self.expected[who] = [], []

        def handle(event: Event) -> None:
            self.got[who].append((int(event.open), event.price, event.is_image))
            if event.is_image:
                self.wanted.discard((who, int(event.open)))
            for act in self.plans.pop(who, []):
                self.act(*act)

        component = self.world.ledger.open_component()
        self.members.append((component, self.world.router.new_sink(component, handle)))

    def act(self, kind: str, who: int, symbol: int, image: bool) -> None:
        component, sink = self.members[who]
        at = who, symbol
        if kind == "join":
            self.world.router.add(sink, [self.topics[symbol]], image=image)
            if at not in self.held:
                self.held.add(at)
                if image and symbol in self.last:
                    self.wanted.add(at)
        else:
            self.world.router.remove(component, [self.topics[symbol]])
            self.held.discard(at)
            self.wanted.discard(at)

    acts = st.tuples(st.sampled_from(["join", "leave"]), st.integers(0, 2), st.integers(0, 1), st.booleans())

    @rule(act=acts)
    def now(self, act: tuple[str, int, int, bool]) -> None:
        self.act(*act)

    @rule(who=st.integers(0, 2), acts=st.lists(acts, max_size=3))
    def plan(self, who: int, acts: list[tuple[str, int, int, bool]]) -> None:
        self.plans[who] = acts

    @rule(symbol=st.integers(0, 1))
    def send(self, symbol: int) -> None:
        self.number += 1
        before = set(self.held)
        event = Ticker(venue="v", channel="ticker", symbol="S", price=self.number, open=symbol)
        if symbol in self.last or any(
            s == symbol for _, s in self.held
        ):  # what it had goes on, wanted or not
            self.last[symbol] = self.number  # also for a joiner inside this fan-out
            self.wanted = {at for at in self.wanted if at[1] != symbol}
        self.world.router.send(self.world.stream(self.topics[symbol]), event)
        for who, s in before:
            if s == symbol:
                self.expected[who].append((symbol, float(self.number), False))

    @rule()
    def give(self) -> None:
        before = {who: len(self.got[who]) for who in self.got}
        due = set(self.wanted)
        self.world.router.give_images()
        for who, count in before.items():
            for symbol, price, is_image in self.got[who][count:]:
                assert is_image
                assert (who, symbol) in due, "no double"
                due.remove((who, symbol))
                assert price == self.last[symbol]
                self.expected[who].append((symbol, price, True))
        for at in due:
            assert at not in self.held or at in self.wanted, "only who left, and perhaps came back, got none"

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "world"):
            assert self.got == self.expected


TestImageMachine = ImageMachine.TestCase
TestImageMachine.settings = examples(120, stateful_step_count=30)


def join_now(world: World, topic: int, target: Any, **options: Any) -> tuple[int, int]:
    """... and give the image."""
    joined = join(world, topic, target, **options)
    world.router.give_images()
    return joined


def test_a_late_joiner_gets_the_last_event_with_its_own_times(world: World) -> None:
    topic, seen = world.topic(), []
    join(world, topic, lambda event: None)
    event = Ticker(
        venue="v",
        channel="ticker",
        symbol="S",
        price=3,
        receive_time_ns=5,
        exchange_time_ns=4,
        is_realtime=True,
    )
    world.send(topic, event)
    join(world, topic, seen.append)
    assert seen == [], "not inside the call"
    assert world.router.images_due
    world.router.give_images()
    assert not world.router.images_due
    (image,) = seen
    assert image.is_image
    assert {**image.to_dict(), "is_image": False} == event.to_dict()
    assert not event.is_image
    world.router.give_images()
    assert len(seen) == 1


def test_subscribing_again_is_no_joining(world: World) -> None:
    topic, seen = world.topic(), []
    _, sink = join(world, topic, seen.append)
    world.send(topic)
    world.router.add(sink, [topic])
    world.router.give_images()
    assert len(seen) == 1


@pytest.mark.parametrize("others", [0, 3])
def test_held_given_up_and_held_again_inside_one_call_is_told_once(world: World, others: int) -> None:
    """... though it was asked for a first time while it was held; wherever its entry stands by then."""
    here, there, told = world.topic(0), world.topic(1), list[float]()
    neighbours = [join(world, here, lambda event: None) for _ in range(others)]
    component, sink = join(world, here, lambda event: told.append(event.price))

    def handle(event: Event) -> None:
        for member, _ in neighbours:
            world.router.remove(member, [here])
        world.router.add(sink, [here])
        world.router.remove(component, [here])
        world.router.add(sink, [here])

    join(world, there, handle)
    world.send(there)
    world.send(here, ticker(1))
    assert told == [1.0]
    world.router.remove(component, [here])
    world.send(here, ticker(2))
    assert told == [1.0]


def test_books_are_cut_for_the_joiner_and_raw_goes_to_who_asked(world: World) -> None:
    whole, five = world.topic(cut=0), world.topic(cut=5)
    join(world, five, lambda event: None)
    join(world, whole, lambda event: None)
    world.send(whole, orderbook(10))
    seen: list[Orderbook] = []
    for topic in (world.topic(cut=3), whole):
        join(world, topic, seen.append)
    world.router.give_images()
    assert [len(book.bids) for book in seen] == [3, 10]
    assert all(book.is_image and book.raw is None for book in seen)


def test_strategies_alone_leave_an_image_too_and_it_costs_one_event_a_stream(world: World) -> None:
    topic = world.topic()
    join(world, topic, compiled("strategies").Told())
    sizes = []
    for number in range(5):
        world.router.send(world.stream(topic), ticker(number))
        sizes.append(world.router.nbytes)
        held = [world.topic(cut=number + 1)]
        seen: list[Event] = []
        component, sink = join(world, held[0], seen.append)
        world.router.give_images()
        world.close(component, sink)
        assert [(event.price, event.is_image) for event in seen] == [(number, True)]
    assert max(sizes) - min(sizes) < 2 * seen[0].nbytes, "and not one more for each that left"


def test_a_strategy_gets_the_record_and_a_queue_the_event(world: World) -> None:
    topic = world.topic()
    join(world, topic, lambda event: None)
    world.send(topic, ticker(7))
    told, queue = compiled("strategies").Told(), EventQueue(wakes=WakeBatch(lambda call: None))
    join(world, topic, told)
    join(world, topic, queue)
    world.router.give_images()
    assert told.calls == [("ticker", 7.0)]
    assert [(event.price, event.is_image) for event in queue.drain()] == [(7, True)]


def test_a_joiner_gets_what_the_frame_carried_and_not_what_those_before_took(world: World) -> None:
    """Their cuts, and whether they are muted, are no matter of his."""
    narrow, whole = world.topic(cut=2), world.topic()
    join(world, narrow, lambda event: None)
    join(world, world.topic(cut=3), lambda event: None)
    _, off = join(world, whole, lambda event: None)
    world.router.mute_sink(off)
    seen: list[Orderbook] = []
    for levels in (10, 10, 7):
        world.send(narrow, orderbook(levels))
        for topic in (whole, world.topic(cut=5), narrow):
            world.close(*join_now(world, topic, seen.append))
    sizes = [(len(book.bids), len(book.asks)) for book in seen]
    assert sizes == [(10, 9), (5, 5), (2, 2), (10, 9), (5, 5), (2, 2), (7, 6), (5, 5), (2, 2)]
    assert all(book.is_image and book.raw is None for book in seen)


def test_whoever_takes_it_whole_or_with_its_bytes_the_image_is_whole(world: World) -> None:
    topic, made = world.topic(cut=3), []
    for cut, raw in ((0, True), (3, False), (0, False)):
        join(world, world.topic(cut=cut), made.append, raw=raw)
        world.send(topic, orderbook(9))
        seen: list[Orderbook] = []
        world.close(*join_now(world, world.topic(), seen.append))
        assert [len(book.bids) for book in seen] == [9]


def test_frames_that_came_while_nobody_held_the_stream_are_its_image(world: World) -> None:
    topic, seen = world.topic(), []
    component, sink = join(world, topic, lambda event: None)
    world.send(topic, ticker(1))
    world.close(component, sink)
    world.send(topic, ticker(2))
    join_now(world, topic, seen.append)
    assert [(event.price, event.is_image) for event in seen] == [(2, True)]


def test_who_is_gone_gets_none(world: World) -> None:
    topic, seen = world.topic(), []
    join(world, topic, lambda event: None)
    world.send(topic)
    component, sink = join(world, topic, seen.append)
    world.close(component, sink)
    world.router.give_images()
    assert seen == []


def test_images_go_with_their_stream(world: World) -> None:
    topic, seen = world.topic(), []
    join(world, topic, lambda event: None)
    before = world.router.nbytes
    world.send(topic)
    assert world.router.nbytes > before + ticker().nbytes
    world.router.forget_images([world.stream(topic), 99])
    assert world.router.images.count == 0
    join(world, topic, seen.append)
    world.router.give_images()
    assert seen == []


def test_a_handler_may_not_give_images_and_one_that_fails_harms_nobody(world: World) -> None:
    topic, seen, raised = world.topic(), [], []

    def meddle(event: Event) -> None:
        try:
            world.router.give_images()
        except RuntimeError as error:
            raised.append(str(error))
        raise ValueError

    join(world, topic, meddle)
    world.send(topic)
    for target in (meddle, seen.append):
        join(world, topic, target)
    world.router.give_images()
    assert len(seen) == 1
    assert len(raised) == 2
    assert world.router.failures == 2


def test_nothing_is_left_of_images_at_the_end() -> None:
    world = World()
    topic = world.topic()
    queue: deque[Event] = deque()
    join(world, topic, queue.append)
    world.send(topic)
    event = queue.pop()
    held = sys.getrefcount(event)
    del world
    assert sys.getrefcount(event) == held - 1


def test_books_of_strategies_alone_are_written_over_in_place_and_images_given_before_stay(
    world: World,
) -> None:
    topic = world.topic()
    join(world, topic, compiled("strategies").Told())
    given: list[Orderbook] = []
    sent = [orderbook(levels) for levels in (3, 3, 5, 5, 2)]
    for number, book in enumerate(sent):
        world.send(topic, book)
        component, sink = join(world, world.topic(cut=number + 1), given.append)
        world.router.give_images()
        world.close(component, sink)
    cuts = range(1, len(sent) + 1)
    assert [image.bids for image in given] == [b.bids[:cut] for b, cut in zip(sent, cuts, strict=True)]
    assert [image.asks for image in given] == [b.asks[:cut] for b, cut in zip(sent, cuts, strict=True)]


def test_a_frame_that_comes_first_takes_the_images_place(world: World) -> None:
    topic, seen = world.topic(), []
    join(world, topic, lambda event: None)
    world.send(topic, ticker(1))
    join(world, topic, seen.append)
    world.send(topic, ticker(2))
    assert not world.router.images_due
    world.router.give_images()
    assert [(event.price, event.is_image) for event in seen] == [(2, False)]
