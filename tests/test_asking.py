"""What is newest is asked for, beside the links: a frozen stream is found, a market that rests is not accused.

Played on `subcore.testing.fleet`, whose venue tells the truth unless a test makes it lie, and on the embedded exchange,
whose REST answers from its own state.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from subcore.engine import actions, asking, events
from subcore.engine.clock import SECOND
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.sim.markets import markets_for
from subcore.testing import EngineDriver, fleet
from subcore.testing.fleet import STEP_S, Fleet
from subcore.testing.restless import CHANNELS
from subcore.types import DataState, StatusKind
from subcore.venues import venue
from test_health import Steady, wait

pytestmark = pytest.mark.simulation

UPBIT = venue("upbit")
VENUE = UPBIT.at("ws://sim.test:80")
CODES = [f"KRW-N{i}" for i in range(6)]


def make(
    seed: int, count: int, orders: float, books: float, *channels: str, seconds: float
) -> tuple[Fleet, Steady]:
    made = Fleet(list(markets_for([f"KRW-N{i}" for i in range(count)])), seed, channels or CHANNELS)
    made.markets = steady = Steady(count, orders, books, made.rng)
    wait(made, seconds)
    assert made.engine.stats.reasks == 0
    return made, steady


@pytest.mark.parametrize("channel", range(3))
def test_a_frozen_stream_is_found_in_time_however_young_it_is(channel: int) -> None:
    made, _ = make(channel, 6, 3.0, 5.0, seconds=30)
    stream = channel * 6 + channel
    found = made.freeze(stream)
    wait(made, found.limit + 5)
    assert found.seconds is not None
    assert found.seconds <= found.limit
    assert "newer data" in found.reason
    assert made.engine.row(stream).data is DataState.GOOD
    assert made.engine.stats.reasks == 1
    assert made.engine.stats.needless_reasks == 0
    assert made.report.rightful_restarts == 0


def test_a_lone_channel_is_watched_as_well() -> None:
    made, _ = make(3, 6, 3.0, 5.0, "orderbook", seconds=60)
    found = made.freeze(3)
    wait(made, found.limit + 5)
    assert found.in_time
    assert made.engine.stats.losses == 0


def test_a_stream_that_never_spoke_enough_is_asked_about_after_a_minute() -> None:
    made, _ = make(4, 6, 3.0, 5.0, seconds=3)
    found = made.freeze(1)
    wait(made, 70)
    assert found.seconds is not None
    assert 50 < found.seconds < 65


def test_many_that_freeze_together_are_found_in_time() -> None:
    made, _ = make(5, 6, 3.0, 5.0, seconds=60)
    found = [made.freeze(stream) for stream in range(0, 18, 3)]
    wait(made, 25)
    assert all(one.in_time for one in found), found


def test_a_market_that_rests_is_asked_about_and_not_accused() -> None:
    made, steady = make(6, 6, 2.0, 5.0, seconds=60)
    before = made.engine.stats.questions
    steady.rests[2] = True
    wait(made, 300)
    assert made.engine.stats.reasks == 0
    asked = made.engine.stats.questions - before
    assert 20 <= asked <= 150, "again and again, so that it is found soon should it freeze meanwhile"
    steady.rests[2] = False
    wait(made, 60)
    assert made.engine.stats.reasks == 0


def test_a_stream_that_freezes_while_its_market_rests_is_found_once_that_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fleet, "FAILS", 0.0)
    made, steady = make(7, 6, 3.0, 5.0, seconds=60)
    steady.rests[2] = True
    wait(made, 100)
    found = made.freeze(2)
    wait(made, 100)
    assert found.seconds is None
    steady.rests[2] = False
    wait(made, found.limit + 2)
    assert found.missed is not None
    assert found.in_time_once_missed
    assert not found.in_time


def test_a_frame_under_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The venue's pages are ahead of the link by a second, each time a market goes on."""
    made, steady = make(8, 6, 3.0, 5.0, "trade", seconds=60)
    for _ in range(10):
        steady.rests[2], steady.orders[2] = True, 1000.0
        questions = made.engine.stats.questions
        while made.engine.stats.questions == questions:
            made.step()
        lead = made.now + SECOND
        monkeypatch.setattr(made, "_newest", lambda streams, at=lead: np.full(len(streams), at))
        wait(made, 1.5)
        monkeypatch.undo()
        steady.rests[2], steady.orders[2] = False, 3.0
        wait(made, 20)
    assert made.engine.stats.reasks == 0


def test_a_venue_that_tells_nonsense_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    made, steady = make(9, 20, 3.0, 5.0, "trade", seconds=60)
    monkeypatch.setattr(made, "_newest", lambda streams: np.full(len(streams), made.now))
    for turn in range(20):
        steady.rests[turn] = True
        wait(made, 15)
    assert 1 <= made.engine.stats.needless_reasks <= made.engine.stats.reasks <= 8
    assert made.engine.stats.reasks_held > 0


def test_where_nothing_is_answered_the_siblings_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "FAILS", 1.0)
    made, _ = make(10, 6, 3.0, 5.0, seconds=400)
    found = made.freeze(7)
    wait(made, found.limit + 5)
    assert found.in_time
    assert "its symbol" in found.reason


def test_questions_are_few_however_many_streams_rest() -> None:
    made, steady = make(11, 100, 1.0, 2.0, seconds=30)
    made.engine._ctx.settings = replace(made.engine._ctx.settings, ask_most=40)
    asked: list[tuple[int, int]] = []
    streams: set[int] = set()
    carry_out = made._asked

    def note(action: actions.AskLatest) -> None:
        asked.append((made.now, len(action.streams)))
        streams.update(action.streams.tolist())
        carry_out(action)

    made._asked = note  # type: ignore[method-assign]
    steady.rests[:] = True
    wait(made, 80)
    assert streams == set(range(300)), (
        "nobody starves, though not all can be asked about as often as they are due"
    )
    assert max(count for _, count in asked) <= 40
    assert min(b[0] - a[0] for a, b in pairwise(asked)) >= SECOND
    assert made.engine.stats.reasks == 0


@pytest.mark.parametrize("can_ask", [True, False])
def test_what_the_venue_says_outweighs_what_siblings_do(can_ask: bool) -> None:
    """A book that rests while its market trades, as it never did."""
    made = Fleet(list(markets_for(CODES)), 20, can_ask=can_ask)
    made.markets = steady = Steady(6, 3.0, 5.0, made.rng)
    wait(made, 400)
    steady.books[2] = 0.0
    wait(made, 60)
    assert made.engine.stats.reasks == (0 if can_ask else 1)


def test_a_link_that_brings_nothing_at_all_for_a_while_accuses_no_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three seconds in which neither frames nor pongs arrive, while the venue's pages tell of what is under way."""
    made, steady = make(21, 6, 3.0, 5.0, "trade", seconds=60)
    for _ in range(4):
        steady.rests[2] = True
        questions = made.engine.stats.questions
        while made.engine.stats.questions == questions:
            made.step()
        told = made.now + SECOND
        monkeypatch.setattr(made, "_newest", lambda streams, told=told: np.full(len(streams), told))
        steady.rests[:] = True
        for _ in range(6):
            made.step()
            made.due = [due for due in made.due if not isinstance(due[1], events.Pong)]
        monkeypatch.undo()
        steady.rests[:], steady.orders[2] = False, 1000.0  # what was under way comes first
        made.step()
        steady.orders[2] = 3.0
        wait(made, 20)
    assert made.engine.stats.reasks == 0
    assert made.engine.stats.losses == 0


def test_an_answer_about_another_stream_of_the_same_id_says_nothing() -> None:
    made, steady = make(12, 6, 3.0, 5.0, seconds=60)
    steady.rests[:] = True
    wait(made, 5)
    serials = made.engine._health.habits.serial[made.streams]
    late = made.engine.stats.late_events
    newest = np.full(len(made.streams), made.now + SECOND)
    made.tell(events.LatestKnown(made.streams, serials + 1, newest))
    made.tell(events.LatestKnown(made.streams + 10_000, serials, newest))
    wait(made, 20)
    assert made.engine.stats.reasks == 0
    assert made.engine.stats.late_events == late + 2 * len(made.streams)


def test_a_stall_asks_about_nobody() -> None:
    made, _ = make(13, 6, 3.0, 5.0, seconds=60)
    for seconds in (12, 60, 3600):
        made.now += seconds * SECOND
        wait(made, 10)
    assert made.engine.stats.questions == 0
    assert made.engine.stats.losses == 0


# A link that is silent as a whole, while its pongs come


@pytest.mark.parametrize("count", [1, 2])
def test_a_link_with_little_on_it_is_replaced_in_time(count: int) -> None:
    made, _ = make(14 + count, count, 6.0, 5.0, "trade", seconds=60)
    found = [made.freeze(stream) for stream in range(count)]
    limit = max(5.0, 20 * made.engine.links[0].habit.median / SECOND)
    wait(made, limit + 10)
    assert made.report.rightful_restarts == 1
    assert max(one.seconds or 1e9 for one in found) <= limit + 2 * STEP_S
    assert made.engine.stats.reasks == 0


def test_a_link_that_rests_is_not_replaced() -> None:
    made, steady = make(17, 4, 6.0, 5.0, "trade", seconds=60)
    for seconds in (10, 200):
        steady.rests[:] = True
        wait(made, seconds)
        steady.rests[:] = False
        wait(made, 30)
    assert made.engine.stats.losses == 0
    assert made.engine.stats.reasks == 0
    assert made.engine.stats.questions > 20


def test_one_frozen_stream_of_a_link_that_rests_beside_it_is_no_dead_link() -> None:
    made, steady = make(18, 3, 6.0, 5.0, "trade", seconds=60)
    steady.rests[1:] = True
    found = made.freeze(0)
    wait(made, found.limit + 1)
    assert found.in_time
    assert made.engine.stats.losses == 0


@pytest.mark.parametrize("all_of_it", [False, True], ids=["a_stream", "a_link"])
def test_a_page_that_lags_switches_no_witness_off(all_of_it: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody under way keeps the venue's pages: what they tell is older than what the streams brought."""
    monkeypatch.setattr(fleet, "FAILS", 0.0)
    made, _ = make(5, 6, 3.0, 5.0, seconds=400)
    monkeypatch.setattr(made, "_newest", lambda streams: np.full(len(streams), made.now - 60 * SECOND))
    found = [made.freeze(stream) for stream in (range(18) if all_of_it else (2,))]
    wait(made, 15)
    assert made.report.rightful_restarts == all_of_it
    assert all(one.in_time for one in found), found
    assert "link lost" in found[0].reason if all_of_it else "its symbol" in found[0].reason
    assert made.engine.stats.needless_reasks == 0


def test_a_source_whose_times_run_ahead_restarts_a_resting_link_ever_more_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, steady = make(9, 2, 3.0, 5.0, "trade", seconds=60)
    monkeypatch.setattr(made, "_newest", lambda streams: np.full(len(streams), made.now))
    steady.rests[:] = True
    wait(made, 180)
    first = made.engine.stats.losses
    assert 2 <= first <= 4
    wait(made, 400)
    assert made.engine.stats.losses - first <= 2


def test_a_restart_that_brings_what_the_venue_told_of_makes_the_limit_usual_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, steady = make(9, 2, 6.0, 5.0, "trade", seconds=60)
    monkeypatch.setattr(made, "_newest", lambda streams: np.full(len(streams), made.now))
    steady.rests[:] = True
    wait(made, 15)
    monkeypatch.undo()
    link = made.engine.links[0]
    assert (made.engine.stats.losses, link.doubts) == (1, 1)
    steady.rests[:] = False
    wait(made, 60)
    made.freeze(0)
    made.freeze(1)
    wait(made, 30)
    assert made.engine.stats.losses == 2
    assert link.doubts == 0


# Against the exchange and its REST


def driver_of(*channels: str, count: int, rate: float = 12.0, seconds: float = 15.0) -> EngineDriver:
    driver = EngineDriver(VENUE, Exchange(1, markets=CODES[:count], rate=rate), seed=1, latest=UPBIT.latest)
    for channel in channels:
        driver.subscribe("a", channel, CODES[:count])
    driver.run(seconds)
    assert driver.all_settled()
    return driver


@pytest.mark.parametrize(
    ("channel", "rate"),
    [("ticker", 5.0), ("trade", 5.0), ("orderbook", 5.0), ("trade", 12.0), ("orderbook", 12.0)],
)
def test_the_exchange_tells_that_a_stream_is_frozen(channel: str, rate: float) -> None:
    driver = driver_of("ticker", "trade", "orderbook", count=2, rate=rate)
    stream = driver.ledger.find_stream(VENUE.channel_index(channel), CODES[0], 0.0)
    driver.exchange.inject(Fault("silent", channel=channel, symbol=CODES[0]), driver.now)
    began, limit = driver.now, max(10.0, 20 * driver.hearing.median_of(stream) / SECOND)
    assert driver.run_until(lambda: driver.engine.row(stream).data is DataState.SUSPECT, 60)
    assert (driver.now - began) / SECOND <= limit
    assert driver.run_until(lambda: driver.engine.row(stream).data is DataState.GOOD, 5)
    assert [n.streams.tolist() for n in driver.notices if n.kind is StatusKind.SUSPECT] == [[stream]]
    driver.run(5)
    assert driver.engine.stats.needless_reasks == 0
    assert driver.engine.stats.losses == 0
    assert driver.counts["REST 200"] >= 1
    assert not driver.exchange.violations


@pytest.mark.parametrize("count", [1, 2])
def test_a_silent_link_of_few_markets_is_replaced_in_time(count: int) -> None:
    driver = driver_of("trade", "ticker", count=count)
    limit = max(5.0, 20 * driver.engine.links[0].habit.median / SECOND)
    driver.exchange.inject(
        Fault("lose", probability=1.0, conn=next(iter(driver.exchange.connections))), driver.now
    )
    began = driver.now
    assert driver.run_until(lambda: driver.engine.stats.losses == 1, 60)
    assert (driver.now - began) / SECOND <= limit + 0.5
    assert driver.run_until(driver.all_settled, 20)


def test_a_delisted_market_that_spoils_its_page_accuses_nobody() -> None:
    driver = driver_of("trade", "ticker", "orderbook", count=3, rate=5.0)
    driver.exchange.inject(Fault("delist", symbol=CODES[1]), driver.now)
    driver.run(70)
    assert driver.counts["REST 404"] >= 1
    assert driver.engine.stats.reasks == 0
    assert driver.engine.stats.losses == 0


def test_narrowed_and_grouped_books_are_not_asked_about() -> None:
    driver = EngineDriver(VENUE, Exchange(1, markets=["KRW-BTC"], rate=5.0), seed=1, latest=UPBIT.latest)
    driver.subscribe("a", "orderbook", ["KRW-BTC"], depth=5)
    driver.run(20)
    driver.exchange.inject(Fault("silent", channel="orderbook", symbol="KRW-BTC"), driver.now)
    driver.run(30)
    assert driver.engine.stats.questions == 0
    driver.subscribe("b", "orderbook", ["KRW-BTC"])
    driver.run(30)
    assert driver.engine.row(0).data is DataState.GOOD


def test_the_waits_fit_into_the_limits() -> None:
    """What the numbers promise together: a question, a slow answer and a late frame end before the limit."""
    slow = asking.ANSWER
    assert 2 * SECOND + asking.LATE <= asking.LEAD
    assert slow < asking.LEAD
    assert asking.LINK_LATE + SECOND <= asking.LINK_LEAD
