"""A lost link that carried much: seen to in slices, and nobody can tell from what comes of it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from engine_script import BTC, ETH, Script
from subcore.engine import actions, events
from subcore.engine.context import Settings
from subcore.engine.legs import _COLUMNS
from subcore.engine.link import Phase
from subcore.types import DataState, Priority, StatusKind, StreamState

SLICE, MANY = 8, 100
NAMES = [f"KRW-M{number}" for number in range(MANY)]


def loaded(size: int) -> Script:
    s = Script(settings=Settings(slice=size))
    for nth, name in enumerate(NAMES):
        s.want("ticker", name, priority=Priority(nth % 4), tell=False)
    s.turn()
    s.up()
    s.data(s.engine.links[0].wire.wire())
    s.wait(1.0, frames=1)
    return s


def columns(s: Script) -> dict[str, list[Any]]:
    streams, restores = s.engine.streams, s.engine.restores
    told = {name: getattr(streams, name).tolist() for name in ("state", "data", "proven", "since")}
    told |= {name: getattr(streams.legs, name).tolist() for name in _COLUMNS}
    told |= {"reasons": [streams.row(stream).reason for stream in range(MANY)]}
    for restore in restores:
        rows = zip(restore.streams.tolist(), restore.asked.tolist(), restore.ended.tolist(), strict=True)
        told |= {"restore": sorted(rows), "began": [restore.began]}
    return told


def test_a_great_loss_is_seen_to_a_slice_at_a_time() -> None:
    """Counted, not timed: streams whose state changes in one call."""
    s, whole = loaded(SLICE), loaded(MANY)
    calls, changed, seen = 0, 0, []
    while not calls or s.engine.deadline() == s.now:
        before = s.engine.streams.state.copy()
        out = s.tell(events.Tick()) if calls else s.down("cut")
        now = np.count_nonzero(s.engine.streams.state != before)
        assert now <= SLICE
        calls, changed, seen = calls + 1, changed + now, seen + out
    assert (calls, changed) == (-(-MANY // SLICE), MANY)
    (told,) = [a for a in seen if isinstance(a, actions.Notify) and a.kind is StatusKind.SUSPECT]
    assert len(told.streams) == MANY, "each holder is told once"
    at_once = whole.down("cut")
    assert whole.engine.deadline() != whole.now
    assert [type(action) for action in seen] == [type(action) for action in at_once]
    assert columns(s) == columns(whole)


def test_critical_streams_still_stand_first_in_what_is_asked_again() -> None:
    s = loaded(SLICE)
    s.down("cut")
    s.reconnect()
    payload = s.of(actions.Send)[0].payload.decode()
    order = sorted(NAMES, key=lambda name: payload.index(f'"{name}"'))
    classes = [NAMES.index(name) % 4 for name in order]
    assert classes == sorted(classes, reverse=True)


def test_a_link_that_lives_is_heard_while_another_is_seen_to() -> None:
    s = loaded(SLICE)
    s.tell(events.Rotate())
    s.up(link=1)
    s.down("cut")
    before = s.engine.streams.state.copy()
    s.now += 1_000_000
    s.tell(events.LinkActivity(1, 1, s.now, 7))
    assert s.engine.links[1].life.frames == 7
    assert np.array_equal(s.engine.streams.state, before), "that is no reason to go on"
    assert s.engine.deadline() == s.now


@pytest.mark.parametrize("event", ["wanted", "unwanted", "evidence", "rotate", "restoring"])
def test_what_happens_meanwhile_finds_the_loss_done(event: str) -> None:
    found = []
    for size in (SLICE, MANY):
        s = loaded(size)
        s.down("cut")
        match event:
            case "wanted":
                s.want("ticker", BTC)
            case "unwanted":
                s.unwant("ticker", *NAMES[50:])
            case "evidence":
                s.data([3, 99])
            case "rotate":
                s.tell(events.Rotate())
            case _:
                s.tell(events.Restoring(np.array([1, 90], np.int32), "a snapshot"))
        assert s.engine.deadline() != s.now
        found.append(columns(s))
    assert found[0] == found[1]
    assert StreamState.OPEN not in found[0]["state"]


@pytest.mark.parametrize("seed", range(12))
def test_nobody_can_tell_slices_from_what_comes_of_them(seed: int) -> None:
    histories: list[list[Any]] = []
    for size in (3, 10**6):
        rng, s, history = random.Random(f"slices {seed}"), Script(settings=Settings(slice=size)), []
        s.want("ticker", ETH)
        for _ in range(40):
            link = rng.choice(list(s.engine.links))
            match rng.randrange(6):
                case 0 | 1:
                    s.want("ticker", *rng.sample(NAMES, 12), priority=rng.choice(list(Priority)))
                case 2:
                    s.unwant("ticker", *rng.sample(NAMES, 5))
                case 3 if s.engine.links[link].is_up:
                    carried = s.engine.links[link].wire.wire()
                    s.data(carried[: rng.randrange(1, len(carried) + 2)], link=link)
                case 4 if s.generations.get(link) and rng.random() < 0.5:
                    s.down("cut", link=link)
                case _:
                    for ident, generation in list(s.generations.items()):
                        if s.engine.links[ident].phase.name == "CONNECTING":
                            s.tell(events.LinkUp(ident, generation, 1))
                            s.received[ident] = 0
            s.wait(rng.choice((0.01, 0.3, 1.5)), frames=1)
            history.append((columns(s), s.engine.stats))
        histories.append(history)
    assert histories[0] == histories[1]
    assert s.engine.stats.losses, "nothing was lost"


@pytest.mark.parametrize("size", [4, MANY])
def test_what_turned_suspect_a_part_at_a_time_is_told_once_though_its_link_is_lost_between_two_parts(
    size: int,
) -> None:
    """A standby holds all of it, so that nothing is lost with the link; what the standby brings next shows it good."""
    s = Script(settings=Settings(awaited=size))
    ids = s.open_with("ticker", *NAMES[:12])
    s.tell(events.StandBy(ids, True))
    while 1 not in s.engine.links or s.engine.links[1].phase is not Phase.CONNECTING:
        s.wait(0.1, frames=1)
    s.up(link=1)
    s.data(ids, link=1)
    s.wait(5, frames=1)
    s.data(s.want("ticker", ETH))  # on the first link, whose request states all anew
    data, seen = s.engine.streams.data, []
    while not np.any(data[ids] == DataState.SUSPECT):
        seen += s.wait(0.05, frames=1)
    doubted = ids[data[ids] == DataState.SUSPECT].tolist()
    assert len(doubted) == min(size, len(ids))
    seen += s.down()
    told = [a.streams.tolist() for a in seen if isinstance(a, actions.Notify) and "overdue" in a.reason]
    assert told == [doubted]
    assert s.open_of(ids) == set(ids.tolist())
    (awaited,) = [a for a in s.out if isinstance(a, actions.AwaitEvidence)]
    assert (awaited.link, awaited.streams.tolist()) == (1, doubted)
    s.data(doubted, link=1)
    assert s.told(StatusKind.GOOD) == [doubted]
