"""Who is blamed when a request kills its connection: not by time alone, not for an outage, not for a stall."""

from __future__ import annotations

import random

import pytest

from delta_venue import DELTA
from engine_script import ADA, BTC, ETH, XRP, Script, symbols_of
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.link import Phase
from subcore.types import Accepted, ReasonClass, Refused, StreamState

BAD = Refused("INVALID_PARAM", "", ReasonClass.PERMANENT)
STEP = 0.05


class Nasty:
    """A venue that ends each connection that asks for a guilty market, `lag` seconds later, and never sends data.

    With `error` it says so before, without naming anybody.
    """

    def __init__(self, s: Script, guilty: set[str], lag: float, *, error: bool = True) -> None:
        self.s, self.guilty, self.lag, self.error = s, guilty, lag, error
        self.due: list[tuple[int, int, int]] = []  # time, link, generation
        self.connects: list[int] = []

    def heed(self) -> None:
        """Note what was sent just now."""
        for send in self.s.of(actions.Send):
            if self.guilty & symbols_of(send):
                at = self.s.now + round(self.lag * SECOND)
                self.due.append((at, send.link, send.generation))

    def play(self, seconds: float, *proven: int) -> None:
        """Open what is to be opened, end what is to end. `proven`: link 0 brings data of these whenever it opens."""
        s, end = self.s, self.s.now + round(seconds * SECOND)
        while s.now < end:
            for link in list(s.engine.links.values()):
                if link.phase is Phase.CONNECTING:
                    self.connects.append(s.now)
                    s.up(link=link.id)
                    self.heed()
                    if link.id == 0 and proven:
                        s.data(proven)
                        self.heed()
            for due in [due for due in self.due if due[0] <= s.now]:
                self.due.remove(due)
                _, ident, generation = due
                if generation == s.generations[ident] and s.engine.links[ident].is_up:
                    s.say(BAD, link=ident) if self.error else s.down(link=ident)
                    self.heed()
            s.wait(STEP, frames=1)
            self.heed()


@pytest.mark.parametrize("apart", [0.45, 0.7, 0.95])
def test_an_error_may_be_about_an_earlier_request_than_the_last(apart: float) -> None:
    """Its error window is over, and the next wish left before the error came."""
    s = Script()
    (old,) = s.open_with("ticker", BTC).tolist()
    s.wait(5, frames=1)
    nasty = Nasty(s, {XRP}, 0.99)
    (bad,) = s.want("trade", XRP).tolist()
    nasty.heed()
    nasty.play(apart, old)
    (good,) = s.want("trade", ADA).tolist()
    nasty.heed()
    assert s.state(good) is StreamState.SENT, "it left before the error came"
    nasty.play(20, old)
    assert s.state(bad) is StreamState.REFUSED
    assert s.state(good) is StreamState.SENT, s.engine.row(good).reason
    assert s.state(old) is StreamState.OPEN


def test_an_error_that_comes_later_than_anybody_is_blamed_refuses_no_other() -> None:
    """A slow venue: ADA's error comes when its trial is over and XRP was asked for after it."""
    s = Script()
    (old,) = s.open_with("ticker", BTC).tolist()
    s.wait(5, frames=1)
    nasty = Nasty(s, {ADA}, 1.3)
    bad, good = s.want("trade", ADA, XRP).tolist()
    nasty.heed()
    nasty.play(60, old)
    assert s.state(good) is StreamState.SENT, s.engine.row(good).reason
    assert s.state(bad) is StreamState.REFUSED
    assert s.engine.stats.losses < 12


def test_one_that_kills_without_a_word_is_found_beside_one_that_is_silent_for_ever() -> None:
    s = Script()
    (old,) = s.open_with("ticker", BTC).tolist()
    s.wait(5, frames=1)
    nasty = Nasty(s, {XRP}, 0.1, error=False)
    silent, bad = s.want("trade", ETH, XRP).tolist()
    nasty.heed()
    nasty.play(60, old)
    assert s.state(bad) is StreamState.REFUSED
    assert "closed 3 times" in s.engine.row(bad).reason
    assert s.state(silent) is StreamState.SENT


@pytest.mark.parametrize("seed", range(20))
def test_a_venue_that_answers_and_then_ends_every_connection_refuses_nobody(seed: int) -> None:
    """What it has acknowledged is innocent, but no sign that it works: all else ends as well."""
    rng = random.Random(f"answers {seed}")
    s = Script(DELTA, seed=seed)
    old = s.open_with("trade", "A")
    s.wait(5, frames=1)
    s.down()
    ids = [*old.tolist(), *s.want("trade", *"BCDEFG").tolist()]
    for _ in range(2400):
        for link in list(s.engine.links.values()):
            if link.phase is Phase.CONNECTING:
                s.up(link=link.id)
            for request in list(link.in_flight) if link.is_up else ():
                if rng.random() < 0.5:
                    s.say(Accepted(request.id), link=link.id)
            if link.is_up and rng.random() < 0.5:
                s.down(link=link.id)
        s.wait(STEP, frames=1)
    assert s.engine.stats.losses > 10
    assert StreamState.REFUSED not in {s.state(x) for x in ids}


def test_who_gets_the_id_of_a_suspect_is_not_on_trial_for_it() -> None:
    s = Script()
    s.open_with("ticker", BTC)
    s.wait(1.5, frames=1)
    suspects = s.want("trade", XRP, ADA, ETH, BTC)
    s.say(BAD)
    trial = s.engine.links[1].trial
    assert trial is not None
    assert trial.holds(suspects).all()
    leaves = trial.waiting[-1].streams.tolist()[0]
    s.unwant("trade", s.ledger.topic(leaves).symbol)
    released: list[int] = []
    for _ in range(40):
        for action in s.of(actions.ReleaseStreams):
            released += action.streams.tolist()
        s.wait(STEP, frames=1)
    assert released == [leaves]
    assert trial.holds(suspects).tolist() == [stream != leaves for stream in suspects.tolist()]


@pytest.mark.parametrize("stall", [0.0, 0.9, 2.0, 60.0])
def test_nobody_is_acquitted_by_a_stall(stall: float) -> None:
    """The loop stood still after a trial's request; its timers run before it reads the error that waits."""
    s = Script()
    (old,) = s.open_with("ticker", BTC).tolist()
    s.wait(1.5, frames=1)
    bad, good = s.want("trade", ADA, XRP).tolist()
    s.say(BAD)
    nasty = Nasty(s, set(), 0.0)
    while 1 not in s.generations or not s.engine.links[1].is_up:
        nasty.play(STEP, old)
    s.wait(0.3, frames=1)
    s.now += round(stall * SECOND)
    s.activity(1)
    s.tell(events.Tick())
    s.say(BAD, link=1)
    assert s.state(bad) is StreamState.REFUSED
    nasty.play(20, old)
    assert s.state(good) is StreamState.SENT, s.engine.row(good).reason


@pytest.mark.parametrize("count", [1, 4])
def test_a_venue_that_kills_every_connection_is_not_stormed(count: int) -> None:
    """One stream or several, nothing proven: nobody can be found guilty, so each death is one more failed attempt."""
    s = Script()
    markets = [BTC, ETH, XRP, ADA][:count]
    ids = s.want("ticker", *markets)
    nasty = Nasty(s, set(markets), 0.05, error=False)
    nasty.play(600)
    late = [at for at in nasty.connects if at > 300 * SECOND]
    assert len(nasty.connects) < 80
    assert 5 <= len(late) < 45, "up to 30 s apart, 15 s at the mean"
    assert s.states(ids) <= {StreamState.WAITING, StreamState.SENT}
    nasty.guilty = set()
    nasty.play(60)
    assert s.states(ids) == {StreamState.SENT}


def test_a_connection_that_dies_takes_nothing_of_what_may_be_asked_again() -> None:
    """Deaths and answers that leave a stream out are counted each by themselves."""
    s = Script()
    (stream,) = s.want("ticker", BTC).tolist()
    nasty = Nasty(s, {BTC}, 0.05, error=False)
    nasty.play(20)
    assert len(nasty.connects) > 3
    assert s.engine.row(stream).retries == 0


def test_a_group_that_nobody_wants_any_more_shows_nothing() -> None:
    """A trial that ended since its streams were closed does not show that the venue works, so it refuses nobody."""
    s = Script()
    gone, bad = s.want("ticker", XRP, ADA).tolist()
    nasty = Nasty(s, {XRP, ADA}, 0.05, error=False)
    while s.engine.links[0].trial is None:
        nasty.play(STEP)
    s.unwant("ticker", XRP)  # the one on trial
    nasty.play(120)
    assert s.state(gone) is StreamState.CLOSED
    assert s.state(bad) in (StreamState.WAITING, StreamState.SENT), s.engine.row(bad).reason
