"""The loops over legs, against rows of a dict."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest

from subcore.engine.legs import NO_LINK, Legs

LINKS, STREAMS = (0, 1, 2), 30


@dataclass
class Leg:
    link: int = NO_LINK
    turned: int = 0
    width: int = -1
    evidence: int = 0
    request: int = 0
    answered: int = 0
    left: int = 0


Plain = dict[int, list[Leg]]


def random_legs(rng: random.Random) -> tuple[Legs, Plain]:
    legs, plain = Legs(STREAMS), {stream: [Leg(), Leg()] for stream in range(STREAMS)}
    for stream, both in plain.items():
        for place, link in enumerate(rng.sample(LINKS, rng.choice((0, 1, 1, 2)))):
            numbers = [rng.randrange(4) for _ in range(5)]
            both[place] = Leg(link, numbers[0], rng.choice((-1, 0, 5)), *numbers[1:])
            for name, value in vars(both[place]).items():
                getattr(legs, name)[2 * stream + place] = value
    return legs, plain


def assert_same(legs: Legs, plain: Plain) -> None:
    for name in vars(Leg()):
        assert getattr(legs, name).tolist() == [
            getattr(leg, name) for both in plain.values() for leg in both
        ], name


def on(plain: Plain, link: int, stream: int) -> Leg | None:
    return next((leg for leg in plain[stream] if leg.link == link), None)


def some(rng: random.Random) -> list[int]:
    return rng.sample(range(STREAMS), rng.randrange(STREAMS))


@pytest.mark.parametrize("seed", range(60))
def test_what_is_asked_of_many_legs_is_what_each_says(seed: int) -> None:
    rng = random.Random(f"legs {seed}")
    legs, plain = random_legs(rng)
    streams, link = some(rng), rng.choice(LINKS)
    given = np.array(streams, np.int32)
    there = [s for s in streams if on(plain, link, s)]
    held, rows = legs.on(link, given)
    assert held.tolist() == there
    assert [divmod(row, 2)[0] for row in rows.tolist()] == there
    assert all(legs.link[rows] == link)
    assert legs.rows(link, held).tolist() == rows.tolist()
    assert legs.home(given).tolist() == [plain[s][0].link for s in streams]
    twice = [s for s in streams if plain[s][1].link != NO_LINK]
    assert legs.doubled(given).tolist() == twice == given[legs.has_other(given)].tolist()
    carried = [s for s in streams if any(leg.width >= 0 for leg in plain[s])]
    assert given[legs.on_wire(given)].tolist() == carried
    assert [part.tolist() for part in legs.carried(given)] == [
        carried,
        [s for s in streams if s not in carried],
    ]
    ever = [s for s in streams if s in carried or any(leg.left for leg in plain[s])]
    assert [part.tolist() for part in legs.were_carried(given)] == [
        ever,
        [s for s in streams if s not in ever],
    ]
    assert legs.last_left(given).tolist() == [max(leg.left for leg in plain[s]) for s in streams]
    for home_only in (False, True):
        by_link = {k: part.tolist() for k, part in legs.by_link(given, home_only)}
        places = 1 if home_only else 2
        wanted = {k: [s for s in streams if any(leg.link == k for leg in plain[s][:places])] for k in LINKS}
        assert by_link == {k: part for k, part in wanted.items() if part}
        assert list(by_link) == sorted(by_link)
    speaks = legs.in_force(given).tolist()
    for stream, flags in zip(streams, speaks, strict=True):
        first, other = (leg.evidence if leg.width >= 0 else 0 for leg in plain[stream])
        assert flags == first | other
    since = rng.randrange(4)
    late = [s for s in streams if (leg := on(plain, link, s)) and 0 < leg.left >= since]
    assert [part.tolist() for part in legs.late(link, given, since)] == [
        late,
        [s for s in streams if s not in late],
    ]
    mute = [s for s in there if (leg := on(plain, link, s)) and leg.answered < since != leg.request]
    assert legs.mute(link, given, since).tolist() == mute
    pending = [s for s in there if (leg := on(plain, link, s)) and leg.width >= 0 and not leg.evidence & 1]
    assert legs.pending(link, given, 1).tolist() == pending
    turned = {s: leg.turned if (leg := on(plain, link, s)) else 0 for s in streams}
    assert legs.first_turned(link, given, 99) == min((turned[s] for s in there), default=99)
    assert legs.turned_since(link, given, 1).tolist() == [max(1, turned[s]) for s in streams]
    other = legs.other_link(link, held).tolist()
    assert other == [next(leg.link for leg in plain[s] if leg is not on(plain, link, s)) for s in there]
    assert_same(legs, plain)


@pytest.mark.parametrize("seed", range(60))
def test_what_happens_to_many_legs_is_what_happens_to_each(seed: int) -> None:
    rng = random.Random(f"legs change {seed}")
    legs, plain = random_legs(rng)
    for _ in range(12):
        streams, link, number = some(rng), rng.choice(LINKS), rng.randrange(1, 9)
        given = np.array(streams, np.int32)
        there = [leg for s in streams if (leg := on(plain, link, s))]
        match rng.randrange(9):
            case 0:
                assert legs.turn(link, given, number) == any(leg.width >= 0 for leg in there)
                change = {"turned": number}
            case 1:
                legs.put_in_force(link, given, np.full(len(given), number, np.int32))
                change = {"width": number}
            case 2:
                legs.put_asked(link, given, number)
                change = {"request": number, "evidence": 0}
            case 3:
                legs.put_left(link, given, number)
                change = {"width": -1, "left": number}
            case 4:
                legs.put_off(link, given)
                change = {"width": -1, "evidence": 0}
            case 5:
                legs.put_evidence(given, number)
                there, change = [leg for s in streams for leg in plain[s]], {"evidence": number}
            case 6:
                carry = [s for s in streams if (leg := on(plain, link, s)) and leg.width >= 0]
                heard, numbers = legs.heard(link, given, number, 8)
                there, change = [leg for s in carry if (leg := on(plain, link, s))], {}
                for leg in there:
                    leg.answered, leg.evidence = max(leg.request, number), leg.evidence | 8
                assert heard.tolist() == carry
                assert numbers == sorted({leg.answered for leg in there})
            case 7:
                plainly = [
                    s
                    for s in streams
                    if plain[s][0].link in (NO_LINK, link)
                    and plain[s][1].link == NO_LINK
                    and plain[s][0].width < 0
                ]
                assert legs.enter(link, given, number).tolist() == [s for s in streams if s not in plainly]
                there, change = [plain[s][0] for s in plainly], {"link": link, "turned": number}
            case _:
                lack = [s for s in streams if not on(plain, link, s)]
                taken = [s for s in lack if plain[s][0].link != NO_LINK]
                assert legs.settle_free(link, given).tolist() == taken
                there, change = [plain[s][0] for s in lack if s not in taken], {"link": link}
        for leg in there:
            vars(leg).update(change)
        assert_same(legs, plain)


@pytest.mark.parametrize("seed", range(30))
def test_a_new_leg_takes_no_late_frames_from_the_one_before(seed: int) -> None:
    """Whoever looks at two legs compares their copies: till the time at which the last wire was left is long ago."""
    rng = random.Random(f"attach {seed}")
    legs, plain = random_legs(rng)
    for _ in range(20):
        streams, link, late, twice = some(rng), rng.choice(LINKS), rng.randrange(4), rng.random() < 0.3
        given = np.array(streams, np.int32)
        for stream in streams:
            home, other = plain[stream]
            if on(plain, link, stream):
                continue
            if twice:
                plain[stream][1] = Leg(link, left=other.left)
            elif home.link == NO_LINK:
                home.link = link
            elif home.width >= 0:
                plain[stream][1] = Leg(link, left=other.left)
            elif other.link == NO_LINK and home.left > late:
                plain[stream] = [Leg(link), home]
            else:
                plain[stream][0] = Leg(link, left=home.left)
        if twice:
            legs.add(link, given)
        else:
            legs.attach(link, given, late)
        assert_same(legs, plain)


def test_a_wrong_id_changes_nothing() -> None:
    legs = Legs(4)
    legs.settle_free(0, np.array([0, 1], np.int32))
    before = {name: getattr(legs, name).copy() for name in vars(Leg())}
    for wrong in (np.array([0, 4], np.int32), np.array([1, -1], np.int32)):
        for call in (legs.on, legs.rows, legs.settle_free, legs.put_off, legs.other_link):
            with pytest.raises(IndexError):
                call(0, wrong)
        with pytest.raises(IndexError):
            legs.turn(0, wrong, 1)
        with pytest.raises(IndexError):
            legs.put_asked(0, wrong, 1)
        with pytest.raises(IndexError):
            legs.enter(0, wrong, 1)
    with pytest.raises(ValueError, match="one width"):
        legs.put_in_force(0, np.array([0, 1], np.int32), np.array([1], np.int32))
    with pytest.raises(OverflowError):
        legs.settle_free(1 << 16, np.array([2], np.int32))
    with pytest.raises(OverflowError):
        legs.enter(1 << 16, np.array([2], np.int32), 1)
    with pytest.raises(TypeError, match="width"):
        legs.take({**before, "width": np.zeros(8, np.int64)})
    for name, column in before.items():
        assert np.array_equal(getattr(legs, name), column)
