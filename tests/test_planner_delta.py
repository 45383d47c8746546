"""A delta venue with acknowledgements proves that nothing in the planner knows how Upbit speaks."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from delta_venue import DELTA
from engine_script import BTC, Script
from subcore._wire_set import WireSet
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.context import NO_STREAMS, Settings
from subcore.types import (
    Accepted,
    DataState,
    Dropped,
    Evidence,
    Fault,
    Int32Array,
    Listing,
    MustAnswer,
    ReasonClass,
    Refused,
    StatusKind,
    StreamState,
    Took,
    Topic,
)
from subcore.venue import (
    EmptyTarget,
    Out,
)


def said(s: Script) -> list[dict[str, object]]:
    return [json.loads(a.payload) for a in s.of(actions.Send)]


def delta(**changes: object) -> Script:
    """All that may go leaves in one event."""
    return Script(replace(DELTA, **changes), settings=Settings(messages=100))  # type: ignore[arg-type]


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
    assert [(m["op"], m["args"]) for m in said(s)] == [("SUB", ["C"])]
    assert not [a for a in s.wait(1.49, frames=1) if isinstance(a, actions.Send)], (
        "riding along would save nothing"
    )
    s.unwant("trade", "B")
    s.wait(0.02, frames=1)
    assert [(m["op"], m["args"]) for m in said(s)] == [("UNSUB", ["A", "B"])]
    s.say(Accepted())
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
    said(s)
    s.say(Refused("bad topic", request_id="1"))
    assert [m["args"] for m in said(s)] == [["A"]], "which of the three it means is found by halves"
    s.say(Accepted("2"))
    assert s.states(np.array([3, 4, 5], np.int32)) == {StreamState.OPEN}
    s.say(Accepted("3"))
    assert [m["args"] for m in said(s)] == [["B", "C"]]
    s.say(Refused("bad topic", request_id="4"))
    assert [m["args"] for m in said(s)] == [["B"]]
    s.say(Refused("bad topic", request_id="5"))
    assert s.told(StatusKind.REFUSED) == [[1]]
    for _ in range(6):  # five messages a second: the sixth waits
        s.wait(0.2, frames=1)
        if asked := [m["args"] for m in said(s)]:
            break
    assert asked == [["C"]]
    s.say(Accepted())
    assert s.states(np.array([0, 2], np.int32)) == {StreamState.OPEN}
    assert not s.of(actions.Disconnect)
    s.tell(events.AskedAgain(np.array([1], np.int32)))
    assert [m["args"] for m in said(s)] == [["B"]]


def test_delta_a_good_one_that_is_refused_with_bad_ones_again_and_again_is_not_refused_itself() -> None:
    """Who spoiled its request is unsubscribed before the answer, so nobody else is left to blame: it must go alone."""
    s = delta()
    s.open_with("trade", "Z")
    s.wait(3)
    good = int(s.want("trade", "GOOD", "BAD0")[0])
    for turn in range(1, 5):
        (request,) = (m for m in said(s) if "GOOD" in m["args"])
        assert len(request["args"]) == 2, "a bad one goes with it"  # type: ignore[arg-type]
        s.unwant("trade", f"BAD{turn - 1}")
        # The other messages of this second: so the next request comes together with the next bad one.
        for other in range(4):
            s.want("trade", f"OTHER{turn}-{other}")
            s.say(Accepted(str(said(s)[-1]["id"])))
        s.say(Refused("bad topic", request_id=str(request["id"])))
        assert s.state(good) is StreamState.WAITING
        if turn < 4:
            s.want("trade", f"BAD{turn}")
        for _ in range(40):
            if any("GOOD" in m["args"] for m in said(s)):  # type: ignore[operator]
                break
            s.wait(0.05)
    (request,) = said(s)
    assert request["args"] == ["GOOD"]
    s.say(Refused("bad topic", request_id=str(request["id"])))
    assert s.told(StatusKind.REFUSED) == [[good]], "alone it is to blame"


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


def send_ids(s: Script) -> list[str]:
    return [str(m["id"]) for m in said(s)]


@pytest.mark.parametrize("reason", [ReasonClass.TRANSIENT, ReasonClass.RATE, ReasonClass.CAPACITY])
def test_delta_what_the_venue_cannot_do_now_is_asked_for_until_it_can(reason: ReasonClass) -> None:
    """Ten minutes of trouble are no reason to refuse a stream for good: the last wait is kept."""
    s = delta()
    (stream,) = s.want("trade", "A").tolist()
    s.up()
    asked = []
    while s.now < 600 * SECOND:
        for ident in send_ids(s):
            asked.append(s.now / SECOND)
            s.say(Refused("busy", reason=reason, request_id=ident))
        s.wait(0.25, frames=1)
    assert asked[:5] == [0.0, 2.0, 10.0, 40.0, 70.0]
    assert 20 <= len(asked) <= 23
    assert s.engine.row(stream).state is StreamState.WAITING
    assert len(s.engine.links) == 1, "a link that carries nothing is not full"
    assert f"failed {len(asked)} times" in s.engine.explain(stream, s.now)
    while not send_ids(s):
        s.wait(0.25, frames=1)
    s.say(Accepted())
    assert s.engine.row(stream)[:2] == (StreamState.OPEN, DataState.NONE)
    assert s.engine.row(stream).retries == 0


def test_delta_whoever_asks_anew_has_all_tries_again() -> None:
    s = delta(
        encode_listing=lambda number: Out(b"{}", 1, str(number), NO_STREAMS, NO_STREAMS), ack_is_proof=False
    )
    (stream,) = s.want("trade", "A").tolist()
    s.up()

    def until_refused() -> int:
        listings = 0
        while s.state(stream) is not StreamState.REFUSED:
            s.wait(0.25, frames=1)
            for _ in [a for a in s.of(actions.Send) if not a.request]:
                listings += 1
                s.say(Listing((Topic("trade", "B"),), None))
        return listings

    assert until_refused() == 4
    s.tell(events.AskedAgain(np.array([stream], np.int32)))
    assert until_refused() == 4


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


def test_delta_an_acknowledgement_that_proves_does_so_on_a_second_link_as_well() -> None:
    """A market that rests brings no data there: else it would be asked for and given up again without end."""
    s = delta()
    (stream,) = s.want("trade", "A").tolist()
    s.up()
    s.say(Accepted("1"))
    s.wait(3, frames=1)
    s.tell(events.Rotate())
    s.up(link=1)
    s.say(Accepted("1"), link=1)
    s.wait(60, frames=1)
    assert [m["op"] for m in said(s)] == []  # the old link was closed when it carried nothing more
    assert [link.wire.len_wire for link in s.engine.links.values()] == [0, 1]
    assert not s.engine.is_rotating
    assert s.state(stream) is StreamState.OPEN


def test_delta_a_refusal_of_nothing_that_was_asked_for_bounds_no_link() -> None:
    s = delta()
    s.want("trade", "A")
    s.up()
    s.say(Accepted("1"))
    s.say(Refused("full", reason=ReasonClass.CAPACITY, request_id="another"))
    s.want("trade", "B")
    assert [link.wire.len_target for link in s.engine.links.values()] == [2]


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
    s.say(Accepted())
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

    class Counting(WireSet):
        reads = 0

        def target(self) -> Int32Array:
            self.reads += 1
            return super().target()

        def wire(self) -> Int32Array:
            self.reads += 1
            return super().wire()

    s = Script()
    s.open_with("ticker", *(f"KRW-A{i}" for i in range(500)))
    link = s.engine.links[0]
    counting = Counting()
    counting.set_target(link.wire.target())
    counting.set_wire(link.wire.wire())
    link.wire = counting
    for _ in range(20):
        s.want("ticker", BTC, who="other")
        s.unwant("ticker", BTC, who="other", tell=False)
        s.turn()
        s.want("ticker", "KRW-A7", who="other")
        s.wait(0.1, frames=1)
    assert counting.reads <= 2 * s.engine.stats.plans
