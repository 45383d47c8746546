"""The engine, which knows nothing of Binance, on its grammar; and that it does not."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

import subcore
from engine_script import Script
from skips import ROOT
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.link import Phase
from subcore.types import (
    Accepted,
    Priority,
    StreamState,
)
from subcore.venues import venue, venue_names

BINANCE = venue("binance")


def said(s: Script) -> list[dict[str, object]]:
    return [json.loads(a.payload) for a in s.of(actions.Send)]


def test_an_acknowledged_stream_is_open_with_its_first_data() -> None:
    s = Script(BINANCE)
    (stream,) = s.want("trade", "BTCUSDT")
    s.up()
    assert said(s) == [{"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}]
    s.say(Accepted("1"))
    assert s.state(stream) is StreamState.SENT
    s.data([stream])
    assert s.state(stream) is StreamState.OPEN


def test_a_silent_stream_is_looked_up_in_the_list() -> None:
    s = Script(BINANCE)
    quiet, lost = s.want("trade", "BTCUSDT", "ETHUSDT")
    (book,) = s.want("orderbook", "BTCUSDT", depth=5)
    s.up()
    s.say(Accepted("1"))
    asked = [json.loads(a.payload) for a in s.wait(3, frames=1) if isinstance(a, actions.Send)]
    assert asked == [{"method": "LIST_SUBSCRIPTIONS", "id": 2}]
    (listing,) = BINANCE.decode_control(b'{"result":["btcusdt@depth5@100ms","btcusdt@trade"],"id":2}')
    s.say(listing)
    assert s.state(quiet) is s.state(book) is StreamState.OPEN
    assert s.state(lost) is StreamState.WAITING
    assert "does not list it" in s.engine.row(int(lost)).reason


def test_another_depth_is_another_stream_and_no_depth_is_the_widest() -> None:
    s = Script(BINANCE)
    (five,) = s.want("orderbook", "BTCUSDT", depth=5)
    s.up()
    s.data([five])
    (twenty,) = s.want("orderbook", "BTCUSDT", depth=20, who="b")
    assert five != twenty
    s.wait(2)
    s.data([twenty])
    (widest,) = s.want("orderbook", "BTCUSDT", who="c")
    assert widest == twenty
    assert not [a for a in s.wait(9, frames=1) if isinstance(a, actions.Send)]
    s.unwant("orderbook", "BTCUSDT", depth=20, who="b")
    assert not [a for a in s.wait(9, frames=1) if isinstance(a, actions.Send)]
    s.unwant("orderbook", "BTCUSDT", depth=5)
    asked = [json.loads(a.payload) for a in s.wait(2.1, frames=1) if isinstance(a, actions.Send)]
    assert [(m["method"], m["params"]) for m in asked] == [("UNSUBSCRIBE", ["btcusdt@depth5@100ms"])]
    s.say(Accepted(str(asked[0]["id"])))
    assert not [a for a in s.wait(9, frames=1) if isinstance(a, actions.Send)]


def test_a_thousand_streams_leave_in_order_of_class_at_the_least_gap() -> None:
    s = Script(BINANCE)
    s.want("agg_trade", *(f"L{n}" for n in range(500)), priority=Priority.LOW)
    s.want("agg_trade", *(f"H{n}" for n in range(500)), priority=Priority.HIGH)
    s.up()
    sent = [(s.now, a) for a in s.of(actions.Send)]
    while (deadline := s.engine.deadline()) is not None and deadline <= 10 * SECOND:
        sent += [
            (s.now, a) for a in s.wait((deadline - s.now) / SECOND, frames=1) if isinstance(a, actions.Send)
        ]
        sent = [(at, a) for at, a in sent if a.request]
        if len(sent) >= 10:
            break
    names = [json.loads(a.payload)["params"] for _, a in sent]
    assert len(names) == 10
    assert all(name.startswith("h") for part in names[:5] for name in part)
    assert len({name for part in names for name in part}) == 1000
    times = [at for at, _ in sent]
    assert all(b - a >= 0.3 * SECOND for a, b in pairwise(times))
    assert all(b - a >= SECOND for a, b in zip(times, times[4:], strict=False))


def test_a_silent_link_is_pinged_though_the_venue_pings() -> None:
    s = Script(BINANCE)
    (stream,) = s.want("trade", "BTCUSDT")
    s.up()
    s.data([stream])
    assert [a for a in s.wait(6) if isinstance(a, actions.Ping)]
    s.wait(6)
    assert s.engine.stats.losses == 1


@pytest.mark.parametrize("has_room", [True, False])
def test_an_empty_link_whose_ping_finds_no_room_is_not_kept(has_room: bool) -> None:
    """Nobody knows whether it is alive, and to find out would take what others wait for."""
    s = Script(BINANCE)
    (stream,) = s.want("trade", "BTCUSDT")
    s.up()
    s.data([stream])
    s.wait(5, frames=1)
    s.unwant("trade", "BTCUSDT")
    s.wait(1)
    link = s.engine.links[0]
    assert link.is_up
    assert link.linger_by is not None
    link.ping_first = not has_room  # as it is left where the limits have none
    s.tell(events.Tick())
    assert bool(s.of(actions.Disconnect)) is not has_room


def assert_allowed(s: Script, arrivals: list[int]) -> None:
    """Much is asked for during two seconds: with what arrives beside, no more than 5 within any second."""
    for number in range(40):
        s.want("trade", f"S{number}USDT")
        sent = len(s.of(actions.Send))
        sent += sum(isinstance(did, actions.Send | actions.Ping) for did in s.wait(0.05, frames=1))
        arrivals += [s.now] * sent
    arrivals.sort()
    counted = [sum(at - SECOND < other <= at for other in arrivals) for at in arrivals if at <= s.now]
    assert len(counted) > 5
    assert max(counted) <= 5


@pytest.mark.parametrize("phase", [0.1, 7.0, 14.9])
@pytest.mark.parametrize("stall", [0.3, 3.0, 25.0, 50.0])
def test_pongs_that_a_stall_held_back_count_with_what_is_sent_after_it(stall: float, phase: float) -> None:
    """ "PING, PONG and JSON all count": the socket answers at once all pings of each 20 s that it finds waiting."""
    s = Script(BINANCE)
    s.want("trade", "BTCUSDT")
    s.up()
    s.wait(5, frames=1)
    began, woke = s.now, s.now + round(stall * SECOND)
    pings = [round((phase + 20 * number) * SECOND) for number in range(5)]
    arrivals = [max(at, woke) for at in pings if at > began]
    s.now = woke
    s.activity(1)
    s.tell(events.Tick())
    assert_allowed(s, arrivals)


@pytest.mark.parametrize("gap", [0.01, 0.2])
def test_pongs_that_stalls_in_a_row_held_back_count_together(gap: float) -> None:
    """In between timers ran, and the loop was stuck again before it read a socket."""
    s = Script(BINANCE)
    s.want("trade", "BTCUSDT")
    s.up()
    s.wait(5, frames=1)
    began = s.now
    for stall in (31.0, gap, 31.0):
        s.now += round(stall * SECOND)
        s.tell(events.Tick())
    pings = [round((14.9 + 20 * number) * SECOND) for number in range(5)]
    assert_allowed(s, [max(at, s.now) for at in pings if at > began])


def test_where_frames_are_read_between_stalls_they_hold_no_pong_back_for_longer() -> None:
    """A handler that takes half a second, called again and again: what is asked for then goes out all the same."""
    s = Script(BINANCE)
    s.want("trade", "BTCUSDT")
    s.up()
    for number in range(300):
        if number == 290:
            s.want("trade", "ETHUSDT")
        for passes, frames in ((0.6, 0), (0.05, 1)):
            s.now += round(passes * SECOND)
            s.activity(frames)
            s.tell(events.Tick())
    assert s.engine.stats.additions == 2


@pytest.mark.parametrize("stall", [0.3, 8.0, 19.0, 30.0, 50.0])
def test_pongs_of_a_connection_that_opened_while_the_loop_was_stuck_count_as_well(stall: float) -> None:
    """The venue answered the handshake at once and has pinged since; all of it is read together."""
    s = Script(BINANCE)
    s.want("trade", "BTCUSDT")
    accepted = s.now + SECOND // 20
    s.now += round(stall * SECOND)
    s.up()
    arrivals = [s.now] * len(s.of(actions.Send))
    arrivals += [max(accepted + 20 * SECOND * number, s.now) for number in range(5)]
    woke = s.now
    assert_allowed(s, arrivals)
    assert sum(at <= woke + SECOND for at in arrivals) >= 3, "and nothing waits that need not"


@pytest.mark.parametrize("stall", [0.0, 20.0, 40.0, 3600.0])
def test_a_stall_before_the_connect_costs_the_new_connection_nothing(stall: float) -> None:
    """The machine slept while the link waited to connect: nobody has pinged a connection that is 50 ms old."""
    s = Script(BINANCE)
    s.want("trade", "BTCUSDT")
    s.up()
    s.wait(1, frames=1)
    s.down()
    s.now += round(stall * SECOND)
    s.tell(events.Tick())
    if s.engine.links[0].phase is not Phase.CONNECTING:  # no stall
        s.wait(1)
    assert s.engine.links[0].phase is Phase.CONNECTING
    s.now += SECOND // 20
    s.up()
    opened, sent = s.now, len(s.of(actions.Send))
    for number in range(20):
        s.want("trade", f"S{number}USDT")
        sent += sum(isinstance(did, actions.Send) for did in s.wait(0.05, frames=1))
    assert (s.now - opened, sent) == (SECOND, 4)


@pytest.mark.parametrize("window", [0.0, 0.1, 0.4])
def test_an_error_window_that_ends_is_no_answer(window: float) -> None:
    """However short it is set: what nobody answered may be under way for 0.3 s."""
    s = Script(replace(BINANCE, error_window=window))
    s.want("trade", "BTCUSDT")
    s.up(rtt_ms=5.0)
    opened, sent = s.now, [s.now] * len(s.of(actions.Send))
    for number in range(50):
        s.want("trade", f"S{number}USDT")
        sent += [s.now for did in s.wait(0.05, frames=1) if isinstance(did, actions.Send)]
    arrives_last = sent[0] + 3 * SECOND // 10  # if the first takes longest, and the others no time
    assert sum(opened < at < arrives_last + SECOND for at in sent) <= 3, "and one is left for a pong"


def test_an_answer_to_an_older_request_tells_nothing_of_pongs_that_leave_with_it() -> None:
    """After a stall the answers that waited are read before the pongs can have arrived, which may take 0.3 s."""
    s = Script(BINANCE)
    s.want("trade", "BTCUSDT")
    s.up()
    s.wait(5, frames=1)
    s.want("trade", "ETHUSDT")
    (asked,) = s.of(actions.Send)
    s.now += 50 * SECOND
    woke, pongs, sent = s.now, 3, list[int]()
    s.tell(events.ControlFrame(0, 1, Accepted(str(asked.request))))
    s.activity(1)
    s.tell(events.Tick())
    for number in range(60):
        s.want("trade", f"S{number}USDT")
        sent += [s.now] * len(s.of(actions.Send))
        sent += [s.now for did in s.wait(0.05, frames=1) if isinstance(did, actions.Send)]
    late = woke + 3 * SECOND // 10
    assert pongs + sum(at < late + SECOND for at in sent) <= 5
    assert sent[0] < woke + SECOND


def test_an_unknown_role_of_keeping_alive_is_left_alone() -> None:
    answers = replace(BINANCE.keepalive, role=type(BINANCE.keepalive.role).CLIENT_ANSWERS)
    s = Script(replace(BINANCE, keepalive=answers))
    s.want("trade", "BTCUSDT")
    s.up()
    assert not [a for a in s.wait(60) if isinstance(a, actions.Ping)]


def test_a_close_for_too_many_requests_blames_no_stream_and_counts_links_together() -> None:
    for code, is_blamed in ((1008, False), (1006, True)):
        s = Script(BINANCE)
        s.open_with("trade", "BTCUSDT")
        s.wait(1, frames=1)  # past the least gap
        (fresh,) = s.want("trade", "ETHUSDT")
        for _ in range(2):
            s.wait(0.2, frames=1)
            s.down(code=code)
            s.reconnect()
        assert s.state(fresh) is not StreamState.REFUSED
        assert (1 in s.generations) is is_blamed, "asked for apart from what is proven"
        s.data([0])
        for passed in (False, True, True) if is_blamed else ():
            if passed:  # what lives on beside it, although it was asked for since, shows that the venue works
                assert s.state(fresh) is not StreamState.REFUSED
                s.wait(10, frames=1)
            s.reconnect(link=1)
            s.wait(0.2, frames=1)
            s.down(code=code, link=1)
        assert (s.state(fresh) is StreamState.REFUSED) is is_blamed
        assert s.registry.is_narrowed(BINANCE.host, s.now) is not is_blamed


def test_who_was_lived_with_is_not_counted_guilty_of_an_earlier_death() -> None:
    """It was asked for in vain, then the connection lived with it for seconds; a death after that is the first one."""
    s = Script(BINANCE)
    s.open_with("trade", "BTCUSDT")

    def until_it_says(verb: bytes) -> None:
        while not any(send.payload.startswith(b'{"method":"' + verb) for send in s.of(actions.Send)):
            s.wait(0.1, frames=1)

    s.wait(1, frames=1)
    for _ in range(3):
        s.want("trade", "ETHUSDT")
        until_it_says(b"SUBSCRIBE")
        s.wait(0.1, frames=1)
        s.down(code=1006)
        assert s.engine.links[0].deaths == 1
        s.reconnect()
        s.data([0])
        s.wait(10, frames=1)
        s.unwant("trade", "ETHUSDT")
        until_it_says(b"UNSUBSCRIBE")
    assert set(s.engine.links) == {0}, "nobody is asked for apart"


def test_no_name_of_a_venue_stands_outside_its_module() -> None:
    """Code that asks which venue it serves would have to name it."""
    package = Path(subcore.__file__).parent
    apart = ("venues", "sim", "testing", "scenarios")  # the last three play on some of them
    defaults = ("cli/demo.py", "cli/demo_web.py", "cli/watch.py")  # whom they play on if nobody says
    named = [
        f"{within}: {node.value!r}"
        for path in package.rglob("*.py")
        for within in [path.relative_to(package)]
        if within.parts[0] not in apart
        if within.as_posix() not in defaults
        for tree in [ast.parse(path.read_text(encoding="utf-8"))]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.lower() in venue_names()
    ]
    assert named == []


def code_of(path: Path) -> str:
    """Without comments and docstrings, which may quote a name; the C that Cython takes in quotes stays."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".h":
        return re.sub(r"/\*[\s\S]*?\*/", "", text)
    prose = re.compile(r'(extern from \*:\n\s*)?"""[\s\S]*?"""|#[^\n]*')
    return prose.sub(lambda found: found[0] if found[1] else "", text)


def test_no_name_of_a_venue_stands_in_the_core() -> None:
    """The same for Cython and C."""
    core = ("src/subcore/*.pyx", "src/subcore/*.h", "src/subcore/*.pxd", "python/subcore/*.pxd")
    sources = [list(ROOT.glob(pattern)) for pattern in core]
    assert all(sources)
    names = re.compile("|".join(venue_names()), re.IGNORECASE)
    assert [f"{p.name}: {name}" for part in sources for p in part for name in names.findall(code_of(p))] == []
