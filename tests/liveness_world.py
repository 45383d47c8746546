"""Components that behave, crash, hang, raise, beat or do not, in turns of 50 ms; and a judge of the rules, plainly.

The judge was written from the rules' text: it keeps when each event came and went, when beats came and handlers raised,
and knows neither ticks nor marks. So what the engine says may come up to `SLACK` after its time, and never before.
"""

from __future__ import annotations

import random
from collections import deque

import numpy as np

from subcore.engine.breakers import SinkFacts, Try, Unblock
from subcore.engine.liveness import TICK_NS, Liveness, Look, Step
from subcore.engine.obligations import Cause, Obligations
from subcore.types import StatusKind

TURN_S = 0.05
TICK_S = TICK_NS / 1e9
SLACK_S = 3 * TICK_S + 2 * TURN_S  # an event is seen at a tick, judged at the next, and one tick may forbear
EPSILON_S = 1e-6
ROOMS = (8, 50)  # of queues
SINK = 1000  # a component's handler is this plus its id


class Actor:
    """One component: what it does, and all that the judge must know of it."""

    def __init__(self, id: int, heartbeat: float | None, now: float) -> None:
        self.id = id
        self.heartbeat = heartbeat
        self.reads, self.beats, self.raises = "at once", True, False
        self.since = now  # of all that it does
        self.waiting: deque[float] = deque()  # when each came
        self.due = self.done = self.lost = 0
        self.idle_since = now  # nothing it owes was taken since
        self.next_read = 0.0
        self.last_beat = now
        self.in_row = 0
        self.worked = 0
        self.first_error = now
        self.blocked = self.may_try = False
        self.tries: list[float] = []
        self.blocked_at = now
        self.paused = self.lives = False
        self.excused_until = now  # in live() until then
        self.unread_until = now  # ... or paused: need not read
        self.level, self.cause = StatusKind.RECOVERED, Cause.UNREAD
        self.level_at = now
        self.gone = False
        self.steps: list[tuple[float, Step]] = []

    @property
    def stopped(self) -> bool:
        return self.level is StatusKind.QUARANTINED

    def put(self, now: float) -> None:
        if self.stopped or self.paused:
            return
        if len(self.waiting) == ROOMS[self.id % 2]:
            self.waiting.popleft()
            self.done += 1
            self.lost += 1
        elif not self.waiting:
            self.idle_since = now
        self.waiting.append(now)
        self.due += 1

    def take(self, count: int, now: float) -> None:
        count = min(count, len(self.waiting))
        for _ in range(count):
            self.waiting.popleft()
        self.done += count
        if count:
            self.idle_since = now

    def zero_progress(self, now: float) -> float:
        return now - max(self.idle_since, self.unread_until) if self.waiting else 0.0

    def oldest(self, now: float) -> float:
        return now - self.waiting[0] if self.waiting else 0.0

    def silent(self, now: float) -> float:
        return now - max(self.last_beat, self.excused_until)


class LivenessWorld:
    """A dozen actors and the engine, from one seed. `run` raises AssertionError where the judge disagrees."""

    def __init__(
        self, seed: int, *, actors: int = 12, veto: float = 0.0, rules: Obligations | None = None
    ) -> None:
        self.random = random.Random(seed)
        self.rules = rules or Obligations()
        self.engine = Liveness(self.rules)
        self.veto = veto
        self.now_ns = 1_000 * 1_000_000_000  # as the clock says
        self.runnable = 0.0  # as the rules count
        self.next_tick = self.now_ns
        self.elapsed = 0.0  # since the last tick
        self.last_tick = self.now_ns
        self.actors: dict[int, Actor] = {}
        self.seen: set[str] = set()
        self.reaped: list[tuple[Actor, Step]] = []
        for id in range(actors):
            self.join(id)

    def join(self, id: int) -> None:
        heartbeat = self.random.choice([None, 0.2, 0.5, 1.0, 3.0])
        self.actors[id] = Actor(id, heartbeat, self.runnable)
        self.engine.add(id, heartbeat)

    # -- what happens --

    def run(self, seconds: float, *, hostile: float = 0.02, stalls: float = 0.0) -> None:
        for _ in range(round(seconds / TURN_S)):
            self.turn(hostile)
            self.pass_time(stalls)
            if self.now_ns >= self.next_tick:
                self.tick()

    def pass_time(self, stalls: float) -> None:
        """A stall lets no turn happen: a tick is due at once after it."""
        step = TURN_S
        if self.random.random() < stalls:
            step = self.random.choice([0.7, 3.0, 60.0, 36_000.0])
            self.seen.add("stall")
        self.now_ns += round(step * 1e9)
        before = self.elapsed
        self.elapsed = round(min(before + step, 2 * TICK_S), 6)
        self.runnable = round(self.runnable + self.elapsed - before, 6)

    def turn(self, hostile: float) -> None:
        now = self.runnable
        for actor in self.actors.values():
            if self.random.random() < hostile:
                self.change(actor)
            for _ in range(self.random.choice([0, 0, 1, 3])):
                actor.put(now)
            self.read(actor, now)
            if actor.heartbeat and actor.beats and now - actor.last_beat >= 0.8 * actor.heartbeat - TURN_S:
                actor.last_beat = now
                self.engine.beat(actor.id)
            if self.random.random() < 0.5:
                self.call(actor, now)

    def read(self, actor: Actor, now: float) -> None:
        if actor.lives or actor.paused:
            actor.unread_until = now
        if actor.lives:
            actor.excused_until = now
        if actor.reads == "at once":
            actor.take(len(actor.waiting), now)
        elif actor.reads == "one now and then" and now >= actor.next_read:
            actor.take(1, now)
            actor.next_read = now + 0.4
        elif actor.reads == "all now and then" and now >= actor.next_read:
            actor.take(len(actor.waiting), now)
            actor.next_read = now + 3.0

    def call(self, actor: Actor, now: float) -> None:
        """An event for its handler."""
        if actor.stopped or actor.paused or (actor.blocked and not actor.may_try):
            return
        actor.may_try = False
        if not actor.raises:
            actor.in_row = 0
            actor.worked += 1
            return
        actor.in_row += 1
        if actor.in_row == 1:
            actor.first_error = now
        if self.engine.failed(SINK + actor.id, actor.id, self.facts(actor)):
            assert actor.in_row >= self.rules.errors
            assert not actor.blocked
            actor.blocked, actor.blocked_at, actor.tries = True, now, []
        elif not actor.blocked and not self.veto:
            assert actor.in_row < self.rules.errors

    def facts(self, actor: Actor) -> SinkFacts:
        return SinkFacts(actor.in_row, actor.worked + actor.done - actor.lost)

    def change(self, actor: Actor) -> None:
        """It begins to do something else, for good or bad."""
        choice = self.random.choice(
            ["reads", "beats", "raises", "well", "well", "well", "lives", "paused", "gone"]
        )
        self.seen.add(choice)
        if choice == "reads":
            actor.reads = self.random.choice(
                ["at once", "one now and then", "all now and then", "never", "never"]
            )
        elif choice == "beats":
            actor.beats = self.random.random() < 0.5
        elif choice == "raises":
            actor.raises = self.random.random() < 0.5
        elif choice == "well":
            actor.reads, actor.beats, actor.raises = "at once", True, False
        elif choice == "lives":
            actor.lives = not actor.lives
            self.engine.excuse(actor.id, 1 if actor.lives else -1)
        elif choice == "paused":
            actor.paused = not actor.paused
            self.engine.pause(actor.id, actor.paused)
        elif self.random.random() < 0.2:
            actor.gone = True

    # -- what follows --

    def tick(self) -> None:
        room = max(self.actors) + 1
        due, done, lost = (np.zeros(room, np.int64) for _ in range(3))
        for actor in self.actors.values():
            due[actor.id], done[actor.id], lost[actor.id] = actor.due, actor.done, actor.lost
        gone = [actor.id for actor in self.actors.values() if actor.gone]
        sinks = {sink: self.facts(self.actors[owner]) for sink, owner in self.engine.broken.items()}
        steps = self.engine.look(Look(due, done, lost, gone, sinks), self.now_ns)
        self.elapsed = 0.0
        self.next_tick = self.now_ns + TICK_NS
        for step in steps:
            self.do(step)
        for actor in list(self.actors.values()):
            self.check(actor)

    def do(self, step: Step | Try | Unblock) -> None:
        if isinstance(step, Try):
            actor = self.actors[step.sink - SINK]
            actor.tries.append(self.runnable)
            actor.may_try = True
        elif isinstance(step, Unblock):
            self.actors[step.sink - SINK].blocked = False
        elif step.component in self.actors:
            self.take_step(self.actors[step.component], step)

    def take_step(self, actor: Actor, step: Step) -> None:
        self.judge(actor, step)
        if step.rises and self.random.random() < self.veto:
            self.seen.add(f"veto {step.kind.name}")
            actor.gone = False
            for action in self.engine.vetoed(step):
                self.do(action)
            if step.cause is Cause.UNREAD:  # it has that time again
                actor.unread_until = self.runnable
            elif step.cause is Cause.BEATS:
                actor.excused_until = self.runnable
            return
        self.seen.add(f"{step.kind.name} {step.cause.name}")
        self.engine.carried(step)
        actor.steps.append((self.runnable, step))
        actor.level, actor.cause, actor.level_at = step.kind, step.cause, self.runnable
        if step.kind is StatusKind.REAPED:
            self.reaped.append((actor, step))
            self.engine.forget(actor.id)
            self.join(actor.id)

    # -- the rules --

    def judge(self, actor: Actor, step: Step) -> None:
        """Nobody is accused before his time, nor of what he did not do."""
        now, rules = self.runnable + EPSILON_S, self.rules
        told = (step, vars(actor))
        match step.kind, step.cause:
            case StatusKind.REAPED, Cause.OWNER:
                assert actor.gone, told
            case StatusKind.RECOVERED, _:
                assert self.fault(actor) is None, told
            case StatusKind.SLOW, Cause.UNREAD:
                late = max(actor.oldest(now), actor.zero_progress(now)) >= rules.slow
                late |= actor.level is not StatusKind.RECOVERED
                assert late, told
                assert step.waiting == len(actor.waiting)
            case _, Cause.UNREAD:
                assert actor.zero_progress(now) >= rules.quarantine, told
                assert step.waiting == len(actor.waiting)
            case _, Cause.BEATS:
                assert actor.heartbeat is not None
                assert actor.silent(now) >= rules.beats_missed * actor.heartbeat, told
                if step.kind is StatusKind.REAPED and not self.veto and "stall" not in self.seen:
                    last = max(rules.beats_reap, (rules.beats_missed + 1) * actor.heartbeat)
                    assert actor.silent(now) <= last, told
            case StatusKind.SLOW, Cause.RAISES:
                assert actor.in_row >= rules.errors, told
            case _, Cause.RAISES:
                assert actor.in_row >= rules.errors + len(rules.tries), told
                assert now - actor.blocked_at >= rules.failing, told
        if step.kind is StatusKind.REAPED and step.cause is not Cause.OWNER:
            assert actor.level is StatusKind.QUARANTINED, told
            if step.cause is not Cause.BEATS:
                assert now - actor.level_at >= rules.grace or actor.cause is not step.cause, told

    def fault(self, actor: Actor) -> str | None:
        """What it would be quarantined for by now, by the text, if anything."""
        now, rules = self.runnable, self.rules
        slack = SLACK_S * (3 if "stall" in self.seen else 1)  # late ticks may follow each other
        if actor.lives:
            return None
        if not actor.paused and actor.zero_progress(now) >= rules.quarantine + slack:
            return "unread"
        if actor.heartbeat and actor.silent(now) >= rules.beats_missed * actor.heartbeat + slack:
            return "beats"
        return None

    def check(self, actor: Actor) -> None:
        """What is overdue by the text was done."""
        if self.veto:
            return
        now, told = self.runnable, vars(actor)
        if self.fault(actor):
            assert actor.level is StatusKind.QUARANTINED, told
        slack = SLACK_S * (3 if "stall" in self.seen else 1)
        if not actor.lives and not actor.paused and actor.zero_progress(now) >= self.rules.slow + slack:
            assert actor.level is not StatusKind.RECOVERED, told
        if actor.blocked and now - actor.blocked_at >= slack:
            assert actor.level is not StatusKind.RECOVERED or actor.in_row == 0, told
        if actor.heartbeat and not actor.lives:
            last = max(self.rules.beats_reap, (self.rules.beats_missed + 1) * actor.heartbeat)
            late = slack if "stall" in self.seen else 0.0
            assert actor.silent(now) <= last + late, ("not reaped", told)
        if actor.stopped and actor.cause is not Cause.BEATS:
            assert now - actor.level_at <= self.rules.grace + slack, ("not reaped", told)
        for at, wanted in zip(actor.tries, self.rules.tries, strict=False):
            assert at - actor.blocked_at >= wanted - TICK_S, told
        assert not actor.gone, told
