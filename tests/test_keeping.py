"""The snapshot on disk: whole at every moment, one process at a time, and no fault of a disk is anybody's exception."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from snapshots import number_of, numbered, sealed
from subcore.engine.snapshot import Snapshot
from subcore.errors import SnapshotError
from subcore.keeping import Keeper, SnapshotFile, read_snapshot

SOON = 20.0


def read(path: Path) -> int | None:
    file = SnapshotFile(path)
    try:
        return number_of(file.read(lambda snapshot: None))
    finally:
        file.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "intent.subcore"


@pytest.fixture
def kept(path: Path) -> Path:
    """A file with 2 in it, whose previous one has 1."""
    file = SnapshotFile(path)
    file.write(bytes(numbered(1)))
    file.write(bytes(numbered(2)))
    file.close()
    return path


def beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")


def test_a_first_start_finds_nothing_and_says_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(path) is None
    assert caplog.records == []


def test_the_file_and_the_one_before_it(kept: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(kept) == 2
    assert number_of(read_snapshot(beside(kept, "previous"))) == 1
    assert caplog.records == []
    assert {entry.name for entry in kept.parent.iterdir()} == {
        kept.name,
        f"{kept.name}.previous",
        f"{kept.name}.lock",
    }


def test_after_every_truncation_the_previous_one_is_used(
    kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = kept.read_bytes()
    for size in range(len(whole)):
        kept.write_bytes(whole[:size])
        caplog.clear()
        assert read(kept) == 1
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "cut off" in record.message
    assert number_of(Snapshot.from_bytes(whole)) == 2


@pytest.mark.parametrize(
    ("what", "word"),
    [
        (b"", "cut off"),
        (b'{"some": "configuration"}', "no snapshot of subcore"),
        (bytes(numbered(2))[:-1] + b"\xff", "damaged"),
        (sealed(b"what nobody knows yet", version=3), "upgrade subcore, or move it away"),
        (None, "there is none"),
    ],
)
def test_what_is_no_use_is_named_and_kept_aside(
    kept: Path, caplog: pytest.LogCaptureFixture, what: bytes | None, word: str
) -> None:
    kept.unlink()
    if what is not None:
        kept.write_bytes(what)
    file = SnapshotFile(kept)
    assert number_of(file.read(lambda snapshot: None)) == 1
    assert word in caplog.text
    file.write(bytes(numbered(3)))
    file.close()
    assert number_of(read_snapshot(beside(kept, "previous"))) == 1, "what was good stays the one before"
    assert read(kept) == 3
    assert what is None or beside(kept, "bad").read_bytes() == what


def test_two_bad_files_are_an_error_in_the_log_and_an_empty_start(
    kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept.write_bytes(b"x")
    beside(kept, "previous").write_bytes(bytes(numbered(1))[:50])
    assert read(kept) is None
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "move it away" in record.message
    assert "cut off after 50 bytes" in record.message


def test_a_write_is_on_the_disk_before_it_takes_a_name_and_so_is_the_name(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a loss of power could leave a name without the bytes, or the bytes without a name."""
    done: list[tuple[str, ...]] = []
    names = {kept.parent.stat().st_ino: "folder"}
    fsync, replace, whole = os.fsync, os.replace, bytes(numbered(3))

    def synced(handle: int) -> None:
        if (inode := os.fstat(handle).st_ino) not in names:
            assert beside(kept, "new").stat().st_ino == inode
            assert beside(kept, "new").read_bytes() == whole, "nothing is left in a buffer"
            names[inode] = "new"
        done.append(("sync", names[inode]))
        fsync(handle)

    def renamed(source: Path, target: Path) -> None:
        done.append((source.suffix, target.suffix))
        replace(source, target)

    file = SnapshotFile(kept)
    assert number_of(file.read(lambda snapshot: None)) == 2
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    file.write(whole)
    file.close()
    own = kept.suffix
    assert done == [("sync", "new"), (own, ".previous"), (".new", own), ("sync", "folder")]
    assert read(kept) == 3


def test_a_folder_or_a_pipe_in_its_place_is_no_snapshot(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.mkdir(parents=True)
    assert read(path) is None
    assert "no plain file" in caplog.text
    pipe = path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(SnapshotError, match="no plain file"):
        read_snapshot(pipe)


def test_a_check_that_refuses_counts_as_a_bad_file(kept: Path, caplog: pytest.LogCaptureFixture) -> None:
    def only_one(snapshot: Snapshot) -> None:
        if number_of(snapshot) != 1:
            raise SnapshotError("not this one")

    file = SnapshotFile(kept)
    assert number_of(file.read(only_one)) == 1
    assert "not this one" in caplog.text
    file.close()


# --- one at a time

HOLDER = """
import sys, time
from pathlib import Path
from subcore.keeping import SnapshotFile
file = SnapshotFile(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    here = str(Path(__file__).parent)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])},
    )


def test_a_second_process_is_refused_and_a_killed_one_lets_go(path: Path) -> None:
    with child(HOLDER, path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(SnapshotError, match=rf"locked by process {holder.pid}: close that manager"):
            SnapshotFile(path)
        holder.kill()
    SnapshotFile(path).close()


def test_a_second_one_in_the_same_process_is_refused(path: Path) -> None:
    first = SnapshotFile(path)
    with pytest.raises(SnapshotError, match=rf"locked by process {os.getpid()}"):
        SnapshotFile(path)
    first.close()
    first.close()
    SnapshotFile(path).close()


def test_a_file_system_without_locks_is_used_with_a_warning(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(file: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("subcore.lockfile._lock", no_locks)
    file = SnapshotFile(path)
    file.write(bytes(numbered(1)))
    file.close()
    assert "see that no other process uses it" in caplog.text


WRITER = """
import sys
from pathlib import Path
from subcore.keeping import SnapshotFile
from snapshots import numbered
file = SnapshotFile(Path(sys.argv[1]))
file.read(lambda snapshot: None)
number = int(sys.argv[2])
while True:
    number += 1
    file.write(bytes(numbered(number)))
    print(number, flush=True)
"""


def test_killed_at_any_moment_the_file_is_whole_and_lacks_nothing_that_was_written(path: Path) -> None:
    latest = 0
    for turn in range(3):
        with child(WRITER, path, latest) as writer:
            assert writer.stdout is not None
            for _ in range(5 + 7 * turn):
                told = writer.stdout.readline()
            writer.kill()
            told = [told, *writer.stdout.readlines()][-1]
        found = read(path)
        assert found is not None
        assert found >= int(told) > latest
        latest = found


# --- the thread


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


def test_a_step_that_fails_between_the_two_renames_loses_nothing(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace
    file = SnapshotFile(kept)
    assert number_of(file.read(lambda snapshot: None)) == 2

    def second_fails(source: Any, target: Any) -> None:
        if Path(target) == kept:
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", second_fails)
    for _ in range(3):
        with pytest.raises(OSError, match="Input/output"):
            file.write(bytes(numbered(3)))
    monkeypatch.undo()
    file.close()
    assert read(kept) == 2
