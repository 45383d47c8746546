"""What is made once for all who ask: once an interval, less often where it is dear, never for long at once."""

from __future__ import annotations

import asyncio

import pytest

from subcore.dashboard import sharing
from subcore.dashboard.sharing import TURN_S, Shared, Turns, then


class Time:
    """Time and CPU time that pass by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.cpu = 0.0
        monkeypatch.setattr(sharing.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(sharing.time, "thread_time", lambda: self.cpu)

    def work(self, seconds: float) -> None:
        self.now += seconds
        self.cpu += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


async def test_all_who_ask_get_the_same(time: Time) -> None:
    made = 0

    async def make(turns: Turns) -> int:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return made

    shared = Shared("test", make, 0.02, least_s=60.0)
    assert await asyncio.gather(*(shared.get() for _ in range(5))) == [1] * 5
    assert await shared.get() == 1
    assert await shared.get(anew=True) == 2
    assert await asyncio.gather(shared.get(anew=True), shared.get(anew=True)) == [
        3,
        3,
    ]  # one under way is new enough
    assert await shared.get() == 3


async def test_what_is_dear_is_made_less_often(time: Time) -> None:
    async def make(turns: Turns) -> None:
        for _ in range(10):
            time.work(0.003)
            time.now += 0.5  # others had the processor
            await turns.breathe()

    shared = Shared("test", make, 0.02)
    await shared.get()
    assert shared.interval_s == pytest.approx(10 * 0.003 / 0.02)
    cheap = Shared("test", lambda turns: asyncio.sleep(0), 0.02)
    await cheap.get()
    assert cheap.interval_s == 1.0


async def test_a_failure_is_everybodys_and_not_kept(time: Time) -> None:
    fails = True

    async def make(turns: Turns) -> str:
        if fails:
            raise ValueError("no")
        return "yes"

    shared = Shared("test", make, 0.02, least_s=0.0)
    for asked in (shared.get(), shared.get()):
        with pytest.raises(ValueError, match="no"):
            await asked
    fails = False
    assert await shared.get() == "yes"


async def test_the_loop_goes_on_between_turns(time: Time) -> None:
    longest = turn = 0.0

    async def other() -> None:
        nonlocal turn
        while True:
            turn = 0.0
            await asyncio.sleep(0)

    async def make(turns: Turns) -> None:
        nonlocal turn, longest
        for _ in range(100):
            time.work(TURN_S / 4)
            turn += TURN_S / 4
            longest = max(longest, turn)
            await turns.breathe()

    beside = asyncio.ensure_future(other())
    await Shared("test", make, 0.02).get()
    beside.cancel()
    assert TURN_S <= longest <= TURN_S * 1.3


@pytest.mark.parametrize("end", ["well", "it fails", "what is made of it fails", "cancelled"])
async def test_what_is_made_of_a_result_ends_as_it_does(end: str) -> None:
    made: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    answer = then(made, lambda value: 10 // value)
    if end == "cancelled":
        made.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answer
    elif end == "it fails":
        made.set_exception(ValueError("no"))
        with pytest.raises(ValueError, match="no"):
            await answer
    else:
        made.set_result(5 if end == "well" else 0)
        if end == "well":
            assert await answer == 2
        else:
            with pytest.raises(ZeroDivisionError):
                await answer
