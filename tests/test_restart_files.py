"""A manager and its file, over real sockets: restarts, a file in use, a disk that fails, a file that is torn."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from manager_rig import KEPT, SOON, make, until
from subcore.engine.snapshot import Snapshot
from subcore.errors import CapacityError, SnapshotError
from subcore.keeping import read_snapshot
from subcore.manager import SubscriptionManager
from subcore.sim.faults import Fault
from subcore.sim.server import SimServer
from subcore.types import Priority, StreamState

SYMBOLS = ["KRW-BTC", "KRW-ETH", "KRW-XRP"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "intent"


def at(server: SimServer, path: Path, **options: Any) -> SubscriptionManager:
    KEPT.clear()
    return SubscriptionManager("upbit", url=server.url, seed=1, snapshot_path=path, **options)


async def first_run(server: SimServer, path: Path) -> Snapshot:
    async with at(server, path) as manager:
        make(manager, "a", priority=Priority.HIGH).subscribe("ticker", SYMBOLS)
        make(manager, "b").subscribe("orderbook", SYMBOLS[0], print, depth=5)
        return manager.snapshot()


async def test_a_restart_finds_what_was_wanted_and_the_wire_is_warm_before_anybody_asks(
    server: SimServer, path: Path
) -> None:
    wanted = await first_run(server, path)
    assert read_snapshot(path) == wanted, "what was wanted when it closed"
    async with at(server, str(path)) as manager:  # type: ignore[arg-type]
        await until(lambda: manager.restores and manager.restores[0].done)
        assert manager.restores[0].reason == "a restart"
        assert {info.state for info in manager.topics()} == {StreamState.OPEN}
        assert manager._hub.engine.stats.plans == 1  # a listing may have gone out as well
        component = make(manager, "a")
        component.replace("ticker", SYMBOLS[:2])
        async with asyncio.timeout(SOON):
            assert (await anext(component)).symbol in SYMBOLS[:2]
    again = read_snapshot(path)
    assert {c.name: len(c.topics) for c in again.components} == {"a": 2, "b": 1}
    assert bytes(again) == path.read_bytes()
    assert b"print" not in path.read_bytes()


async def test_names_can_be_claimed_before_the_start(server: SimServer, path: Path) -> None:
    await first_run(server, path)
    manager = at(server, path)
    component = make(manager, "a")
    assert len(component.provisional) == 3
    async with manager:
        assert component.adopt() == 3
        await component.live(SOON)


async def test_a_manager_that_never_started_leaves_the_file_alone(server: SimServer, path: Path) -> None:
    wanted = await first_run(server, path)
    manager = at(server, path)
    make(manager, "a").close()
    await manager.close()
    assert read_snapshot(path) == wanted
    await at(server, path).close()


async def test_a_file_in_use_is_refused(server: SimServer, path: Path) -> None:
    async with at(server, path):
        with pytest.raises(SnapshotError, match="locked by process"):
            at(server, path)
    await at(server, path).close()


def kept(path: Path) -> int:
    """How many topics stand in it; -1 in the moment in which the old file has gone and the new is not there."""
    try:
        return len(read_snapshot(path))
    except FileNotFoundError:
        return -1


async def test_changes_are_kept_while_it_runs(server: SimServer, path: Path) -> None:
    async with at(server, path) as manager:
        await until(path.exists)
        make(manager, "a").subscribe("ticker", SYMBOLS)
        await until(lambda: kept(path) == 3)
        await until(lambda: (stats := manager.stats().snapshot) and stats.bytes == path.stat().st_size)
        stats = manager.stats().snapshot
        assert stats is not None
        assert (stats.failures, stats.last_error, stats.bytes) == (0, None, path.stat().st_size)
    assert manager.stats().snapshot is None


async def test_a_disk_that_fails_is_nobodys_exception(
    server: SimServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").write_text("in the way")
    async with at(server, tmp_path / "folder" / "intent") as manager:
        component = make(manager, "a")
        component.subscribe("ticker", SYMBOLS)
        await component.live(SOON)

        def failures() -> int:
            stats = manager.stats().snapshot
            return 0 if stats is None else stats.failures

        await until(failures)
    assert "the snapshot cannot be kept" in caplog.text


async def test_a_torn_file_and_its_previous_one(
    server: SimServer, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = await first_run(server, path)
    async with at(server, path) as manager:
        make(manager, "c")
    path.write_bytes(path.read_bytes()[:-5])
    async with at(server, path) as manager:
        assert manager.snapshot() == wanted
        assert "cut off" in caplog.text


async def test_nothing_of_use_is_an_empty_start_and_an_error_in_the_log(
    server: SimServer, path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("[settings]\n")
    async with at(server, path) as manager:
        assert manager.snapshot().names == ()
    told = [r.levelno for r in caplog.records if r.name == "subcore.snapshot"]
    assert told == [logging.ERROR, logging.WARNING], "what is wrong, and where it is kept"
    assert path.with_name("intent.bad").read_text() == "[settings]\n"
    path.with_name("intent.bad").unlink()
    wanted = await first_run(server, path)
    monkeypatch.setattr("subcore.claims.Claims.put", full)
    for number in range(3):  # however often it writes
        async with at(server, path) as manager:
            make(manager, f"other {number}").subscribe("ticker", "KRW-XRP")
        assert read_snapshot(path.with_name("intent.bad")) == wanted, "it may be of use elsewhere"
        path.write_bytes(path.with_name("intent.bad").read_bytes())
    assert "nothing is restored" in caplog.text


async def test_another_venues_file_is_refused_and_left_alone(server: SimServer, path: Path) -> None:
    wanted = await first_run(server, path)
    with pytest.raises(
        SnapshotError, match=r"a snapshot of upbit, .* for upbit-sg: give each a path of its own"
    ):
        SubscriptionManager("upbit-sg", url=server.url, snapshot_path=path)
    async with at(server, path) as manager:
        assert manager.snapshot() == wanted
    assert {entry.name for entry in path.parent.iterdir()} <= {"intent", "intent.lock", "intent.previous"}


async def test_a_folder_of_the_users_in_its_place_is_refused_and_left_alone(
    server: SimServer, path: Path
) -> None:
    path.mkdir()
    (path / "data.txt").write_text("precious")
    with pytest.raises(SnapshotError, match="no plain file: give another path"):
        at(server, path)
    assert [entry.name for entry in path.parent.iterdir()] == ["intent"]
    assert (path / "data.txt").read_text() == "precious"


def full(*arguments: object) -> None:
    raise CapacityError("the ledger is full")


@pytest.mark.parametrize("early", [True, False])
async def test_what_is_given_up_at_once_does_not_keep_the_account_of_the_restart_open(
    server: SimServer, path: Path, early: bool
) -> None:
    async with at(server, path) as manager:
        make(manager, "f").subscribe("ticker", SYMBOLS)
    manager = at(server, path)
    if early:
        make(manager, "f").replace("ticker", SYMBOLS[:1])
    async with manager:
        if not early:
            make(manager, "f").replace("ticker", SYMBOLS[:1])
        await until(lambda: manager.restores and manager.restores[0].done)
        (report,) = manager.restores
        assert [stream.topic.symbol for stream in report.streams] == SYMBOLS[:1]
        server.exchange.inject(Fault("drop_rst"), server.clock())
        await until(lambda: [(one.number, one.done) for one in manager.restores] == [(1, True), (2, True)])
