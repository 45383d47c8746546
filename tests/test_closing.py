"""The end of a manager, whatever fails or is cancelled: nothing is kept from others, and the report is true."""

from __future__ import annotations

import asyncio
import errno
import threading
from pathlib import Path
from typing import Any

import pytest

from manager_rig import KEPT, SOON, make, until
from subcore.errors import ManagerClosed, UsageError
from subcore.keeping import SnapshotFile
from subcore.manager import SubscriptionManager
from subcore.sim.server import SimServer

BTC, ETH = "KRW-BTC", "KRW-ETH"


def at(server: SimServer, tmp_path: Path) -> SubscriptionManager:
    return SubscriptionManager("upbit", url=server.url, seed=1, snapshot_path=tmp_path / "intent")


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def nothing_runs() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("subcore")]


async def test_a_recording_that_failed_is_told_and_keeps_nothing_from_ending(
    server: SimServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subcore.recording.Recorder._write_one", full)
    manager = at(server, tmp_path)
    await manager.start()
    manager.record(tmp_path / "first.jsonl")
    component = make(manager, "a")
    component.subscribe("ticker", BTC)
    await component.live(SOON)
    first = manager._hub.recordings[0].recorder
    await until(lambda: first.failure)
    monkeypatch.undo()
    manager.record(tmp_path / "second.jsonl")  # the failure of the first is not raised here
    report = await manager.close()
    (told,) = report.unfinished
    assert told.startswith(f"the recording {tmp_path / 'first.jsonl'}: OSError")
    assert not report.clean
    assert nothing_runs()
    SnapshotFile(tmp_path / "intent").close()


async def test_a_final_snapshot_that_cannot_be_written_is_told(
    server: SimServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = at(server, tmp_path)
    await manager.start()
    await until((tmp_path / "intent").exists)
    monkeypatch.setattr(SnapshotFile, "write", full)
    make(manager, "a").subscribe("ticker", BTC)
    report = await manager.close()
    assert report.unfinished == ("the snapshot's file: OSError: [Errno 28] No space left on device",)
    assert not report.clean
    assert nothing_runs()


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancelled_close_ends_everything_all_the_same(
    server: SimServer, tmp_path: Path, turns: int
) -> None:
    """Whenever it is cancelled; who waits for a restore hears of it, and another close waits for the rest."""
    manager = at(server, tmp_path)
    await manager.start()
    manager.record(tmp_path / "frames.jsonl")
    component = make(manager, "a")
    component.subscribe("ticker", BTC)
    await component.live(SOON)
    component.subscribe("ticker", ETH)
    snapshot = manager.snapshot()
    component.unsubscribe("ticker", ETH)  # before anybody was asked for it
    restoring = asyncio.create_task(manager.restore(snapshot))
    for _ in range(3):
        await asyncio.sleep(0)
    closing = asyncio.create_task(manager.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    if turns:  # else it had not begun
        assert manager.components == {}
        await until(nothing_runs)
        SnapshotFile(tmp_path / "intent").close()
    report = await manager.close()
    assert report.unfinished == ()
    with pytest.raises(ManagerClosed):
        await asyncio.wait_for(restoring, SOON)
    assert nothing_runs()
    SnapshotFile(tmp_path / "intent").close()
    assert (await manager.close()).links_closed == 0
    names = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("subcore")]
    assert names == []


async def test_a_disk_that_hangs_holds_the_loop_up_no_longer_than_it_was_given(
    server: SimServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorder and snapshot hang both: each names itself, in one allowance of time, while the loop goes on."""
    release, hanging = threading.Event(), threading.Semaphore(0)

    def hang(*_: Any) -> None:
        hanging.release()
        release.wait(SOON)

    manager = at(server, tmp_path)
    await manager.start()
    await until((tmp_path / "intent").exists)
    monkeypatch.setattr(SnapshotFile, "write", hang)
    monkeypatch.setattr("subcore.recording.Recorder._write_one", hang)
    manager.record(tmp_path / "frames.jsonl")
    component = make(manager, "a")
    component.subscribe("ticker", BTC)
    await asyncio.to_thread(lambda: [hanging.acquire(timeout=SOON) for _ in range(2)])
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    counting = asyncio.create_task(count())
    report = await manager.close(timeout=0.2)
    counting.cancel()
    assert report.unfinished == (f"the recording {tmp_path / 'frames.jsonl'}", "the snapshot's file")
    assert turns, "the loop went on"
    release.set()
    await until(nothing_runs)
    SnapshotFile(tmp_path / "intent").close()


async def test_events_left_unread_are_counted(server: SimServer) -> None:
    manager = SubscriptionManager("upbit", url=server.url, seed=1)
    await manager.start()
    reads, leaves, gone = (make(manager, name) for name in ("reads", "leaves", "gone"))
    for component in (reads, leaves, gone):
        component.subscribe("ticker", BTC)
    handled: list[Any] = []
    make(manager, "handles").subscribe("ticker", BTC, handled.append)
    await until(lambda: all(one.stats().queued > 1 for one in (leaves, gone)))
    gone.close()
    reading = asyncio.create_task(_read_all(reads))
    await until(lambda: reads.stats().queued == 0)
    report = await manager.close()
    await reading
    assert report.dropped == {"leaves": leaves.stats().queued}
    assert not report.clean
    assert len(await leaves.batch(10_000)) == report.dropped["leaves"], "they can still be read"
    KEPT.clear()


async def _read_all(component: Any) -> None:
    async for _ in component:
        pass


async def test_a_name_still_recorded_to_is_not_opened_again(
    manager: SubscriptionManager, tmp_path: Path
) -> None:
    manager.record(tmp_path / "a.jsonl")
    with pytest.raises(UsageError, match="still being recorded"):
        manager.record(tmp_path / "a.jsonl")
    with pytest.raises(OSError, match="nowhere"):
        manager.record(tmp_path / "nowhere" / "b.jsonl")
    component = make(manager, "a")
    component.subscribe("ticker", BTC)
    await component.live(SOON)
    assert manager._hub.recordings[0].recorder.frames >= 0
    manager.record(tmp_path / "b.jsonl")
    first = manager._hub.recordings[0].recorder
    await until(lambda: first.join(0.0))
    assert first.frames > 0
    manager.record(tmp_path / "a.jsonl")


async def test_a_closed_manager_records_nothing_and_promises_no_alert(
    server: SimServer, tmp_path: Path
) -> None:
    manager = at(server, tmp_path)
    await manager.start()
    await manager.close()
    with pytest.raises(ManagerClosed, match="make a new one"):
        manager.record(tmp_path / "late.jsonl")
    assert not (tmp_path / "late.jsonl").exists()
    with pytest.raises(ManagerClosed, match="make a new one"):
        manager.on_alert(print)
    assert nothing_runs()
