"""A venue that turns against a market which it served, and says nothing: it ends each connection that asks for it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine_script import Script
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.link import Phase, Role
from subcore.types import Int32Array, StreamState

MARKETS = [f"KRW-N{number}" for number in range(12)]
STEP, LAG = 0.05, 0.05


class Mute:
    """Serves whatever is asked for at once, but for `guilty`: a connection that asks for one of them just ends."""

    def __init__(self, s: Script) -> None:
        self.s, self.guilty, self.kills = s, set[str](), 0
        self.due: list[tuple[int, int, int]] = []  # time, link, generation

    def heed(self) -> None:
        """Answer what was sent just now, and what is sent for that."""
        while sends := self.s.of(actions.Send):
            for send in sends:
                self._answer(send)

    def _answer(self, send: actions.Send) -> None:
        s, link = self.s, self.s.engine.links[send.link]
        codes = {code for entry in json.loads(send.payload) for code in entry.get("codes", ())}
        if self.guilty & codes:
            self.due.append((s.now + round(LAG * SECOND), send.link, send.generation))
            s.out = []
        else:
            s.data(link.wire.wire(), link=send.link)

    def play(self, seconds: float) -> None:
        s, end = self.s, self.s.now + round(seconds * SECOND)
        while s.now < end:
            for link in list(s.engine.links.values()):
                if link.phase is Phase.CONNECTING:
                    s.up(link=link.id)
                    self.heed()
            for due in [due for due in self.due if due[0] <= s.now]:
                self.due.remove(due)
                _, ident, generation = due
                if generation == s.generations[ident] and s.engine.links[ident].is_up:
                    self.kills += 1
                    s.down(link=ident)
                    self.heed()
            s.wait(STEP, frames=1)
            self.heed()


def served(seed: int) -> tuple[Script, Mute, Int32Array]:
    """All markets proven on one link."""
    s = Script(seed=seed)
    mute = Mute(s)
    ids = s.want("ticker", *MARKETS)
    mute.heed()
    mute.play(10)
    assert s.states(ids) == {StreamState.OPEN}
    return s, mute, ids


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("place", [0, 5, 11])
def test_it_is_found_and_all_others_are_back(seed: int, place: int) -> None:
    s, mute, ids = served(seed)
    mute.guilty = {MARKETS[place]}
    s.down()
    mute.play(400)
    assert s.state(ids[place]) is StreamState.REFUSED, s.engine.row(int(ids[place]))
    assert "link closed" in s.engine.row(int(ids[place])).reason
    assert s.states(np.delete(ids, place)) == {StreamState.OPEN}
    assert mute.kills < 24


@pytest.mark.parametrize("seed", range(4))
def test_with_a_newcomer_it_takes_down_nobody_else(seed: int) -> None:
    s, mute, ids = served(seed)
    mute.guilty = {MARKETS[3]}
    (new,) = s.want("trade", MARKETS[0]).tolist()
    mute.heed()
    mute.play(400)
    assert s.state(new) is StreamState.OPEN
    assert s.states(np.delete(ids, 3)) == {StreamState.OPEN}
    assert s.state(ids[3]) is StreamState.REFUSED


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("minutes", [1, 30])
def test_a_venue_in_trouble_costs_nobody_his_place_and_is_not_searched_for_a_culprit(
    seed: int, minutes: int
) -> None:
    """Each connection ends at once for so long: two halves, and one of them alone, are left to be asked for, however
    long it lasted."""
    s, mute, ids = served(seed)
    mute.guilty = set(MARKETS)
    s.down()
    mute.play(60.0 * minutes)
    assert s.states(ids) <= {StreamState.WAITING, StreamState.RECOVERING, StreamState.SENT}
    trial = s.engine.links[0].trial
    assert trial is not None
    assert len(trial.groups) == 3
    assert mute.kills < 20 + 6 * minutes, "up to 30 s apart, 15 s at the mean"
    mute.guilty = set()
    mute.play(60)
    assert s.states(ids) == {StreamState.OPEN}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pair", [(0, 9), (0, 11), (5, 6), (2, 8)])
def test_two_of_them_in_both_halves_are_found_though_nobody_asks_for_anything_else(
    seed: int, pair: tuple[int, int]
) -> None:
    """No half lives, and no other link is there to tell that the venue works: one asked for alone is the sign."""
    s, mute, ids = served(seed)
    mute.guilty = {MARKETS[one] for one in pair}
    s.down()
    mute.play(900)
    assert s.states(ids[list(pair)]) == {StreamState.REFUSED}
    assert s.states(np.delete(ids, pair)) == {StreamState.OPEN}
    assert mute.kills < 60


def test_another_route_that_lives_shows_nothing_of_this_one() -> None:
    """An account's link says nothing of the markets' links: by its sign nothing is halved, and nobody refused."""
    s, mute, ids = served(1)
    orders = s.want("myOrder", MARKETS[0])
    mute.heed()
    mute.play(5)
    assert s.states(orders) == {StreamState.OPEN}
    assert len({link.route.name for link in s.engine.links.values()}) == 2
    mute.guilty = set(MARKETS[1:])
    s.down()
    mute.play(60)
    s.want("myOrder", "KRW-OTHER")  # it lives through a request that is younger than the trouble
    mute.heed()
    mute.play(540)
    assert StreamState.REFUSED not in s.states(ids)
    trial = s.engine.links[0].trial
    assert trial is not None
    assert len(trial.groups) == 3, "nothing was halved again on its account"
    mute.guilty = set()
    mute.play(60)
    assert s.states(ids) == {StreamState.OPEN}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("own", [False, True])
def test_what_lives_beside_it_since_before_the_trouble_shows_nothing(seed: int, own: bool) -> None:
    """Each new request kills, and a connection that is asked for nothing lives on: it was opened before. It is one with
    a market of its own, or the standby of the first one here: neither says that the venue works."""
    s, mute, ids = served(seed)
    if own:
        aside = s.want("ticker", "KRW-OWN", tell=False)
        s.tell(events.OwnLink(aside, True))
        s.turn()
    else:
        aside = ids[:1]
        s.tell(events.StandBy(aside, True))
    mute.heed()
    mute.play(10)
    (beside,) = (link for link in s.engine.links.values() if link.id)
    assert beside.wire.wire().tolist() == aside.tolist()
    mute.guilty = set(MARKETS)
    s.down()
    mute.play(12 * 60)
    assert s.states(aside) == {StreamState.OPEN}, "it lives all the time"
    assert beside.generation == 1
    assert StreamState.REFUSED not in s.states(ids)
    mute.guilty = set()
    mute.play(120)
    assert s.states(ids) == {StreamState.OPEN}


def halved(seed: int) -> tuple[Script, Mute, Int32Array]:
    """The venue turned against two of them, one in each half; no half may be halved without a sign."""
    s, mute, ids = served(seed)
    mute.guilty = {MARKETS[0], MARKETS[9]}
    s.down()
    for _ in range(4000):
        mute.play(STEP)
        trial = s.engine.links[0].trial
        if trial is not None and len(trial.groups) == 2:
            return s, mute, ids
    raise AssertionError("it was not halved in 200 s")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("later", [0, 3])
def test_who_comes_meanwhile_waits_for_nobody_and_is_the_sign(seed: int, later: int) -> None:
    """It is asked for on the nursery at once: behind the halves it would wait for them, and within one for ever. That
    it lives there, asked for since the trouble began, shows that the venue works."""
    s, mute, ids = halved(seed)
    mute.play(later)
    (new,) = s.want("ticker", "KRW-NEW").tolist()
    mute.heed()
    mute.play(2)
    assert s.state(new) is StreamState.OPEN
    assert s.engine.links[s.engine.row(new).link].role is Role.NURSERY
    mute.play(400)
    assert s.state(new) is StreamState.OPEN
    assert s.states(ids[[0, 9]]) == {StreamState.REFUSED}
    assert s.states(np.delete(ids, [0, 9])) == {StreamState.OPEN}


def test_what_asks_for_a_link_of_its_own_while_it_waits_on_trial_gets_it() -> None:
    """No wire carries it then, so there is nothing to move: it must not be forgotten for that."""
    s, mute, ids = served(1)
    mute.guilty = set(MARKETS)
    s.down()
    mute.play(60)
    s.tell(events.OwnLink(ids[:1], True))
    mute.heed()
    mute.play(60)
    mute.guilty = set()
    mute.play(60)
    assert s.states(ids) == {StreamState.OPEN}
    own = s.engine.links[s.engine.row(int(ids[0])).link]
    assert own.role is Role.OWN
    assert own.wire.wire().tolist() == ids[:1].tolist()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("standby", [False, True])
def test_who_passed_before_the_trouble_shows_nothing(seed: int, standby: bool) -> None:
    """A trial goes on, in which others were found innocent; then each connection ends at once, for a while. Those are
    not refused since they had passed, nor is what was on a standby, and is asked for beside them."""
    s, mute, ids = served(seed)
    if standby:
        s.tell(events.StandBy(ids[:1], True))
        mute.heed()
        mute.play(10)
    mute.guilty = {"KRW-NEW1"}
    s.want("ticker", "KRW-NEW1", "KRW-NEW2")
    (innocent,) = s.want("ticker", "KRW-NEW3").tolist()
    mute.heed()
    while s.state(innocent) is not StreamState.OPEN:
        mute.play(STEP)
    assert any(link.trial for link in s.engine.links.values())
    mute.guilty = {*MARKETS, "KRW-NEW1", "KRW-NEW2", "KRW-NEW3"}
    for link in list(s.engine.links.values()):
        if link.is_up:
            s.down(link=link.id)
    mute.play(600)
    innocents = np.append(ids, innocent)
    assert StreamState.REFUSED not in s.states(innocents)
    mute.guilty = set()
    mute.play(300)
    assert s.states(innocents) == {StreamState.OPEN}
