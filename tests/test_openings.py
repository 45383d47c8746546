"""A component is made whole or not at all, and a manager starts whole or is closed: nothing half of it stays."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from manager_rig import make
from restarts import names, restarted
from subcore import Obligations, errors
from subcore.keeping import SnapshotFile
from subcore.manager import SubscriptionManager
from subcore.seconds import MAX_SECONDS
from virtual_manager import World

BTC = "KRW-BTC"
TOO_LONG = (1e10, 1e300, 10**400)
SPANS = ("slow", "quarantine", "grace", "calm", "failing", "beats_reap", "blocked")


def a_dead_owner() -> asyncio.Future[None]:
    """One that raises when it is asked to say when it is done: its loop is closed."""
    loop = asyncio.new_event_loop()
    done: asyncio.Future[None] = loop.create_future()
    done.set_result(None)
    loop.close()
    return done


@pytest.mark.parametrize("seconds", TOO_LONG)
@pytest.mark.parametrize("option", ["heartbeat", "callback_budget"])
def test_seconds_that_no_table_holds_leave_no_component(option: str, seconds: float) -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            with pytest.raises(errors.UsageError, match=rf"{option} .* 1e\+09 at most"):
                manager.component("desk", **{option: seconds})
            assert manager.stats().component_count == 0
            assert manager.snapshot().names == ()
            make(manager, "desk")

    World().run(main)


def test_heartbeats_of_which_so_many_may_be_missing_are_refused() -> None:
    async def main(world: World) -> None:
        async with world.manager(obligations=Obligations(beats_missed=1000)) as manager:
            with pytest.raises(errors.UsageError, match="beats_missed=1000"):
                manager.component("desk", heartbeat=1e7)
            make(manager, "desk", heartbeat=1e6)

    World().run(main)


def test_an_owner_that_raises_leaves_no_component() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            with pytest.raises(RuntimeError, match="closed"):
                manager.component("desk", owner=a_dead_owner(), heartbeat=1.0)
            assert manager.stats().component_count == 0
            assert manager.snapshot().names == ()
            desk = make(manager, "desk")
            desk.subscribe("ticker", BTC)
            await desk.live(10)

    World().run(main)


def test_an_owner_that_raises_leaves_a_restored_name_to_be_claimed() -> None:
    async def main(world: World, manager: SubscriptionManager, snapshot: Any) -> None:
        with pytest.raises(RuntimeError, match="closed"):
            manager.component("fast", owner=a_dead_owner(), heartbeat=1.0, callback_budget=1.0)
        await asyncio.sleep(1.0)
        assert manager.components == {}
        assert manager.snapshot() == snapshot
        fast = make(manager, "fast")
        assert names(fast.provisional) == names(fast.topics) != set()
        with pytest.raises(errors.UsageError, match="promised no heartbeat"):
            fast.heartbeat()
        assert fast.adopt() == len(fast.topics)

    restarted(main)


@pytest.mark.parametrize("seconds", TOO_LONG)
@pytest.mark.parametrize("name", SPANS)
def test_obligations_that_no_table_holds_are_refused(name: str, seconds: float) -> None:
    with pytest.raises(errors.UsageError, match=rf"{name}=.* 1e\+09"):
        Obligations(**{name: seconds})  # type: ignore[arg-type]


def test_the_longest_times_there_are_can_be_judged_by() -> None:
    longest: dict[str, Any] = dict.fromkeys(SPANS, MAX_SECONDS)

    async def main(world: World) -> None:
        rules = Obligations(**longest, tries=(1.0, MAX_SECONDS), beats_missed=1)
        async with world.manager(obligations=rules, claim_grace=MAX_SECONDS) as manager:
            desk = make(manager, "desk", heartbeat=MAX_SECONDS, callback_budget=MAX_SECONDS)
            desk.subscribe("ticker", BTC)
            await desk.live(MAX_SECONDS)
            await asyncio.sleep(3.0)
            assert desk.stats().health == "well"

    World().run(main)  # which nothing in a timer may have failed in


def test_a_claim_grace_that_no_table_holds_is_refused() -> None:
    for seconds in (*TOO_LONG, "a", -1.0, float("inf")):
        with pytest.raises(errors.UsageError, match="claim_grace"):
            World().manager(claim_grace=seconds)


@pytest.mark.parametrize("part", ["runtime", "obligations", "saving", "enquiries"])
async def test_a_start_that_fails_leaves_nothing_behind(part: str, tmp_path: Path) -> None:
    path = tmp_path / "intent"
    manager = SubscriptionManager("upbit", url="ws://127.0.0.1:9", snapshot_path=path)
    begin = getattr(manager._hub, part).start

    def fails() -> None:
        begin()
        raise MemoryError("no room")

    setattr(getattr(manager._hub, part), "start", fails)  # noqa: B010
    manager.component("desk", on_status=print).subscribe("ticker", BTC, print)
    with pytest.raises(MemoryError, match="no room"):
        await manager.start()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("subcore")] == []
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("subcore")] == []
    assert not manager._hub.runtime.is_running
    assert manager._hub.obligations._timer is None or manager._hub.obligations._timer.cancelled()
    SnapshotFile(path).close()  # SnapshotError while somebody has it
    with pytest.raises(errors.ManagerClosed):
        manager.component("other")
    with pytest.raises(errors.UsageError, match="make a new one"):
        await manager.start()
