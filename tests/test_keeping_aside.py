"""What stands in the place of a snapshot and is no use there: refused, or kept under a name that was nobody's."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from snapshot_files import beside, path, read
from snapshots import number_of, numbered, sealed
from subcore.engine.snapshot import Snapshot
from subcore.errors import SnapshotError
from subcore.keeping import Keeper, SnapshotFile, read_snapshot

__all__ = ["path"]  # a fixture

TORN = bytes(numbered(7))[:60]
NEWER = sealed(b"what nobody knows yet", version=4)


def start_with(path: Path, what: bytes) -> None:
    """A start that finds this, and writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(what)
    file = SnapshotFile(path)
    file.read(lambda snapshot: None)
    file.write(bytes(numbered(1)))
    file.close()


def kept_aside(path: Path) -> dict[str, bytes]:
    """By the ends of their names."""
    return {
        entry.name.removeprefix(path.name): entry.read_bytes()
        for entry in path.parent.iterdir()
        if ".bad" in entry.name
    }


@pytest.mark.parametrize("whole", [NEWER, b"[settings]\n"], ids=["newer", "of something else"])
def test_what_may_be_of_use_elsewhere_is_never_overwritten(path: Path, whole: bytes) -> None:
    start_with(path, whole)
    start_with(path, TORN)
    assert kept_aside(path) == {".bad": whole, ".bad.2": TORN}
    start_with(path, TORN[:50])
    start_with(path, whole)
    assert kept_aside(path) == {".bad": whole, ".bad.2": TORN[:50]}, "as few as can be"
    start_with(path, whole * 2)
    assert kept_aside(path) == {".bad": whole, ".bad.2": whole * 2}
    assert read(path) == 1


def test_a_snapshot_that_was_set_aside_is_not_overwritten(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(numbered(5)))
    file = SnapshotFile(path)
    assert number_of(file.read(lambda snapshot: None)) == 5
    assert file.set_aside() == beside(path, "bad")
    file.write(bytes(numbered(6)))
    file.close()
    start_with(path, TORN)
    assert number_of(read_snapshot(beside(path, "bad"))) == 5
    assert beside(path, "bad.2").read_bytes() == TORN


def test_a_previous_one_that_was_set_aside_is_not_overwritten(path: Path) -> None:
    """It was read, since the file is torn; both are kept."""
    for number in (4, 5):
        start_with(path, bytes(numbered(number)))
    path.write_bytes(TORN)
    file = SnapshotFile(path)
    assert number_of(file.read(lambda snapshot: None)) == 5
    aside = file.set_aside()
    for number in (6, 7, 8):
        file.write(bytes(numbered(number)))
    file.close()
    assert number_of(read_snapshot(aside)) == 5
    assert TORN in kept_aside(path).values()
    assert read(path) == 8


def test_one_that_is_whole_and_somebody_elses_is_refused(path: Path) -> None:
    def only_one(snapshot: Snapshot) -> None:
        if number_of(snapshot) != 1:
            raise SnapshotError("not this one: give another path")

    for _ in range(2):
        start_with(path, bytes(numbered(2)))
    path.write_bytes(bytes(numbered(2)))
    before = {entry: entry.read_bytes() for entry in path.parent.iterdir()}
    file = SnapshotFile(path)
    with pytest.raises(
        SnapshotError, match=rf"{path.name}: not this one: give another path, or move this one away"
    ):
        file.read(only_one)
    path.write_bytes(TORN)
    with pytest.raises(SnapshotError, match="previous: not this one"):
        file.read(only_one)
    file.close()
    path.write_bytes(before[path])
    assert {entry: entry.read_bytes() for entry in path.parent.iterdir()} == before


@pytest.mark.parametrize("ending", ["", ".previous", ".new", ".lock"])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_folder_or_a_pipe_in_its_place_is_refused_and_stays(path: Path, ending: str, make: Any) -> None:
    path.parent.mkdir(parents=True)
    there = path.with_name(f"{path.name}{ending}")
    make(there)
    with pytest.raises(SnapshotError, match=f"{there.name}: this is no plain file: give another path"):
        SnapshotFile(path)
    assert [entry.name for entry in path.parent.iterdir()] == [there.name]
    with pytest.raises(SnapshotError, match="no plain file"):
        read_snapshot(there)


def test_a_folder_that_comes_into_its_place_later_stays(path: Path) -> None:
    file = SnapshotFile(path)
    file.write(bytes(numbered(1)))
    path.unlink()
    path.mkdir()
    for _ in range(2):
        with pytest.raises(SnapshotError, match="no plain file"):
            file.write(bytes(numbered(2)))
    assert path.is_dir()
    path.rmdir()
    file.write(bytes(numbered(3)))
    file.close()
    assert read(path) == 3


@pytest.mark.parametrize("way", ["a folder", "a folder with files", "one that cannot be replaced"])
def test_a_name_that_cannot_be_had_is_passed_over(
    path: Path, way: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(TORN)
    bad, replace = beside(path, "bad"), os.replace

    def refuse(source: Any, target: Any) -> None:
        if Path(target) == bad:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        replace(source, target)

    if way == "one that cannot be replaced":
        bad.write_bytes(TORN[:50])
        monkeypatch.setattr(os, "replace", refuse)
    else:
        bad.mkdir()
        if way == "a folder with files":
            (bad / "data.txt").write_text("precious")
    file = SnapshotFile(path)
    assert file.read(lambda snapshot: None) is None
    wanted = iter(range(10, 20))
    keeper = Keeper(file, lambda: numbered(next(wanted)))
    caplog.clear()
    for _ in range(3):
        keeper.step()
    keeper.join(0.0)
    assert (keeper.stats().writes, keeper.stats().failures) == (3, 0)
    assert beside(path, "bad.2").read_bytes() == TORN
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.endswith(f"is kept as {beside(path, 'bad.2')}")
    assert read(path) == 12


def test_a_previous_one_that_cannot_be_replaced_costs_no_snapshot(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The good one stays where it is, and is no bad one."""
    file = SnapshotFile(path)
    file.write(bytes(numbered(1)))
    file.write(bytes(numbered(2)))
    replace = os.replace

    def refuse(source: Any, target: Any) -> None:
        if str(target).endswith(".previous"):
            raise PermissionError(errno.EPERM, "Operation not permitted")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    for _ in range(3):
        with pytest.raises(PermissionError):
            file.write(bytes(numbered(3)))
    assert read_number(path) == 2
    assert kept_aside(path) == {}
    monkeypatch.undo()
    file.write(bytes(numbered(3)))
    file.close()
    assert (read_number(path), read_number(beside(path, "previous"))) == (3, 2)


def read_number(path: Path) -> int | None:
    return number_of(read_snapshot(path))
