"""Whose a call was that held the loop, where it gave itself up, and how much of its time was a stop of the process."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from typing import Any

import pytest

import subcore
from manager_rig import make, until
from subcore._calls import LongCall
from subcore.engine.liveness import TICK_NS, Liveness, Look, Step
from subcore.engine.obligations import Cause, Obligations
from subcore.longcalls import without_hooks
from subcore.sim.server import SimServer
from subcore.types import StatusKind
from subcore.watchdog import Watchdog, _Reading
from test_liveness import Alone
from test_watchdog import PATIENCE_S, QUICK, FakeRouter, Named, named

__all__ = ["named"]  # a fixture

MS = 1_000_000


@pytest.mark.parametrize("way", ["close", "unsubscribe"])
@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.skipif(sys.platform == "win32", reason="no usleep, and nothing says how often a thread woke")
async def test_a_call_that_gives_itself_up_is_named(
    server: SimServer, named: Named, monkeypatch: pytest.MonkeyPatch, way: str, seen: bool
) -> None:
    """While it runs, where the thread can look; else at once afterwards. Where only the process is counted, too."""
    if way == "close":
        monkeypatch.delattr("resource.RUSAGE_THREAD", raising=False)  # as on macOS
    told: list[subcore.Status] = []
    over: list[Any] = []

    def hold(event: Any) -> None:
        if over:
            return
        bad.close() if way == "close" else bad.unsubscribe("ticker", "KRW-BTC")
        if seen:
            assert named.said.wait(PATIENCE_S)
        else:
            ctypes.PyDLL(None).usleep(300_000)  # keeps the interpreter to itself, and burns no processor time
        over.append(event)

    async with subcore.SubscriptionManager("upbit", url=server.url, seed=1, obligations=QUICK) as manager:
        bad = make(manager, "bad", on_status=told.append)
        bad.subscribe("ticker", "KRW-BTC", hold)
        await until(lambda: over and manager.blockers and manager.blockers[0].over)
        [found] = manager.blockers
        assert (found.component, found.handler.rsplit(".", 1)[-1]) == ("bad", "hold")
        assert found.seconds >= QUICK.blocked
        assert ("said.wait" in found.stack) is seen
        assert "hold" in named.lines[0]
        assert bad.closed is (way == "close")
        held = [status for status in told if status.kind is StatusKind.SLOW]
        assert len(held) == (way == "unsubscribe")


async def test_a_hook_that_a_call_led_to_is_named_and_the_call_is_not(
    server: SimServer, named: Named
) -> None:
    told: list[subcore.Status] = []

    def hear(status: subcore.Status) -> None:
        told.append(status)
        if status.kind is StatusKind.ERROR:
            assert named.said.wait(PATIENCE_S)

    def fail(event: Any) -> None:
        if not told or told[-1].kind is not StatusKind.ERROR:
            raise ValueError("once")

    async with subcore.SubscriptionManager("upbit", url=server.url, seed=1, obligations=QUICK) as manager:
        bad = make(manager, "bad", on_status=hear)
        bad.subscribe("ticker", "KRW-BTC", fail)
        await until(lambda: manager.blockers and manager.blockers[0].over)
        await until(lambda: not manager._hub.obligations._long_calls._found)  # type: ignore[union-attr]
        assert [found.handler.rsplit(".", 1)[-1] for found in manager.blockers] == ["hear (on_status)"]
        assert StatusKind.SLOW not in {status.kind for status in told}


def test_the_time_of_hooks_is_taken_off_once_however_they_nest() -> None:
    call = LongCall(3, 5, 1000 * MS, 2000 * MS)
    assert without_hooks(call, []) == call
    hooks = [
        LongCall(-1, -1, 50 * MS, 900 * MS, ("a", "before it")),
        LongCall(-1, -1, 100 * MS, 1300 * MS, ("a", "inside of the next")),
        LongCall(-1, -1, 300 * MS, 1400 * MS, ("a", "hook")),
        LongCall(-1, -1, 400 * MS, 1990 * MS, ("a", "hook")),
    ]
    assert without_hooks(call, hooks) == call._replace(duration_ns=300 * MS, at_ns=1300 * MS)


STOPPED = """
import asyncio, json, os, subprocess, sys, time
import subcore
from subcore.sim.durations import Durations
from subcore.sim.server import SimServer

async def main():
    calls, told = [], []

    def innocent(event):
        if calls:
            return calls.append(event)
        calls.append(event)
        script = f"kill -STOP {os.getpid()}; sleep 1; kill -CONT {os.getpid()}"
        before = time.monotonic()
        subprocess.Popen(["sh", "-c", script])
        while (now := time.monotonic()) - before < 0.9:  # until it was stopped
            before = now

    async with SimServer(seed=3, rate=5.0, durations=Durations().divided(20)) as server:
        rules = subcore.Obligations(blocked=0.5)
        async with subcore.SubscriptionManager("upbit", url=server.url, seed=1, obligations=rules) as manager:
            one = manager.component("one", on_status=told.append)
            one.subscribe("ticker", "KRW-BTC", innocent)
            while len(calls) < 10:
                await asyncio.sleep(0.05)
            dog = manager._hub.obligations._watchdog
            looks = dog.looks
            while dog.looks < looks + 8:
                await asyncio.sleep(0.05)
            worst = one.stats().worst_ns
            one.close()
            kinds = [status.kind.name for status in told]
            print(json.dumps([len(manager.blockers), kinds, worst]))

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGSTOP")
def test_a_process_that_was_stopped_in_a_call_accuses_nobody() -> None:
    done = subprocess.run([sys.executable, "-c", STOPPED], capture_output=True, text=True, timeout=60.0)
    assert done.returncode == 0, done.stderr
    blockers, kinds, worst = json.loads(done.stdout)
    assert worst >= 900 * MS  # it was stopped in that call
    assert (blockers, kinds) == (0, ["OPEN"]), done.stderr


@pytest.mark.parametrize(
    ("gap", "worked", "woke", "lost"),
    [
        (100, 0, 1, 0),  # in time: a handler that sleeps keeps this thread from nothing
        (150, 0, 1, 0),
        (2100, 50, 2, 1950),  # stopped, after 50 ms of work
        (2100, 50, None, 1950),  # ... where nobody says how often a thread woke
        (2100, 2050, 2, 0),  # it worked all the time: a call that keeps the interpreter to itself
        (2100, 1, 60, 0),  # it slept, and kept the interpreter to itself: this thread woke again and again
    ],
)
def test_a_look_that_comes_late_tells_a_stop_from_a_call_that_keeps_it_from_looking(
    gap: int, worked: int, woke: int | None, lost: int
) -> None:
    dog = Watchdog(FakeRouter(), lambda *_: None, 0.3, False)  # type: ignore[arg-type]
    before = _Reading(1000 * MS, 7 * MS, None if woke is None else 5)
    after = _Reading((1000 + gap) * MS, (7 + worked) * MS, None if woke is None else 5 + woke)
    assert dog._note_stop(before, after) == lost * MS
    assert dog.stopped_ns(0, 10_000 * MS) == lost * MS
    assert dog.stopped_ns(1000 * MS, 1001 * MS) == min(lost, 1) * MS
    assert dog.stopped_ns(0, 1000 * MS) == dog.stopped_ns(5000 * MS, 6000 * MS) == 0


@pytest.mark.parametrize(("woke", "lost"), [(2, 1750), (19, 0)])
def test_a_long_switch_interval_tells_no_stop_as_a_call(woke: int, lost: int) -> None:
    """A thread that waits for the interpreter wakes once each such interval: 19 times here."""
    dog = Watchdog(FakeRouter(), lambda *_: None, 0.3, False)  # type: ignore[arg-type]
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.1)
    try:
        assert dog._note_stop(_Reading(0, 0, 0), _Reading(1900 * MS, 50 * MS, woke)) == lost * MS
    finally:
        sys.setswitchinterval(usual)


def test_who_held_the_loop_is_well_again_once_it_did_not_for_a_while() -> None:
    alone = Alone()
    assert alone.kinds(40) == []
    alone.engine.held_loop(5)
    assert alone.kinds(10) == []
    alone.engine.held_loop(5)
    assert alone.kinds(19) == []
    assert alone.kinds(40) == [StatusKind.RECOVERED]
    alone.engine.held_loop(5)
    alone.engine.forgive(5)
    assert alone.kinds(40) == [StatusKind.RECOVERED]
    alone.engine.held_loop(5)
    alone.engine.forget(5)
    alone.engine.add(5)
    assert alone.kinds(40) == []


def test_who_held_the_loop_and_does_not_read_is_told_once_that_it_is_well() -> None:
    alone = Alone()
    alone.due[5] = 10
    assert alone.kinds(16) == [StatusKind.SLOW]
    alone.engine.held_loop(5)
    alone.done[5] = 10
    assert alone.kinds(16) == []
    alone.engine.held_loop(5)
    assert alone.kinds(19) == []  # nothing waits for over 5 s, but it held the loop less long ago
    assert alone.kinds(40) == [StatusKind.RECOVERED]
    alone.engine.held_loop(5)
    alone.due[5] = 20
    assert alone.kinds(40) == [StatusKind.SLOW, StatusKind.QUARANTINED]


def test_who_held_the_loop_and_beats_again_is_let_on_at_once_and_well_later() -> None:
    alone = Alone()
    alone.engine.forget(5)
    alone.engine.add(5, 1.0)
    assert alone.kinds(20) == [StatusKind.QUARANTINED]
    alone.engine.held_loop(5)
    alone.engine.beat(5)
    (step,) = alone.look()
    assert (step.kind, step.cause, step.rises) == (StatusKind.SLOW, Cause.BEATS, False)
    assert step.reason == "its heartbeats come again; a handler of it held the event loop of late"
    assert not alone.engine.is_stopped(5)
    kinds = []
    for _ in range(40):
        alone.engine.beat(5)
        kinds += alone.kinds(1)
    assert kinds == [StatusKind.RECOVERED]


def test_a_stall_shorter_than_two_ticks_costs_no_heartbeat_however_short_its_interval() -> None:
    """It beats each 90 ms and promised 100; for 450 ms nothing can run, and the tick runs first of all afterwards."""
    for began in range(0, 250, 10):
        engine, told = Liveness(Obligations()), []
        engine.add(1, 0.1)
        now, tick, beat = 0, 0, 0
        none = Look(*(Alone().due,) * 3)
        while now < 3000:
            now += 10
            if now == 1000 + began:
                now += 450
            if now >= tick:
                told += engine.look(none, now * MS)
                tick = now + TICK_NS // MS
            if now >= beat:
                engine.beat(1)
                beat = now + 90
        assert told == [], began
        steps = [
            step
            for k in range(60)
            for step in engine.look(none, now * MS + k * TICK_NS)
            if isinstance(step, Step)
        ]
        assert steps[0].cause is Cause.BEATS
        assert steps[0].seconds <= 1.0
