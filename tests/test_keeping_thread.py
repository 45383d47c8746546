"""The thread that keeps the snapshot: many changes are one write, and no fault of a disk is anybody's exception."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from snapshot_files import beside, path, read
from snapshots import number_of, numbered
from subcore.engine.snapshot import Snapshot
from subcore.keeping import Keeper, SnapshotFile, read_snapshot

__all__ = ["path"]  # a fixture

SOON = 20.0


class Disk:
    """A capture that counts, and a file that fails to order."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 1
        self.captures = 0
        self.failing = False
        self.file = SnapshotFile(path)
        write = self.file.write

        def maybe(data: bytes) -> None:
            if self.failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(data)

        monkeypatch.setattr(self.file, "write", maybe)

    def capture(self) -> Snapshot:
        self.captures += 1
        return numbered(self.number)


def run(keeper: Keeper, final: Snapshot) -> None:
    ended = threading.Event()
    keeper.finish(final, ended.set)
    assert ended.wait(SOON)
    assert keeper.join(SOON)


def test_changes_in_the_pause_are_one_write_and_the_end_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(path, monkeypatch)
    keeper = Keeper(disk.file, disk.capture, every=3600.0)
    written, wait = threading.Event(), keeper._closing.wait
    monkeypatch.setattr(keeper._closing, "wait", lambda timeout: written.set() or wait(timeout))
    keeper.start()
    assert written.wait(SOON)
    for number in range(2, 100):
        disk.number = number
        keeper.changed()
    run(keeper, numbered(100))
    assert keeper.stats().writes == 2
    assert read(path) == 100
    assert number_of(read_snapshot(beside(path, "previous"))) == 1


def test_what_wants_the_same_is_not_written_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(path, monkeypatch)
    keeper = Keeper(disk.file, disk.capture)
    assert [keeper.step() for _ in range(3)] == [1.0, 1.0, 1.0]
    assert (disk.captures, keeper.stats().writes) == (3, 1)
    disk.number = 2
    keeper.step()
    assert keeper.stats().writes == 2
    disk.file.close()


def test_a_full_disk_is_counted_told_once_and_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(path, monkeypatch)
    keeper = Keeper(disk.file, disk.capture)
    disk.failing = True
    assert [keeper.step() for _ in range(7)] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    stats = keeper.stats()
    assert (stats.failures, stats.writes, stats.path) == (7, 0, str(path))
    assert "No space left" in (stats.last_error or "")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    disk.failing = False
    assert keeper.step() == 1.0
    assert keeper.stats().last_error is None
    assert keeper.stats().bytes == path.stat().st_size
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    disk.failing = True
    disk.number = 2
    assert keeper.step() == 1.0, "from the first pause again"
    disk.file.close()


def test_what_failed_is_tried_again_without_being_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subcore.keeping.RETRY_FIRST_S", 0.0)
    disk = Disk(path, monkeypatch)
    write, tries, written = disk.file.write, [], threading.Event()

    def third_time(data: bytes) -> None:
        tries.append(data)
        disk.failing = len(tries) < 3
        write(data)
        written.set()

    monkeypatch.setattr(disk.file, "write", third_time)
    keeper = Keeper(disk.file, disk.capture)
    keeper.start()
    assert written.wait(SOON)
    run(keeper, numbered(2))
    assert read(path) == 2
    assert keeper.stats().failures == 2


def test_what_a_close_takes_away_while_it_is_read_is_wanted_after_it(path: Path) -> None:
    def closing() -> Snapshot:
        keeper.finish(numbered(9), lambda: None)  # the loop's thread, in the middle of our reading
        return numbered(0)

    keeper = Keeper(SnapshotFile(path), closing)
    keeper.step()
    keeper.step()
    assert keeper.join(SOON)
    assert keeper.stats().writes == 1
    assert read(path) == 9


def test_a_fault_of_ours_does_not_end_the_thread(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raised = threading.Event()

    def broken() -> Snapshot:
        raised.set()
        raise ZeroDivisionError("by accident")

    keeper = Keeper(SnapshotFile(path), broken)
    keeper.start()
    keeper.changed()
    assert raised.wait(SOON)
    run(keeper, numbered(5))
    assert read(path) == 5
    assert "by accident" in caplog.text


def test_a_folder_that_cannot_be_made_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").write_text("in the way")
    keeper = Keeper(SnapshotFile(tmp_path / "folder" / "intent"), lambda: numbered(1))
    keeper.step()
    assert keeper.stats().failures == 1
    (tmp_path / "folder").unlink()
    keeper.step()
    assert keeper.stats().writes == 1
    assert keeper.join(SOON)
    assert read(tmp_path / "folder" / "intent") == 1
