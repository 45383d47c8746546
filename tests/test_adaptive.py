"""Measures against load: the ladder's order, its patience and its words, by pressures made up from a seed."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from subcore.engine.adaptive import (
    HISTORY,
    LADDER,
    Adapt,
    Adaptive,
    Level,
    Measure,
    Pressure,
    Rung,
    Step,
)
from subcore.engine.clock import SECOND
from subcore.errors import UsageError
from subcore.types import Priority

CALM = Pressure()
BUSY = Pressure(lag=0.1)
OVERLOADED = Pressure(lag=1.0)


def play(
    adaptive: Adaptive, pressure: Pressure, seconds: int, start: int, touches: set[Rung] | None = None
) -> list[tuple[int, Step]]:
    """One look a second; steps with the second they came in."""
    reach = set(LADDER) if touches is None else touches
    found = []
    for second in range(start, start + seconds):
        found += [
            (second, step) for step in adaptive.adapt(pressure, second * SECOND, lambda rung: rung in reach)
        ]
    return found


def changes(steps: list[tuple[int, Step]]) -> list[tuple[int, str]]:
    return [(s, ("+" if step.on else "-") + str(step.rung)) for s, step in steps if step.on is not None]


def test_busy_takes_from_low_alone_and_overload_from_the_next_ones() -> None:
    adaptive = Adaptive(Adapt())
    assert changes(play(adaptive, BUSY, 60, 0)) == [
        (3, "+conflate LOW"),
        (8, "+slow LOW"),
        (13, "+shallow LOW"),
    ]
    assert adaptive.level is Level.BUSY
    assert changes(play(adaptive, OVERLOADED, 60, 60)) == [
        (63, "+suspend LOW"),
        (68, "+conflate NORMAL"),
        (73, "+slow NORMAL"),
        (78, "+shallow NORMAL"),
        (83, "+conflate HIGH"),
    ]
    assert not any(rung.priority is Priority.CRITICAL for rung in adaptive.on)


def test_what_was_taken_last_is_given_back_first_and_each_after_its_calm() -> None:
    adaptive = Adaptive(Adapt())
    play(adaptive, OVERLOADED, 60, 0)
    assert changes(play(adaptive, BUSY, 200, 60)) == [
        (80, "-conflate HIGH"),
        (100, "-shallow NORMAL"),
        (120, "-slow NORMAL"),
        (140, "-conflate NORMAL"),
        (160, "-suspend LOW"),
    ]
    assert changes(play(adaptive, CALM, 100, 260)) == [
        (280, "-shallow LOW"),
        (300, "-slow LOW"),
        (320, "-conflate LOW"),
    ]
    assert adaptive.on == ()
    assert len(adaptive.history) == 8


def test_a_moment_is_no_load_and_a_level_is_left_only_well_below_it() -> None:
    adaptive = Adaptive(Adapt())
    for second in range(0, 60, 3):  # two looks of three
        assert not play(adaptive, BUSY, 2, second)
        assert not play(adaptive, CALM, 1, second + 2)
    assert [s for s, _ in changes(play(adaptive, BUSY, 4, 60))] == [63]
    assert not [c for c in changes(play(adaptive, Pressure(lag=0.036), 4, 64)) if c[1][0] == "-"]
    assert adaptive.level is Level.BUSY  # 50 ms begin it, 36 do not end it
    play(adaptive, Pressure(lag=0.034), 1, 68)
    assert adaptive.level is Level.CALM


def test_what_comes_back_too_soon_stays_twice_as_long() -> None:
    adaptive = Adaptive(Adapt(measures=frozenset({Measure.CONFLATE}), calm=10.0, calm_most=35.0))
    on = {Rung(Measure.CONFLATE, Priority.LOW, Level.BUSY)}
    second, stays = 0, []
    for _ in range(5):  # as soon as the measure is off, the load is there again
        came = went = 0
        while not came:
            came = next((s for s, step in play(adaptive, BUSY, 1, second, on) if step.on), 0)
            second += 1
        while not went:
            went = next((s for s, step in play(adaptive, CALM, 1, second, on) if step.on is False), 0)
            second += 1
        stays.append(went - came)
    assert stays == [11, 21, 36, 36, 36]
    play(adaptive, CALM, 200, second, on)
    assert changes(play(adaptive, BUSY, 5, second + 200, on))
    gone = changes(play(adaptive, CALM, 30, second + 205, on))
    assert gone == [(second + 215, "-conflate LOW")]  # the usual calm again


def test_the_effect_is_what_became_of_the_signal_that_was_to_blame() -> None:
    adaptive = Adaptive(Adapt())
    play(adaptive, Pressure(lag=0.12, callback_share=0.3), 4, 0)
    (taken,) = adaptive.taken
    assert (taken.reason, taken.effect) == ("the loop ran 120 ms late", None)
    steps = play(adaptive, Pressure(lag=0.02, callback_share=0.9), 6, 4)
    told = [step.taken.effect for _, step in steps if step.on is None]
    assert told == ["the loop ran 120 ms late before, and 5 s later the loop ran 20 ms late"]
    last = play(adaptive, CALM, 60, 10)[-1][1]
    assert last.taken.effect is not None
    assert last.taken.effect.startswith(told[0] + "; over, since the loop ran 0 ms late")
    assert last.taken.until_ns is not None
    assert adaptive.history[-1] == last.taken


def test_the_history_is_bounded() -> None:
    adaptive = Adaptive(Adapt(calm=1.0, calm_most=1.0, step=1.0, after=1.0))
    for second in range(0, 4 * HISTORY, 8):
        play(adaptive, OVERLOADED, 4, second)
        play(adaptive, CALM, 4, second + 4)
    assert len(adaptive.history) == HISTORY


def test_links_are_split_for_their_throughput_alone() -> None:
    adaptive = Adaptive(Adapt(link_rate=(1e6, 1e9)))
    assert "+split CRITICAL" not in [c for _, c in changes(play(adaptive, OVERLOADED, 60, 0))]
    adaptive = Adaptive(Adapt(link_rate=(1e6, 1e9)))
    steps = changes(play(adaptive, Pressure(link_rate=2e6), 10, 0))
    assert steps[0] == (3, "+split CRITICAL")
    assert "one link brought 2.0 MB/s" in adaptive.taken[0].reason


@pytest.mark.parametrize("signal", ["lag", "callback_share", "queue_age", "memory", "link_rate"])
def test_each_signal_alone_raises_the_level(signal: str) -> None:
    asked = Adapt(link_rate=(1e6, 2e6), memory_limit=1 << 30)
    bounds = getattr(asked, signal)
    adaptive = Adaptive(asked)
    adaptive.adapt(Pressure(**{signal: bounds[0] * 0.99}), 0, lambda rung: True)
    assert adaptive.level is Level.CALM
    adaptive.adapt(Pressure(**{signal: bounds[0]}), SECOND, lambda rung: True)
    assert adaptive.level is Level.BUSY
    adaptive.adapt(Pressure(**{signal: bounds[1]}), 2 * SECOND, lambda rung: True)
    assert adaptive.level is Level.OVERLOADED
    off = Adaptive(Adapt())
    off.adapt(Pressure(memory=99.0, link_rate=1e12), 0, lambda rung: True)
    assert off.level is Level.CALM  # not looked at where nothing is said of them


@pytest.mark.parametrize(
    "wrong", [{"lag": (0.2, 0.1)}, {"lag": (0, 1)}, {"falls": 0}, {"calm": -1}, {"slowed": float("nan")}]
)
def test_settings_that_make_no_sense_are_told(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Adapt(**wrong)  # type: ignore[arg-type]


# Whatever the load does


@examples(60)
@given(st.integers(0, 2**32))
def test_order_dwell_and_class_hold_whatever_the_load_does(seed: int) -> None:
    """A plain account of what is on, kept from the steps alone, is held against the promises."""
    rng = random.Random(seed)
    asked = Adapt(
        after=rng.choice([1.0, 3.0]),
        step=rng.choice([1.0, 5.0]),
        calm=rng.choice([5.0, 20.0]),
        link_rate=rng.choice([None, (1e6, 2e6)]),
        measures=frozenset(rng.sample(list(Measure), rng.randint(1, len(Measure)))),
    )
    adaptive = Adaptive(asked)
    on: list[Rung] = []
    changed_at: list[int] = []
    taken_at: dict[Rung, int] = {}
    stays: defaultdict[Rung, list[tuple[int, int]]] = defaultdict(list)
    second, lag, levels = 0, 0.0, []
    reach = {rung for rung in LADDER if rng.random() < 0.8}
    for _ in range(rng.randint(5, 40)):
        lag = rng.choice([0.0, 0.03, 0.045, 0.06, 0.2, 0.5])
        rate = rng.choice([0.0, 1.5e6])
        for _ in range(rng.randint(1, 40)):
            pressure = Pressure(lag=lag * rng.uniform(0.8, 1.2), link_rate=rate)
            steps = adaptive.adapt(pressure, second * SECOND, lambda rung: rung in reach)
            levels.append(adaptive.level)
            for step in steps:
                if step.on is None:
                    continue
                changed_at.append(second)
                if step.on:
                    below = [
                        r for r in LADDER[: LADDER.index(step.rung)] if r in reach and may(asked, r, rate)
                    ]
                    assert set(below) <= set(on), "lower rungs first"
                    assert adaptive.level >= step.rung.level
                    on.append(step.rung)
                    taken_at[step.rung] = second
                else:
                    assert step.rung == max(on, key=LADDER.index), "the last one first"
                    on.remove(step.rung)
                    stays[step.rung].append((taken_at[step.rung], second))
                    calm = [level < step.rung.level for level in levels[-int(asked.calm) :]]
                    assert all(calm), "only after its calm"
            assert adaptive.on == tuple(sorted(on, key=LADDER.index))
            second += 1
    assert all(b - a >= asked.step for a, b in itertools.pairwise(changed_at) if a != b)
    assert len(set(changed_at)) == len(changed_at), "one at a time"
    assert all(rung.measure is Measure.SPLIT or rung.priority is not Priority.CRITICAL for rung in stays)
    for (
        periods
    ) in stays.values():  # no flapping: a stay is at least its calm, and longer each time it comes too soon
        for (_, went), (came, left) in itertools.pairwise(periods):
            assert left - came >= asked.calm
            if came - went < 3 * asked.calm:
                assert left - came >= min(2 * asked.calm, asked.calm_most)


def may(asked: Adapt, rung: Rung, rate: float) -> bool:
    if rung.measure is Measure.SPLIT and not (asked.link_rate and rate >= 1e6):
        return False
    return rung.measure in asked.measures
