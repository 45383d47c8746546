"""The snapshot on disk: whole at every moment, and one process at a time."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snapshot_files import beside, path, read
from snapshots import number_of, numbered, sealed
from subcore.engine.snapshot import Snapshot
from subcore.errors import SnapshotError
from subcore.keeping import SnapshotFile, read_snapshot

__all__ = ["path"]  # a fixture


@pytest.fixture
def kept(path: Path) -> Path:
    """A file with 2 in it, whose previous one has 1."""
    file = SnapshotFile(path)
    file.write(bytes(numbered(1)))
    file.write(bytes(numbered(2)))
    file.close()
    return path


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
        (sealed(b"what nobody knows yet", version=4), "upgrade subcore, or move it away"),
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


def test_a_process_that_goes_to_another_folder_keeps_its_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir()
    monkeypatch.chdir(path.parent)
    file = SnapshotFile(Path(path.name))
    file.write(bytes(numbered(1)))
    monkeypatch.chdir(tmp_path)
    file.write(bytes(numbered(2)))
    file.close()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.parent.name]
    assert read(path) == 2


def test_a_link_to_a_file_stays_one_and_names_the_file(path: Path, tmp_path: Path) -> None:
    links = [tmp_path / "one", tmp_path / "another"]
    for link in links:
        link.symlink_to(path)
    file = SnapshotFile(links[0])
    file.write(bytes(numbered(1)))
    file.write(bytes(numbered(2)))
    assert [link.is_symlink() for link in links] == [True, True]
    with pytest.raises(SnapshotError, match="is locked by process"):
        SnapshotFile(links[1])
    file.close()
    assert read(path) == read(links[1]) == 2


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
