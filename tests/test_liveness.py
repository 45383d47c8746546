"""The ladder: who does not keep what he owes is named, stopped and removed in time, and nobody else ever is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from examples import SHARE
from liveness_world import TURN_S, Actor, LivenessWorld
from subcore.engine.breakers import SinkFacts, Try, Unblock
from subcore.engine.liveness import TICK_NS, Liveness, Look, Step
from subcore.engine.obligations import Cause, Obligations
from subcore.types import StatusKind

SEEDS = range(max(3, round(8 * SHARE)))


@pytest.mark.parametrize("seed", SEEDS)
def test_components_that_do_anything_are_judged_as_the_rules_say(seed: int) -> None:
    world = LivenessWorld(seed)
    world.run(120.0)
    assert world.reaped
    assert {"SLOW UNREAD", "QUARANTINED BEATS", "RECOVERED UNREAD"} <= world.seen


def test_every_verdict_is_reached() -> None:
    seen = set.union(*(seen_in(seed) for seed in range(3)))
    steps = {
        f"{kind} {cause}"
        for kind in ("QUARANTINED", "RECOVERED", "REAPED")
        for cause in ("UNREAD", "BEATS", "RAISES")
    }
    assert steps | {"SLOW UNREAD", "SLOW RAISES", "REAPED OWNER"} <= seen


def seen_in(seed: int) -> set[str]:
    world = LivenessWorld(100 + seed, rules=Obligations(grace=3.0))
    world.run(100.0, hostile=0.01)
    return world.seen


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_who_is_well_is_never_accused_whatever_stalls_and_sleeps_there_are(seed: int) -> None:
    world = LivenessWorld(seed)
    world.run(120.0, hostile=0.0, stalls=0.05)
    assert "stall" in world.seen
    assert [step for actor in world.actors.values() for step in actor.steps] == []


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_faults_are_found_through_stalls_and_never_before_their_time(seed: int) -> None:
    world = LivenessWorld(seed)
    world.run(200.0, stalls=0.02)
    assert "stall" in world.seen
    assert world.reaped


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_a_vetoed_step_is_not_taken_and_asked_again_after_all_its_time(seed: int) -> None:
    world = LivenessWorld(seed, veto=0.5)
    world.run(150.0)
    assert {"veto SLOW", "veto QUARANTINED", "veto REAPED"} <= world.seen


@pytest.mark.parametrize(
    "fault", ["hangs", "beats but does not read", "reads but does not beat", "raises", "goes"]
)
def test_each_kind_of_fault_is_named_within_ten_seconds(fault: str) -> None:
    for seed in range(2):
        world = LivenessWorld(seed, actors=8)
        world.run(3.0 + seed * TURN_S, hostile=0.0)
        actor = next(
            one for one in world.actors.values() if one.heartbeat or fault != "reads but does not beat"
        )
        began = world.runnable
        break_it(actor, fault)
        world.run(60.0, hostile=0.0)
        steps = actor.steps
        assert steps[-1][1].kind is StatusKind.REAPED, fault
        named = steps[0][0] - began
        assert named <= 10.0
        others = [one for one in world.actors.values() if one is not actor and one.steps]
        assert others == []


def break_it(actor: Actor, fault: str) -> None:
    if fault == "hangs":
        actor.reads, actor.beats = "never", False
    elif fault == "beats but does not read":
        actor.reads = "never"
    elif fault == "reads but does not beat":
        actor.beats = False
    elif fault == "raises":
        actor.raises, actor.reads = True, "never"
    else:
        actor.gone = True


class Alone:
    """One component, told by the tick."""

    def __init__(self, **rules: Any) -> None:
        self.engine = Liveness(Obligations(**rules))
        self.engine.add(5)
        self.due, self.done, self.lost = (np.zeros(8, np.int64) for _ in range(3))
        self.now = 0
        self.sinks: dict[int, SinkFacts] = {}
        self.look()

    def look(self) -> list[Any]:
        self.now += TICK_NS
        steps = self.engine.look(Look(self.due, self.done, self.lost, (), self.sinks), self.now)
        for step in steps:
            if isinstance(step, Step):
                self.engine.carried(step)
        return steps

    def kinds(self, ticks: int) -> list[StatusKind]:
        return [step.kind for _ in range(ticks) for step in self.look()]


def test_who_is_always_late_but_reads_is_slow_once_and_never_worse() -> None:
    """It reads everything three seconds late, for a minute; and is well again once it was not late for a while."""
    alone = Alone()
    came: list[int] = []
    kinds = []
    for _ in range(240):
        alone.due[5] += 3
        came.append(int(alone.due[5]))
        alone.done[5] = came[-12] if len(came) >= 12 else 0
        kinds += [step.kind for step in alone.look()]
    assert kinds == [StatusKind.SLOW]
    alone.done[5] = alone.due[5]
    assert alone.kinds(40) == [StatusKind.RECOVERED]


def test_a_loss_is_no_progress() -> None:
    alone = Alone()
    alone.due[5] = 10
    kinds = []
    for _ in range(150):  # the queue is full: what comes drives out what waits
        alone.due[5] += 4
        alone.done[5] += 4
        alone.lost[5] += 4
        kinds += [step.kind for step in alone.look()]
    assert kinds[:3] == [StatusKind.SLOW, StatusKind.QUARANTINED, StatusKind.REAPED]


def test_progress_lifts_the_quarantine_at_once() -> None:
    alone = Alone()
    alone.due[5] = 10
    assert alone.kinds(23) == [StatusKind.SLOW, StatusKind.QUARANTINED]
    assert alone.engine.is_stopped(5)
    alone.done[5] = 1  # of ten
    assert alone.kinds(1) == [StatusKind.SLOW]
    assert not alone.engine.is_stopped(5)
    alone.done[5] = 10
    assert alone.kinds(40) == [StatusKind.RECOVERED]


def test_an_id_that_is_anothers_begins_anew() -> None:
    alone = Alone()
    alone.due[5] = 10
    alone.kinds(23)
    alone.engine.forget(5)
    assert alone.kinds(20) == []
    alone.engine.add(5)
    alone.due[5] = alone.done[5] = 0
    assert alone.kinds(200) == []


def test_a_breaker_tries_twice_and_waits_for_an_event_to_try_with() -> None:
    """At 2 s and at 5 s; a market that says nothing gives no second try, and no quarantine."""
    alone = Alone()
    raised = [alone.engine.failed(7, 5, SinkFacts(errors, 0)) for errors in range(1, 11)]
    assert raised == [False] * 9 + [True]
    at: dict[str, list[float]] = {"try": [], "step": []}

    def look(errors: int, ticks: int) -> None:
        alone.sinks = {7: SinkFacts(errors, 0)}
        for _ in range(ticks):
            for step in alone.look():
                at["try" if isinstance(step, Try) else "step"].append(round((alone.now - began) / 1e9, 2))

    began = alone.now + TICK_NS
    look(10, 60)
    assert at["try"] == [2.0]
    assert len(at["step"]) == 1  # SLOW
    look(11, 4)
    assert len(at["try"]) == 2
    look(12, 2)
    assert len(at["step"]) == 2
    assert alone.engine.is_stopped(5)


def test_a_try_that_works_closes_the_breaker() -> None:
    alone = Alone()
    alone.engine.failed(7, 5, SinkFacts(10, 0))
    alone.sinks = {7: SinkFacts(10, 0)}
    assert [type(step) for _ in range(9) for step in alone.look()] == [Step, Try]
    alone.sinks = {7: SinkFacts(0, 1)}
    steps = alone.look()
    assert steps[0] == Unblock(7, 5)
    assert [step.kind for step in steps[1:]] == [StatusKind.RECOVERED]
    assert alone.engine.broken == {}


def test_a_component_that_does_something_else_keeps_its_failing_handler_cut_off_and_lives() -> None:
    alone = Alone()
    alone.engine.failed(7, 5, SinkFacts(10, 0))
    errors, tries, kinds = 10, 0, []
    for tick in range(400):
        alone.sinks = {7: SinkFacts(errors, tick // 4)}
        for step in alone.look():
            if isinstance(step, Try):
                tries += 1
                errors += 1
            else:
                kinds.append(step.kind)
    assert kinds == [StatusKind.SLOW]
    assert 8 <= tries <= 12  # each ten seconds


def test_figures_are_told() -> None:
    alone = Alone()
    alone.due[5] = 10
    steps = [step for _ in range(23) for step in alone.look()]
    assert [step.reason for step in steps] == [
        "10 events wait, and none was taken for 1.0 s",
        "10 events wait, and none was taken for 5.0 s",
    ]
    assert [(step.waiting, step.seconds, step.cause) for step in steps] == [
        (10, 1.0, Cause.UNREAD),
        (10, 5.0, Cause.UNREAD),
    ]


def test_a_tick_that_comes_late_accuses_nobody_and_the_next_one_does() -> None:
    """Silent for one tick, and then the machine sleeps: runnable time says three, but it had no chance to beat."""
    alone = Alone()
    alone.engine.add(6, heartbeat=TICK_NS / 1e9)
    assert alone.kinds(2) == []
    alone.now += 3600 * 1_000_000_000
    assert alone.look() == []
    alone.engine.beat(6)  # as soon as it could
    assert alone.kinds(2) == []
    alone.now += 3600 * 1_000_000_000
    assert alone.look() == []
    assert alone.kinds(1) == [StatusKind.QUARANTINED]


def test_a_loop_that_is_always_late_does_not_hide_who_hangs() -> None:
    alone = Alone()
    alone.due[5] = 10
    kinds = []
    for _ in range(20):  # ten seconds of runnable time
        alone.now += 3 * TICK_NS
        kinds += [step.kind for step in alone.look()]
    assert kinds == [StatusKind.SLOW, StatusKind.QUARANTINED]
