"""When messages leave and what is in them, to a venue where each replaces the whole set."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from engine_script import ADA, BTC, ETH, MS, XRP, Script
from subcore.engine import actions
from subcore.types import (
    Priority,
    StatusKind,
    StreamState,
)
from subcore.venue import Counted, Out
from subcore.venues import venue


def sends(s: Script) -> list[list[dict[str, object]]]:
    return [json.loads(a.payload)[1:-1] for a in s.of(actions.Send)]


# When


def test_an_addition_leaves_at_the_end_of_its_turn() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.want("trade", ETH)
    assert len(s.of(actions.Send)) == 1


def test_changes_of_one_turn_leave_together() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    for who in "bcdef":
        s.want("trade", ETH, XRP, who=who, tell=False)
        s.want("orderbook", BTC, who=who, depth=5, tell=False)
    s.turn()
    assert sends(s) == [
        [
            {"type": "ticker", "codes": [BTC]},
            {"type": "trade", "codes": [ETH, XRP]},
            {"type": "orderbook", "codes": [f"{BTC}.5"]},
        ]
    ]


@pytest.mark.parametrize("house", ["upbit", "binance"])
def test_a_slot_that_another_thread_takes_meanwhile_is_waited_for(house: str) -> None:
    """Windows may be shared by managers in several threads: between the look and the send one of them may be faster."""
    made, others = venue(house), list[int]()

    def others_are_faster(*given: Any) -> list[Out]:
        pacer = s.engine.links[0].pacer
        while armed and not others and pacer.try_spend(Counted.MESSAGE, s.now, repair=True):
            pass
        others.extend(armed)
        return made.encode(*given)

    armed = list[int]()
    s = Script(replace(made, encode=others_are_faster))
    first, second = (BTC, ETH) if house == "upbit" else ("BTCUSDT", "ETHUSDT")
    s.open_with("trade", first)
    s.wait(5, frames=1)
    armed.append(s.now)
    s.want("trade", second)
    assert not s.of(actions.Send)
    assert s.engine.links[0].wire.len_added == 1
    deadline = s.engine.deadline()
    assert deadline is not None
    assert deadline > s.now
    sent = []
    for _ in range(40):
        s.wait(0.25, frames=1)
        sent += [action for action in s.of(actions.Send) if action.request]  # but for a listing
    assert len(sent) == 1
    assert not s.engine.links[0].wire.len_added


def test_one_request_in_flight_at_a_time() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.want("ticker", ETH)
    s.want("ticker", XRP)
    s.want("ticker", ADA)
    assert not s.of(actions.Send)
    s.wait(0.1)
    s.data([1])  # the answer
    assert sends(s) == [[{"type": "ticker", "codes": [BTC, ETH, XRP, ADA]}]]


def test_a_late_snapshot_of_the_request_before_is_no_answer_to_the_next() -> None:
    """It came sooner than a message goes there and back."""
    s = Script()
    s.open_with("ticker", BTC, ETH)
    s.wait(5, frames=1)
    link = s.engine.links[0]
    s.want("trade", XRP)
    s.now += 20 * MS
    s.data([0])
    (new,) = s.want("trade", ADA).tolist()
    assert [request.number for request in link.in_flight] == [3]
    s.now += 1 * MS
    s.data([1])  # of request 2
    assert [request.number for request in link.in_flight] == [3]
    s.now += 18 * MS
    s.data([0])
    assert not link.in_flight
    s.want("trade", BTC)
    s.now += 1 * MS
    s.data([new])
    assert link.in_flight, "it may be of request 3"
    s.data([new + 1])
    assert not link.in_flight, "what no other request asked for is an answer to this one, however soon"


def test_an_unanswered_request_holds_the_next_for_its_window_only() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.want("ticker", ETH)
    s.want("ticker", XRP)
    s.wait(0.39)
    assert not s.of(actions.Send)
    s.wait(0.02)
    assert len(s.of(actions.Send)) == 1


def test_a_removal_waits_two_seconds_or_rides_along() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH, XRP)
    s.unwant("ticker", ETH)
    assert not [a for a in s.wait(1.99, frames=1) if isinstance(a, actions.Send)]
    s.wait(0.02)
    assert sends(s) == [[{"type": "ticker", "codes": [BTC, XRP]}]]
    s.data([0, 2])
    s.unwant("ticker", XRP)
    s.wait(0.5, frames=1)
    s.want("ticker", ADA)
    assert sends(s) == [[{"type": "ticker", "codes": [BTC, ADA]}]]
    s.data([0, 3])
    assert not [a for a in s.wait(5, frames=1) if isinstance(a, actions.Send)]


def test_later_removals_do_not_postpone_an_earlier_one() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH, XRP, ADA)
    s.unwant("ticker", ETH)
    s.wait(1.5)
    s.unwant("ticker", XRP)
    s.wait(0.51)
    assert sends(s) == [[{"type": "ticker", "codes": [BTC, ADA]}]]


def test_an_urgent_removal_takes_the_next_slot() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH)
    s.unwant("ticker", ETH, urgent=True)
    assert sends(s) == [[{"type": "ticker", "codes": [BTC]}]]


def test_gone_and_back_in_time_is_nothing() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH)
    s.unwant("ticker", ETH)
    assert s.state(1) is StreamState.CLOSED
    s.wait(1)
    s.want("ticker", ETH)
    assert s.told(StatusKind.OPEN) == [[1]]
    assert (s.state(1), s.engine.row(1).data.name) == (StreamState.OPEN, "GOOD")
    assert not [a for a in s.wait(10, frames=1) if isinstance(a, actions.Send)]


def test_gone_and_back_before_proof_is_awaited_again_without_a_message() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.want("ticker", ETH)
    s.unwant("ticker", ETH)
    s.want("ticker", ETH)
    assert s.state(1) is StreamState.SENT
    assert not s.of(actions.Send)
    (awaited,) = s.of(actions.AwaitEvidence)
    assert (awaited.streams.tolist(), awaited.realtime_not_before_ns) == ([1], 400 * MS)
    s.data([1])
    assert s.state(1) is StreamState.OPEN


def test_data_of_an_unwanted_stream_counts_should_it_be_wanted_again() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.want("ticker", ETH)
    s.unwant("ticker", ETH)
    s.data([1])
    assert s.state(1) is StreamState.CLOSED
    s.want("ticker", ETH)
    assert s.state(1) is StreamState.OPEN
    assert not s.of(actions.Send)


def test_more_holders_and_other_classes_send_nothing() -> None:
    s = Script()
    s.open_with("orderbook", BTC, depth=15)
    s.want("orderbook", BTC, who="b", depth=15)
    s.want("orderbook", BTC, who="b", depth=15, priority=Priority.CRITICAL)
    s.want("orderbook", BTC, who="c", depth=5)
    s.unwant("orderbook", BTC, who="b", depth=15)
    assert not [a for a in s.wait(10, frames=1) if isinstance(a, actions.Send)]


def test_a_wider_book_leaves_at_once_and_a_narrower_one_waits() -> None:
    s = Script()
    s.open_with("orderbook", BTC, depth=5)
    s.want("orderbook", BTC, who="wide", depth=15)
    assert sends(s) == [[{"type": "orderbook", "codes": [f"{BTC}.15"]}]]
    assert s.state(0) is StreamState.OPEN, "a held stream stays open through a rewrite"
    s.data([0])
    s.want("orderbook", BTC, who="widest")
    s.wait(1)
    assert sends(s) == [] or sends(s) == [[{"type": "orderbook", "codes": [BTC]}]]
    s.data([0])
    s.wait(1, frames=1)
    s.unwant("orderbook", BTC, who="widest")
    s.unwant("orderbook", BTC, who="wide", depth=15)
    assert not [a for a in s.wait(1.9, frames=1) if isinstance(a, actions.Send)]
    s.wait(0.2)
    assert sends(s) == [[{"type": "orderbook", "codes": [f"{BTC}.5"]}]]


def test_wider_and_back_before_the_send_is_nothing() -> None:
    s = Script()
    s.open_with("orderbook", BTC, ETH, depth=5)
    s.want("ticker", BTC)  # keeps the link busy for 400 ms
    s.want("orderbook", BTC, who="wide")
    s.unwant("orderbook", BTC, who="wide")
    s.data([0, 1, 2])
    assert not [a for a in s.wait(10, frames=1) if isinstance(a, actions.Send)]


def test_the_last_stream_closes_the_link_after_a_linger() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.unwant("ticker", BTC)
    assert s.wait(4.9, frames=1) == []
    s.wait(0.2)
    assert len(s.of(actions.Disconnect)) == 1
    assert not s.of(actions.Send)
    s.down()
    s.wait(3)
    assert s.ledger.live() == set()
    s.want("ticker", ETH)
    assert s.of(actions.Connect), "not a fault: no backoff"


def test_a_wish_within_the_linger_keeps_the_link() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.unwant("ticker", BTC)
    s.wait(4.5, frames=1)
    s.want("ticker", ETH)
    assert sends(s) == [[{"type": "ticker", "codes": [ETH]}]]
    s.data([1])
    assert not [a for a in s.wait(20, frames=1) if isinstance(a, actions.Disconnect)]


def test_a_listing_never_goes_ahead_of_waiting_changes() -> None:
    s = Script()
    s.want("candle.1m", BTC)
    s.up()
    s.wait(1.9)
    for i in range(5):  # the burst is spent when the candle has been silent long enough
        s.want("ticker", f"KRW-X{i}")
        s.data([i + 1])
    s.want("ticker", "KRW-LAST")
    seen = [a for a in s.wait(2.0) if isinstance(a, actions.Send)]
    assert [bool(a.request) for a in seen] == [True, False]


def test_an_answer_shortens_the_wait_since_it_shows_what_has_arrived() -> None:
    s = Script()
    s.want("ticker", "KRW-X0")
    s.up()
    for i in range(1, 5):
        s.data([i - 1])
        s.want("ticker", f"KRW-X{i}")
    s.data([4])
    s.want("ticker", "KRW-X5")
    assert not s.of(actions.Send)
    assert not [a for a in s.wait(1.09, frames=1) if isinstance(a, actions.Send)]
    assert [a for a in s.wait(0.02, frames=1) if isinstance(a, actions.Send)]


def test_a_book_that_changed_its_width_and_left_is_forgotten() -> None:
    s = Script()
    ids = s.open_with("orderbook", BTC, ETH, depth=5)
    s.want("orderbook", ETH, who="wide", depth=15, tell=False)
    s.turn()
    s.data(ids)
    s.unwant("orderbook", ETH, who="wide", depth=15)  # narrower again
    s.wait(1, frames=1)
    s.unwant("orderbook", ETH, depth=5)
    s.want("ticker", BTC)
    assert json.loads(s.of(actions.Send)[-1].payload)[1]["codes"] == [f"{BTC}.5"]
    s.wait(5, frames=1)
    assert int(ids[1]) not in s.ledger.live()


@pytest.mark.parametrize("removal", [False, True])
def test_a_depth_that_was_written_before_it_was_told_is_not_sent_again(removal: bool) -> None:
    """A message states the whole set as the ledger has it, which may be ahead of the engine: it leaves amid a turn, for
    a removal that is due, or for an addition that waited for the answer to the request before."""
    s = Script()
    ids = s.open_with("orderbook", BTC, XRP, depth=5)
    (more,) = s.want("ticker", ETH).tolist()
    if removal:
        s.data([more])
        s.unwant("ticker", ETH)
        s.wait(1.9, frames=1)
    else:
        s.want("ticker", ADA)
    s.want("orderbook", BTC, who="wide", depth=15, tell=False)
    s.wait(0.2, frames=1) if removal else s.data([more])
    (written,) = sends(s)
    assert {"type": "orderbook", "codes": [f"{BTC}.15", f"{XRP}.5"]} in written
    s.data(ids)
    s.turn()
    assert not sends(s)
    assert not [
        action for action in s.wait(10, frames=1) if isinstance(action, actions.Send) and action.request
    ]
    s.want("orderbook", XRP, who="wide", depth=15)
    (written,) = sends(s)
    assert {"type": "orderbook", "codes": [f"{BTC}.15", f"{XRP}.15"]} in written, "what is told later is sent"
