"""When messages leave and what is in them; a delta venue proves that nothing here knows how Upbit speaks."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from engine_script import MS, Script
from subcore.engine import actions, events
from subcore.types import (
    Accepted,
    Dropped,
    Evidence,
    Fault,
    MustAnswer,
    Priority,
    ReasonClass,
    Refused,
    StatusKind,
    StreamColumns,
    StreamState,
    Took,
    Topic,
)
from subcore.venue import (
    Blast,
    Channel,
    Counted,
    EmptyTarget,
    Limit,
    Model,
    Out,
    Packing,
    Route,
    Scope,
    Venue,
    Window,
)

BTC, ETH, XRP, ADA = "KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-ADA"


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


# A delta venue with acknowledgements


def encode(add: StreamColumns, remove: StreamColumns, target: StreamColumns, next_id: int) -> list[Out]:
    outs: list[Out] = []
    none = np.empty(0, np.int32)
    for verb, cols in (("UNSUB", remove), ("SUB", add)):
        for at in range(0, len(cols.streams), 3):  # three topics a message
            part = cols.streams[at : at + 3]
            said = {"op": verb, "args": cols.symbols[at : at + 3], "id": next_id + len(outs)}
            adds, removes = (part, none) if verb == "SUB" else (none, part)
            outs.append(Out(json.dumps(said).encode(), 1, str(said["id"]), adds, removes))
    return outs


def answer(payload: bytes, next_id: int) -> Out:
    none = np.empty(0, np.int32)
    return Out(b"pong " + payload, 1, None, none, none)


COUNTS = frozenset({Counted.MESSAGE})
DELTA = Venue(
    name="delta",
    url="wss://delta.test",
    routes=(Route("public", "/ws"), Route("deep", "/deep")),
    channels=(Channel("trade", "trade", snapshot=False), Channel("book", "orderbook", route="deep")),
    model=Model.DELTA,
    limits=(Limit("m", Scope.LINK, COUNTS, (Window(5, 1.0, 1.1),)),),
    check_symbol=lambda symbol: None,
    encode=encode,
    decode_control=lambda frame: [],
    load_fields=lambda: None,
    answer=answer,
    packing=Packing(max_in_flight=4),
    blast=Blast.REQUEST,
    ack_is_proof=True,
)


def said(s: Script) -> list[dict[str, object]]:
    return [json.loads(a.payload) for a in s.of(actions.Send)]


def delta(**changes: object) -> Script:
    return Script(replace(DELTA, **changes))  # type: ignore[arg-type]


def test_delta_messages_own_their_streams_and_several_are_in_flight() -> None:
    s = delta()
    ids = s.want("trade", *"ABCDEFGH")
    s.up()
    assert [m["args"] for m in said(s)] == [["A", "B", "C"], ["D", "E", "F"], ["G", "H"]]
    s.say(Accepted("2"))
    assert s.told(StatusKind.OPEN) == [[3, 4, 5]]
    s.say(Accepted())  # no id: the oldest open one
    s.say(Accepted("3"))
    assert s.states(ids) == {StreamState.OPEN}
    assert s.engine.row(0).evidence & Evidence.ACKNOWLEDGED
    s.say(Accepted("3"))
    assert s.engine.stats.late_events == 1


def test_delta_sends_only_what_changed_and_ends_what_is_left_over() -> None:
    s = delta()
    s.want("trade", "A", "B")
    s.up()
    s.say(Accepted())
    s.unwant("trade", "A")
    s.wait(0.5, frames=1)
    s.want("trade", "C")
    assert [(m["op"], m["args"]) for m in said(s)] == [("UNSUB", ["A"]), ("SUB", ["C"])]
    assert not [a for a in s.wait(5, frames=1) if isinstance(a, actions.Send)]


def test_delta_the_limit_cuts_a_plan_and_the_rest_follows() -> None:
    s = delta()
    ids = s.want("trade", *(f"S{i:02}" for i in range(30)))
    s.up()
    assert len(said(s)) == 4  # in flight at once
    open_requests = [str(message["id"]) for message in said(s)]
    for _ in range(100):
        for request_id in open_requests:
            s.say(Accepted(request_id))
            open_requests = [*open_requests[1:], *(str(message["id"]) for message in said(s))]
        s.wait(0.1, frames=1)
        open_requests += [str(message["id"]) for message in said(s)]
    assert s.states(ids) == {StreamState.OPEN}
    assert s.engine.stats.plans == 10, "each stream was asked for once"


def test_delta_ack_that_is_no_proof_waits_for_data() -> None:
    s = delta(ack_is_proof=False)
    s.want("trade", "A")
    s.up()
    s.say(Accepted())
    assert s.state(0) is StreamState.SENT
    assert s.engine.row(0).evidence == Evidence.ACKNOWLEDGED | Evidence.QUIET
    s.data([0])
    assert s.state(0) is StreamState.OPEN


def test_delta_a_refused_request_spoils_only_itself() -> None:
    s = delta()
    s.want("trade", *"ABCDEF")
    s.up()
    s.say(Refused("bad topic", request_id="1"))
    assert s.told(StatusKind.REFUSED) == [[0, 1, 2]]
    s.say(Accepted("2"))
    assert s.states(np.array([3, 4, 5], np.int32)) == {StreamState.OPEN}
    assert not s.of(actions.Disconnect)
    s.tell(events.AskedAgain(np.array([1], np.int32)))
    assert [m["args"] for m in said(s)] == [["B"]]


def test_delta_a_transient_refusal_is_tried_again_a_duplicate_is_held() -> None:
    s = delta()
    s.want("trade", *"ABC")
    s.up()
    s.say(Refused("busy", reason=ReasonClass.TRANSIENT, request_id="1"))
    assert s.told(StatusKind.WAITING) == [[0, 1, 2]]
    s.wait(1.9, frames=1)
    assert not said(s)
    s.wait(0.2, frames=1)
    assert [m["args"] for m in said(s)] == [["A", "B", "C"]]
    s.say(Refused("already subscribed", reason=ReasonClass.DUPLICATE))
    assert s.told(StatusKind.OPEN) == [[0, 1, 2]]


def test_delta_named_topics_are_refused_alone() -> None:
    s = delta()
    s.want("trade", *"ABC")
    s.up()
    s.say(Refused("unknown", topics=(Topic("trade", "B"),)))
    assert s.told(StatusKind.REFUSED) == [[1]]
    s.say(Accepted("1"))
    assert s.told(StatusKind.OPEN) == [[0, 2]]


def test_delta_what_the_venue_did_not_take_is_refused() -> None:
    s = delta()
    s.want("trade", *"ABC")
    s.up()
    s.say(Took("1", (Topic("trade", "A"), Topic("trade", "C"))))
    assert s.told(StatusKind.OPEN) == [[0, 2]]
    assert s.told(StatusKind.REFUSED) == [[1]]


def test_delta_what_the_venue_ends_is_asked_for_again() -> None:
    s = delta()
    s.want("trade", *"AB")
    s.up()
    s.say(Accepted())
    s.say(Dropped((Topic("trade", "A"),), "count"))
    assert s.state(0) is StreamState.RECOVERING
    s.wait(2.1, frames=1)
    assert [m["args"] for m in said(s)] == [["A"]]
    s.say(Dropped((Topic("trade", "B"),), "gone", ReasonClass.PERMANENT))
    assert s.told(StatusKind.REFUSED) == [[1]]


@pytest.mark.parametrize("topics", [None, (Topic("trade", "A"),)])
def test_delta_reported_faults_make_data_suspect(topics: tuple[Topic, ...] | None) -> None:
    s = delta()
    s.want("trade", *"AB")
    s.up()
    s.say(Accepted())
    s.data([0, 1])
    s.say(Fault(topics, "gap"))
    assert s.told(StatusKind.SUSPECT) == [[0, 1] if topics is None else [0]]


def test_delta_tests_of_the_venue_are_answered() -> None:
    s = delta()
    s.want("trade", "A")
    s.up()
    s.say(MustAnswer(b"42"))
    assert [a.payload for a in s.of(actions.Send)] == [b"pong 42"]


def test_delta_an_empty_link_may_idle_after_its_last_message() -> None:
    s = delta(empty_target=EmptyTarget.CLOSE)
    s.want("trade", "A")
    s.up()
    s.say(Accepted())
    s.unwant("trade", "A")
    s.wait(5.1, frames=1)
    assert len(s.of(actions.Disconnect)) == 1

    s = delta()
    s.want("trade", "A")
    s.up()
    s.say(Accepted())
    s.unwant("trade", "A")
    s.wait(2.1, frames=1)
    assert [(m["op"], m["args"]) for m in said(s)] == [("UNSUB", ["A"])]
    assert not [a for a in s.wait(60, frames=1) if isinstance(a, actions.Disconnect)]
    assert s.ledger.live() == set()


def test_routes_have_links_of_their_own() -> None:
    s = delta()
    s.want("trade", "A", tell=False)
    s.want("book", "A", tell=False)
    s.turn()
    assert sorted(c.url for c in s.of(actions.Connect)) == ["wss://delta.test/deep", "wss://delta.test/ws"]
    assert sorted(link.route.name for link in s.engine.links.values()) == ["deep", "public"]
    links = {s.engine.row(i).link for i in (0, 1)}
    assert links == {0, 1}


# Cost


def test_what_a_change_reads_does_not_grow_with_the_link() -> None:
    """Deciding costs what changed: the target is read only to write a message."""

    class Counting:
        def __init__(self, inner: object) -> None:
            self.inner, self.reads = inner, 0

        def __getattr__(self, name: str) -> object:
            self.reads += name in ("target", "wire")
            return getattr(self.inner, name)

    s = Script()
    s.open_with("ticker", *(f"KRW-A{i}" for i in range(500)))
    link = s.engine.links[0]
    counting = Counting(link.wire)
    link.wire = counting  # type: ignore[assignment]
    for _ in range(20):
        s.want("ticker", BTC, who="other")
        s.unwant("ticker", BTC, who="other", tell=False)
        s.turn()
        s.want("ticker", "KRW-A7", who="other")
        s.wait(0.1, frames=1)
    assert counting.reads <= 2 * s.engine.stats.plans
