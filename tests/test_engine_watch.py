"""The engine played by hand: keepalive, and symbols the venue does not list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine_script import BTC, ETH, MS, Script, symbols_of
from subcore.engine import actions, events
from subcore.engine.clock import SECOND, RunnableClock
from subcore.types import (
    Alive,
    StatusKind,
    StreamState,
)

# Keepalive
from subcore.venue import Counted, Limit, Scope, Window
from subcore.venues import venue


def test_a_silent_link_is_pinged_and_lives_while_pongs_come() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    pings = 0
    for _ in range(600):
        for _ping in [a for a in s.wait(0.1) if isinstance(a, actions.Ping)]:
            pings += 1
            s.tell(events.Pong(0, s.generation, 30 * MS))
    assert s.engine.stats.losses == 0
    assert 12 <= pings <= 15  # every 4 s: the venue cuts what is silent for 60


@pytest.mark.parametrize(("rate", "bound"), [(0, 8.6), (8, 4.6)])
def test_no_pong_ends_the_link_in_time(rate: int, bound: float) -> None:
    s = Script()
    s.open_with("ticker", BTC)
    if rate:
        s.wait(30, frames=rate)
    start = s.now
    while s.engine.links[0].is_up:
        s.wait(0.05)
    assert bound - 0.9 <= (s.now - start) / SECOND <= bound
    assert s.told(StatusKind.SUSPECT) == [[0]]


def test_the_watchdog_is_armed_before_the_first_message() -> None:
    s = Script()
    s.want("ticker", BTC)
    s.up()
    s.wait(9)
    assert s.engine.stats.losses == 1


def test_text_keepalive_answers_count_as_pongs() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.wait(4.3)
    assert s.of(actions.Ping)
    s.say(Alive())
    s.wait(3.8)
    assert s.engine.stats.losses == 0


def test_a_sleeping_machine_accuses_nobody() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.wait(4.3)
    assert s.of(actions.Ping)
    s.now += 3600 * SECOND
    s.tell(events.Tick())
    assert s.engine.stats.losses == 0
    s.tell(events.Pong(0, s.generation, MS))
    s.wait(3)
    assert s.engine.stats.losses == 0


def test_runnable_time_adds_at_most_two_ticks() -> None:
    clock = RunnableClock(250 * MS)
    assert clock.read(10**12) == 0
    assert clock.read(10**12 + 100 * MS) == 100 * MS
    assert clock.read(10**12 + 10**11) == 600 * MS
    assert clock.read(10**12) == 600 * MS  # a clock that goes back adds nothing


# Symbols


KNOWN = frozenset({BTC, ETH})


def test_an_unlisted_symbol_waits_for_a_new_list_and_is_refused_by_it() -> None:
    s = Script(symbols=KNOWN)
    ids = s.want("ticker", BTC, "KRW-NEW")
    assert s.of(actions.RequestMarkets)
    assert s.told(StatusKind.WAITING) == [[1]]
    s.up()
    assert symbols_of(s.of(actions.Send)[0]) == {BTC}
    s.data(ids[:1])
    s.tell(events.SymbolsKnown(KNOWN))
    assert s.told(StatusKind.REFUSED) == [[1]]
    assert s.engine.row(1).reason == "not listed by the venue"
    assert not s.of(actions.Send)


def test_an_unlisted_symbol_goes_once_it_is_listed_or_no_list_can_be_had() -> None:
    for answer in (KNOWN | {"KRW-NEW"}, None):
        s = Script(symbols=KNOWN)
        s.want("ticker", BTC)
        s.up()
        s.data([0])
        s.want("ticker", "KRW-NEW")
        assert not s.of(actions.Send)
        s.tell(events.SymbolsKnown(answer))
        assert symbols_of(s.of(actions.Send)[0]) == {BTC, "KRW-NEW"}
        assert s.engine.row(1).reason == ""


def test_lists_are_asked_for_at_most_every_ten_seconds_and_judge_only_what_came_before() -> None:
    s = Script(symbols=KNOWN)
    s.want("ticker", "KRW-AAA")
    assert len(s.of(actions.RequestMarkets)) == 1
    s.wait(1)
    s.want("ticker", "KRW-BBB")
    assert not s.of(actions.RequestMarkets)
    s.tell(events.SymbolsKnown(KNOWN))  # asked before the second came
    assert (s.state(0), s.state(1)) == (StreamState.REFUSED, StreamState.WAITING)
    assert not [a for a in s.wait(8.9) if isinstance(a, actions.RequestMarkets)]
    assert len([a for a in s.wait(0.2) if isinstance(a, actions.RequestMarkets)]) == 1
    s.tell(events.SymbolsKnown(KNOWN))
    assert s.state(1) is StreamState.REFUSED
    assert s.engine.deadline() is None


def test_a_first_list_watches_what_was_sent_unlisted_and_a_second_refuses_it() -> None:
    s = Script()
    s.want("ticker", BTC, "KRW-OLD")
    s.up()
    s.data([0])
    s.tell(events.SymbolsKnown(KNOWN))
    assert s.of(actions.RequestMarkets)
    assert s.state(1) is StreamState.SENT
    s.tell(events.SymbolsKnown(KNOWN))
    assert s.told(StatusKind.REFUSED) == [[1]]
    assert s.state(0) is StreamState.OPEN


def test_data_outweighs_any_list() -> None:
    s = Script()
    s.open_with("ticker", "KRW-OLD")
    for _ in range(3):
        s.tell(events.SymbolsKnown(KNOWN))
        s.wait(11, frames=1)
    assert s.state(0) is StreamState.OPEN


def test_a_watched_stream_that_is_proven_meanwhile_is_not_refused() -> None:
    s = Script()
    s.want("ticker", BTC, "KRW-OLD")
    s.up()
    s.tell(events.SymbolsKnown(KNOWN))
    s.data([1])
    s.tell(events.SymbolsKnown(KNOWN))
    assert s.state(1) is StreamState.OPEN


@pytest.mark.parametrize("wait", [1.0, 6.0, 7.4])
def test_a_ping_that_limits_kept_back_makes_the_end_no_later(wait: float) -> None:
    """Pings count as messages, and one goes in so many seconds."""
    made = venue("binance")
    limit = Limit(
        group="m",
        scope=Scope.LINK,
        counts=frozenset({Counted.MESSAGE, Counted.PING}),
        windows=(Window(1, wait, wait),),
    )
    s = Script(replace(made, limits=(limit,)))
    s.open_with("trade", "BTCUSDT")
    start = s.now
    while s.engine.links[0].is_up:
        s.wait(0.05)
    assert s.engine.stats.pings == 1
    assert 7.0 <= (s.now - start) / SECOND <= 10.0
