"""The engine played by hand: opening, ids, close."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine_script import BTC, ETH, Script, symbols_of
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.errors import InternalError
from subcore.types import (
    Priority,
    Ready,
    StreamState,
    Unknown,
)

# Opening


def test_the_first_wish_opens_a_link_and_leaves_with_the_handshake() -> None:
    s = Script()
    ids = s.want("ticker", BTC, ETH)
    (connect,) = s.of(actions.Connect)
    assert (connect.link, connect.generation) == (0, 1)
    assert connect.url == "wss://api.upbit.com/websocket/v1"
    assert "origin" not in {name.lower() for name in connect.headers}
    assert s.states(ids) == {StreamState.WAITING}
    s.up()
    awaited, sent = s.out[-2:]
    assert isinstance(awaited, actions.AwaitEvidence)
    assert isinstance(sent, actions.Send)
    assert awaited.streams.tolist() == ids.tolist()
    assert symbols_of(sent) == {BTC, ETH}
    assert s.states(ids) == {StreamState.SENT}


def test_wishes_while_connecting_join_the_one_message() -> None:
    s = Script()
    s.want("ticker", BTC)
    s.want("trade", ETH)
    assert not s.of(actions.Connect)
    s.up()
    (send,) = s.of(actions.Send)
    assert symbols_of(send) == {BTC, ETH}


def test_nothing_wanted_any_more_before_the_handshake_sends_nothing() -> None:
    s = Script()
    s.want("ticker", BTC)
    s.unwant("ticker", BTC)
    assert [r.streams.tolist() for r in s.of(actions.ReleaseStreams)] == [[0]]
    s.up()
    assert not s.of(actions.Send)
    s.wait(5.1)
    assert [d.reason for d in s.of(actions.Disconnect)] == ["nothing is wanted any more"]
    s.down()
    assert s.engine.deadline() is None


def test_a_handshake_that_hangs_is_given_up() -> None:
    s = Script()
    s.want("ticker", BTC)
    s.wait(14.9)
    assert not s.of(actions.Disconnect)
    s.wait(0.2)
    assert len(s.of(actions.Disconnect)) == 1
    s.wait(1)
    assert s.generation == 2


# Ids


def test_ids_go_back_only_when_no_late_frame_can_come() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH)
    s.unwant("ticker", ETH)
    s.wait(2.1)
    s.data([0])
    assert s.engine.knows(np.array([0, 1, 99], np.int32)).tolist() == [True, True, False]
    s.wait(4.5, frames=1)
    assert s.ledger.live() == {0}
    assert s.engine.knows(np.array([0, 1, 99], np.int32)).tolist() == [True, False, False]


def test_no_id_goes_back_in_a_stall_while_its_frames_lie_unread() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH)
    s.unwant("ticker", ETH)
    s.wait(2.1, frames=1)
    assert s.engine.links[0].wire.wire().tolist() == [0]
    s.now += 60 * SECOND
    s.activity(1)
    s.tell(events.Tick())
    assert s.ledger.live() == {0, 1}, "the loop read nothing yet"
    s.wait(1.0, frames=1)
    assert s.ledger.live() == {0, 1}
    s.wait(2.5, frames=1)
    assert s.ledger.live() == {0}


def test_ids_go_back_in_time_where_no_link_is_left_to_look_at() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.unwant("ticker", BTC)
    s.wait(5.1, frames=1)
    s.down("closed")
    assert not any(link.is_up for link in s.engine.links.values())
    s.wait(4.1)
    assert s.ledger.live() == set()
    assert s.engine.deadline() is None


def test_a_stream_wanted_again_before_its_id_went_back_keeps_it() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH)
    for _ in range(20):
        s.unwant("ticker", ETH)
        s.wait(2.5, frames=1)
        s.data([0])
        s.want("ticker", ETH)
        s.wait(1.0, frames=1)
        s.data([0, 1])
    s.wait(20, frames=1)
    assert s.state(1) is StreamState.OPEN
    assert s.ledger.live() == {0, 1}


# Control and close


def test_unknown_control_frames_are_counted_only() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.say(Unknown(b"?"))
    assert s.out == []
    assert s.engine.stats.unknown_control == 1


def test_a_welcome_changes_nothing() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.say(Ready())
    assert s.out == []
    assert s.engine.stats.unknown_control == 0


def test_close_all_ends_links_and_the_engine_says_no_more() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.tell(events.CloseAll())
    assert [type(a) for a in s.out] == [actions.Disconnect]
    assert s.engine.deadline() is None
    assert s.down() == []
    assert s.want("trade", ETH) is not None
    assert s.out == []


def test_close_all_while_connecting_and_while_waiting() -> None:
    s = Script()
    s.want("ticker", BTC)
    assert [type(a) for a in s.tell(events.CloseAll())] == [actions.Disconnect]
    s = Script()
    s.want("ticker", BTC)
    s.down()
    assert s.tell(events.CloseAll()) == []


def test_an_event_the_engine_does_not_know_is_our_fault() -> None:
    with pytest.raises(
        (InternalError, TypeError)
    ):  # where the engine is compiled, it is no Event to begin with
        Script().engine.handle(object(), 0)  # type: ignore[arg-type]


def test_class_orders_the_entries_of_the_message() -> None:
    s = Script()
    s.want("ticker", BTC, priority=Priority.LOW)
    s.want("trade", BTC, priority=Priority.CRITICAL)
    s.want("orderbook", BTC, priority=Priority.HIGH)
    s.up()
    entries = json.loads(s.of(actions.Send)[0].payload)[1:-1]
    assert [e["type"] for e in entries] == ["trade", "orderbook", "ticker"]
