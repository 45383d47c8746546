"""The engine played by hand: losses, restores, and who is to blame."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from delta_venue import DELTA
from engine_script import BTC, ETH, MS, XRP, Script, symbols_of
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.link import Phase, Role
from subcore.engine.pacing import LimitRegistry
from subcore.types import (
    DataState,
    Priority,
    ReasonClass,
    Refused,
    StatusKind,
    StreamState,
)
from subcore.venue import Capacity, Counted, Limit, Scope, Window

RATE = Refused("TOO_MANY_REQUEST", "", ReasonClass.RATE)


# Loss and restore


def test_a_loss_is_told_and_everything_comes_back_in_one_message() -> None:
    s = Script()
    ids = s.open_with("ticker", BTC, ETH)
    (unproven,) = s.want("trade", BTC).tolist()
    s.wait(1.5)
    s.down("reset")
    assert s.told(StatusKind.SUSPECT) == [ids.tolist()]
    assert s.told(StatusKind.WAITING) == [[unproven]]
    assert s.states(ids) == {StreamState.RECOVERING}
    assert s.state(unproven) is StreamState.WAITING
    assert {s.engine.row(i).data for i in ids.tolist()} == {DataState.SUSPECT}
    s.wait(0.3)
    s.up()
    (send,) = s.of(actions.Send)
    assert len(json.loads(send.payload)) == 3, "ticket, ticker, format: what was never proven cannot spoil it"
    s.data(ids)
    assert s.told(StatusKind.OPEN) == [ids.tolist()]
    assert s.told(StatusKind.GOOD) == []
    assert s.engine.stats.restores == 1
    assert s.engine.links[1].role is Role.NURSERY
    s.up(link=1)
    (send,) = s.of(actions.Send)
    assert send.link == 1
    assert "trade" in send.payload.decode()
    s.data([unproven], link=1)
    assert s.told(StatusKind.OPEN) == [[unproven]]


def test_a_stream_that_is_refused_meanwhile_ends_its_part_of_the_restore() -> None:
    s = Script()
    ids = s.open_with("ticker", BTC, ETH, XRP)
    names = {BTC: ids[0], ETH: ids[1], XRP: ids[2]}
    s.wait(40, frames=1)
    s.down("reset")
    ended: list[actions.Restored] = []
    told: list[str] = []
    for _ in range(60):
        sends = s.of(actions.Send)
        down = [link.id for link in s.engine.links.values() if link.phase is Phase.CONNECTING]
        if sends and XRP in symbols_of(sends[0]):
            s.say(Refused("INVALID_PARAM"), link=sends[0].link)
        elif sends:
            s.data([names[name] for name in sorted(symbols_of(sends[0]))], link=sends[0].link)
            ended += s.of(actions.Restored)
            told += [line.text for line in s.of(actions.Log)]
        elif down:
            s.up(link=down[0])
        else:
            s.wait(0.5, frames=1)
            ended += s.of(actions.Restored)
    assert s.state(ids[2]) is StreamState.REFUSED
    assert s.open_of(ids) == {ids[0], ids[1]}
    (account,) = ended
    states = dict(zip(account.restore.streams.tolist(), account.restore.states.tolist(), strict=True))
    assert states == {ids[0]: StreamState.OPEN, ids[1]: StreamState.OPEN, ids[2]: StreamState.REFUSED}
    assert not s.engine.restores
    (text,) = [text for text in told if text.startswith("restored ")]
    assert text.startswith("restored 2 of 3 streams in ")
    assert text.endswith(" s after link lost: reset; 1 were refused")


CLASSES = (Priority.LOW, Priority.CRITICAL, Priority.NORMAL, Priority.HIGH)


def each_on_its_own(seed: int, *limits: Limit) -> Script:
    """Four open links, each with one stream: of these classes."""
    s = Script(
        replace(DELTA, capacities=(Capacity("streams", 1),), limits=(*DELTA.limits, *limits)), seed=seed
    )
    for link, priority in enumerate(CLASSES):
        ids = s.want("trade", f"S{link}", priority=priority)
        s.reconnect(link=link)
        s.data(ids, link=link)
    assert s.states(np.arange(4, dtype=np.int32)) == {StreamState.OPEN}
    return s


def test_links_lost_together_come_back_in_the_order_of_their_classes() -> None:
    """And as late as chance would have it: none of their waits is another one than before."""
    first = set()
    for seed in range(12):
        s = each_on_its_own(seed)
        links, waits = s.engine.links, []
        for link in range(4):
            before = {other.id: other.connect_at for other in links.values() if other.phase is Phase.BACKOFF}
            s.down(link=link)
            now = [other.connect_at for other in links.values() if other.phase is Phase.BACKOFF]
            waits.append(min(set(now) - set(before.values())))
            assert sorted(now) == sorted([*before.values(), waits[-1]])
        assert max(waits) <= s.now + SECOND // 4
        order = [action.link for action in s.wait(0.3) if isinstance(action, actions.Connect)]
        assert [CLASSES[link] for link in order] == sorted(CLASSES, reverse=True)
        first.add(waits.index(min(waits)))
    assert len(first) == 4, "chance favoured each of them"


def test_where_connects_have_to_wait_the_highest_class_goes_first() -> None:
    one_a_second = Limit("c", Scope.IP, frozenset({Counted.CONNECT}), (Window(1, 1.0, 1.1),))
    s = each_on_its_own(1, one_a_second)
    for link in range(4):
        s.down(link=link)
    order = [action.link for action in s.wait(6.0) if isinstance(action, actions.Connect)]
    assert [CLASSES[link] for link in order] == sorted(CLASSES, reverse=True)


def test_a_link_that_failed_more_often_takes_no_turn_of_another() -> None:
    """Else what cannot be reached, however important, would keep the others off the wire."""
    s = each_on_its_own(3)
    s.down(link=1)
    for _ in range(5):
        while s.engine.links[1].phase is not Phase.CONNECTING:
            s.wait(0.1, frames=1)
        s.down("refused", link=1)
    when = s.engine.links[1].connect_at
    for link in (0, 2, 3):
        s.down(link=link)
        assert s.engine.links[1].connect_at == when


def test_wishes_during_a_loss_follow_the_restore_through_the_nursery() -> None:
    s = Script()
    s.open_with("ticker", BTC, ETH)
    s.down()
    s.unwant("ticker", ETH)
    s.want("ticker", XRP)
    s.wait(0.3)
    s.up()
    (send,) = s.of(actions.Send)
    assert symbols_of(send) == {BTC}
    s.up(link=1)
    (send,) = s.of(actions.Send)
    assert symbols_of(send) == {XRP}


def test_backoff_doubles_with_full_jitter() -> None:
    waits: list[list[float]] = []
    for seed in range(200):
        s = Script(seed=seed)
        s.want("ticker", BTC)
        row = []
        for _ in range(9):
            s.down("refused")
            row.append((s.engine.links[0].connect_at - s.now) / SECOND)
            s.now = s.engine.links[0].connect_at
            s.tell(events.Tick())
        waits.append(row)
    for i, bound in enumerate([0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]):
        column = [row[i] for row in waits]
        assert 0.9 * bound < max(column) <= bound
        assert min(column) < 0.1 * bound


def test_only_thirty_good_seconds_with_data_reset_the_backoff() -> None:
    s = Script()
    s.want("ticker", BTC)
    for _ in range(5):
        s.down("refused")
        s.wait(0)
        while s.engine.links[0].phase is not Phase.CONNECTING:
            s.wait(0.1)
    s.up()
    s.wait(29, frames=1)
    s.down()
    assert s.engine.links[0].attempts == 6, "a link that held for less than 30 s has proven nothing"
    s.reconnect()
    for _ in range(20):
        s.wait(2)
        s.tell(events.Pong(0, s.generation, MS))
    assert s.engine.links[0].attempts == 6, "nor has one without data"
    s.wait(1, frames=1)
    assert s.engine.links[0].attempts == 0


@pytest.mark.parametrize(
    ("status", "told", "pause"), [(429, 7.0, 7), (418, 95.0, 95), (429, None, 10), (418, None, 120)]
)
def test_a_block_stops_all_connects_of_the_process(status: int, told: float | None, pause: int) -> None:
    registry = LimitRegistry()
    one, other = Script(registry=registry), Script(registry=registry, seed=2)
    one.want("ticker", BTC)
    one.down(f"HTTP {status}", status=status, retry_after=told)
    other.want("ticker", BTC)
    assert not other.of(actions.Connect)
    for s in (one, other):
        assert not [a for a in s.wait(pause - 0.01) if isinstance(a, actions.Connect)]
        assert [a for a in s.wait(0.02) if isinstance(a, actions.Connect)]


def test_connects_of_many_engines_share_the_window_of_the_address() -> None:
    registry = LimitRegistry()
    scripts = [Script(registry=registry, seed=i) for i in range(8)]
    for s in scripts:
        s.want("ticker", BTC)
    assert sum(bool(s.of(actions.Connect)) for s in scripts) == 5


def test_the_end_of_a_given_up_connection_changes_nothing() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.say(Refused("INVALID_PARAM"))
    assert len(s.of(actions.Disconnect)) == 1
    before = s.engine.links[0].connect_at
    s.down("our own close")
    assert s.engine.links[0].connect_at == before
    assert s.engine.stats.losses == 1


# Blame


def test_an_error_frame_brings_back_what_was_proven_and_refuses_what_is_new_once_it_stood_alone() -> None:
    """The error names nobody: a market may be delisted while its data flows, so it may be about the others as well."""
    s = Script()
    good = s.open_with("ticker", BTC, ETH)
    (bad,) = s.want("trade", XRP).tolist()
    s.say(Refused("INVALID_PARAM", "잘못된 요청"))
    assert not s.told(StatusKind.REFUSED)
    assert s.states(good) == {StreamState.RECOVERING}
    s.reconnect()
    assert symbols_of(s.of(actions.Send)[0]) == {BTC, ETH}
    s.data(good)
    s.up(link=1)
    assert [symbols_of(a) for a in s.out if isinstance(a, actions.Send) and a.link == 1] == [{XRP}]
    s.say(Refused("INVALID_PARAM", "잘못된 요청"), link=1)
    assert s.told(StatusKind.REFUSED) == [[bad]]
    assert "INVALID_PARAM" in s.engine.row(bad).reason
    assert s.states(good) == {StreamState.OPEN}
    s.wait(200, frames=1)
    assert not s.of(actions.Send)


def test_of_many_new_ones_the_guilty_is_found_by_halves_on_the_nursery() -> None:
    s = Script()
    good = s.open_with("ticker", BTC, ETH)
    names = [f"KRW-N{i}" for i in range(16)]
    new = s.want("trade", *names)
    bad = names[11]
    s.say(Refused("INVALID_PARAM"))
    s.reconnect()
    assert symbols_of(s.of(actions.Send)[0]) == {BTC, ETH}, "what was proven comes back at once, and alone"
    s.data(good)
    assert s.states(good) == {StreamState.OPEN}
    deaths = 0
    for _ in range(60):
        if s.engine.links[1].phase is Phase.CONNECTING:
            s.up(link=1)
        for send in [a for a in s.out if isinstance(a, actions.Send) and a.link == 1]:
            asked = symbols_of(send)
            if bad in asked:
                deaths += 1
                s.say(Refused("INVALID_PARAM"), link=1)
            else:
                s.data([new[names.index(n)] for n in asked], link=1)
            break
        else:
            s.wait(0.25, frames=1)
        if s.state(new[11]) is StreamState.REFUSED and len(s.open_of(new)) == 15:
            break
    assert s.state(new[11]) is StreamState.REFUSED
    assert s.open_of(new) == set(new.tolist()) - {int(new[11])}
    assert s.states(good) == {StreamState.OPEN}
    assert deaths <= 5, "16 -> 8 -> 4 -> 2 -> 1"
    assert s.engine.stats.losses == deaths + 1


def test_two_quick_deaths_blame_what_is_new_but_never_a_set_of_which_nothing_was_proven() -> None:
    s = Script()
    good = s.open_with("ticker", BTC)
    (bad,) = s.want("trade", XRP).tolist()
    s.down("closed", code=1000)
    s.reconnect()
    s.data(good)
    s.reconnect(link=1)
    s.wait(0.3, frames=1)
    for _ in range(2):
        assert s.state(bad) is not StreamState.REFUSED
        s.down("closed", code=1000, link=1)
        s.reconnect(link=1)
        s.wait(0.3, frames=1)
    s.down("closed", code=1000, link=1)
    assert s.state(bad) is StreamState.REFUSED
    assert s.states(good) == {StreamState.OPEN}

    s = Script()
    ids = s.want("ticker", BTC, ETH)
    s.up()
    for _ in range(8):
        s.down("closed", code=1000)
        s.reconnect()
        s.down("closed", code=1000)
    assert s.states(ids) == {StreamState.WAITING}


def test_a_slow_death_blames_nobody() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    (new,) = s.want("trade", XRP).tolist()
    s.wait(1.2)
    s.down("closed")
    s.reconnect(link=1)
    for _ in range(3):
        s.wait(1.2)
        s.down("closed", link=1)
        s.reconnect(link=1)
    assert s.state(new) is StreamState.SENT


def test_a_rate_refusal_blames_nobody_and_narrows_the_limits_for_an_hour() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    (new,) = s.want("trade", XRP).tolist()
    s.say(RATE)
    s.reconnect()
    s.reconnect(link=1)
    for _ in range(3):
        s.say(RATE, link=1)
        assert len(s.of(actions.Disconnect)) == 1
        s.reconnect(link=1)
    assert s.state(new) is StreamState.SENT
    assert s.registry.is_narrowed(s.venue.host, s.now + 3500 * SECOND)
    assert not s.registry.is_narrowed(s.venue.host, s.now + 3601 * SECOND)


def test_a_refused_stream_comes_back_only_when_asked_for_again() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    (bad,) = s.want("trade", XRP).tolist()
    s.say(Refused("INVALID_PARAM"))
    s.reconnect()
    s.data([0])
    s.up(link=1)
    s.say(Refused("INVALID_PARAM"), link=1)
    assert s.state(bad) is StreamState.REFUSED
    s.want("trade", XRP, who="somebody else")  # held already: no edge
    assert not s.of(actions.Send)
    s.tell(events.AskedAgain(np.array([bad, 0], np.int32)))
    assert XRP in symbols_of(s.of(actions.Send)[0])
    assert s.engine.row(bad).reason == ""
    s.data([bad])
    assert s.state(bad) is StreamState.OPEN


def test_deaths_of_different_requests_do_not_add_up() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.want("trade", XRP)
    s.down("closed", code=1000)
    s.unwant("trade", XRP)
    s.reconnect()
    s.data([0])
    (other,) = s.want("trade", ETH).tolist()
    s.down("closed", code=1000)
    assert s.told(StatusKind.REFUSED) == []
    assert s.state(other) is StreamState.WAITING


def test_what_was_refused_before_it_was_asked_for_is_not_asked_for_in_the_same_account() -> None:
    """Else it would have been asked for after it had ended."""
    s = Script()
    ids = s.open_with("ticker", BTC, ETH, XRP)
    s.wait(1.5, frames=1)
    s.down("reset")
    (restore,) = s.engine.restores
    s.engine._restores.ended(ids[1:2], s.now)
    s.reconnect()
    s.wait(0.5)
    assert (restore.asked > 0).tolist() == [True, False, True]
    assert (restore.ended > 0).tolist() == [False, True, False]
