"""Figures in a file: what stands there, how much of it is kept, and what a broken disk does: nothing but a count."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fed_manager import play, unstarted
from manager_rig import KEPT, make, manager, server, until
from subcore.errors import UsageError
from subcore.exporters import json_lines
from subcore.exporters.json_lines import JsonLines, line_parts
from subcore.figures import as_json
from subcore.manager import SubscriptionManager
from subcore.sim.server import SimServer
from test_prometheus import HOSTILE

__all__ = ["manager", "server"]
NEVER_S = 1e6


@pytest.fixture
def still() -> Iterator[SubscriptionManager]:
    """A manager that was never started."""
    yield from unstarted()


@pytest.fixture
def lines(still: SubscriptionManager, tmp_path: Path) -> Iterator[JsonLines]:
    """Its thread writes no line: tests call `step`."""
    made = JsonLines(still, tmp_path / "folder" / "figures.jsonl", every=NEVER_S)
    made._closing.set()
    made._thread.join()
    made._closing.clear()
    made.failures, made.last_error = 0, None
    made.path.parent.mkdir()
    yield made
    assert made.close()
    assert still._hub.exports == []


def read(path: Path) -> list[Any]:
    text = path.read_text("ascii")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_is_the_whole_of_stats(still: SubscriptionManager) -> None:
    play(still, 3, 300)
    KEPT.extend(still.component(name) for name in HOSTILE)
    KEPT.extend(still.component(f"c{number}") for number in range(150))
    parts = list(line_parts(still))
    assert len(parts) > 4, "in parts"
    said, whole = json.loads("".join(parts)), as_json(still.stats())
    for each in (said, whole):
        del each["memory"]["rss"], each["fan_out"], each["loop_share"]
        for component in each["components"].values():
            del component["loop_share"]
    assert said == whole


def test_files_are_bounded_and_in_order(still: SubscriptionManager, lines: JsonLines) -> None:
    lines.step()
    size = lines.path.stat().st_size
    lines._max_bytes, lines._keep = 7 * size // 2, 2
    for _ in range(20):
        still._hub.clock.advance_to(still._hub.clock.monotonic_ns() + 1_000_000_000)  # type: ignore[attr-defined]
        lines.step()
    found = sorted(lines.path.parent.iterdir())
    assert [path.name for path in found] == ["figures.jsonl", "figures.jsonl.1", "figures.jsonl.2"]
    assert all(path.stat().st_size <= lines._max_bytes for path in found)
    times = [line["time_ns"] for path in reversed(found) for line in read(path)]
    assert times == sorted(set(times))
    assert times[-1] == still._hub.clock.time_ns()
    assert len(times) >= 6
    assert (lines.lines, lines.failures, lines.last_error) == (21, 0, None)


@pytest.mark.parametrize("keep", [0, 1])
def test_a_line_is_whole_whatever_its_size(lines: JsonLines, keep: int) -> None:
    lines._max_bytes, lines._keep = 1, keep
    for _ in range(3):
        lines.step()
    assert [len(read(path)) for path in lines.path.parent.iterdir()] == [1] * (keep + 1)


def test_a_process_that_goes_to_another_folder_keeps_its_file(
    still: SubscriptionManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    made = JsonLines(still, "figures.jsonl", every=NEVER_S)
    try:
        monkeypatch.chdir(tmp_path / "other")
        made.step()
        assert len(read(tmp_path / "figures.jsonl")) >= 1
        assert list((tmp_path / "other").iterdir()) == []
    finally:
        assert made.close()


def test_a_folder_that_is_gone_is_told_once_and_when_it_is_back(
    lines: JsonLines, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(lines.path.parent)
    for _ in range(3):
        lines.step()
    assert (lines.lines, lines.failures) == (0, 3)
    assert lines.last_error is not None
    assert "its folder is gone: make it again" in lines.last_error
    lines.path.parent.mkdir()
    lines.step()
    assert (lines.lines, lines.last_error, len(read(lines.path))) == (1, None, 1)
    said = [record.message for record in caplog.records if record.name == "subcore.exporters"]
    assert len(said) == 2
    assert "make it again" in said[0]
    assert said[1].endswith("again")


def test_a_full_disk_leaves_no_torn_line(lines: JsonLines, monkeypatch: pytest.MonkeyPatch) -> None:
    lines.step()
    whole, write = lines.path.read_bytes(), os.write
    written: list[int] = []

    def some(handle: int, data: Any) -> int:
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(write(handle, data[:100]))
        return written[0]

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", some)
        lines.step()
    assert written == [100]
    assert lines.path.read_bytes() == whole
    assert lines.last_error is not None
    assert "make room" in lines.last_error
    lines.step()
    assert len(read(lines.path)) == 2


def test_behind_a_torn_line_a_new_one_begins(lines: JsonLines) -> None:
    lines.path.write_bytes(b'{"torn": 1')
    lines.step()
    torn, fresh = lines.path.read_text("ascii").splitlines()
    assert torn == '{"torn": 1'
    assert json.loads(fresh)["frames"] == 0


def test_what_is_no_file_is_not_waited_for(lines: JsonLines) -> None:
    os.mkfifo(lines.path)
    lines.step()
    assert lines.last_error is not None
    assert "no plain file" in lines.last_error
    lines.path.unlink()
    lines.path.mkdir()
    lines.step()
    assert "a folder stands there" in lines.last_error


def test_a_bug_is_counted_too_and_shown_whole(
    lines: JsonLines, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(json_lines, "as_json", lambda value: 1 // 0)
    lines.step()
    assert (lines.failures, lines.last_error) == (1, "ZeroDivisionError: integer division or modulo by zero")
    assert caplog.records[-1].exc_info is not None


@pytest.mark.parametrize("wrong", [{"every": 0.0}, {"every": None}, {"max_bytes": 0}, {"keep": -1}])
def test_arguments_that_make_no_sense(
    still: SubscriptionManager, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        JsonLines(still, tmp_path / "f", **wrong)
    assert threading.active_count() == len([t for t in threading.enumerate() if "json-lines" not in t.name])


async def test_it_writes_while_the_manager_runs_and_ends_with_it(server: SimServer, tmp_path: Path) -> None:
    path = tmp_path / "figures.jsonl"
    async with SubscriptionManager("upbit", url=server.url, seed=1) as running:
        component = make(running, "one")
        component.subscribe("ticker", "KRW-BTC", lambda event: None)
        await component.live(timeout=10.0)
        lines = JsonLines(running, path, every=0.02)
        await until(lambda: lines.lines >= 3)
    assert [t.name for t in threading.enumerate() if "json-lines" in t.name] == []
    count = lines.lines
    assert len(read(path)) == count
    assert read(path)[-1]["components"]["one"]["interests"] == 1
    KEPT.clear()
    with pytest.raises(UsageError, match="closed"):
        JsonLines(running, path)


async def test_it_can_be_closed_before(manager: SubscriptionManager, tmp_path: Path) -> None:
    lines = JsonLines(manager, tmp_path / "figures.jsonl", every=NEVER_S)
    await until(lambda: lines.lines == 1)
    assert lines.close()
    assert lines.close(), "again is nothing"
    assert manager._hub.exports == []


async def test_a_disk_that_hangs_holds_up_nobody(
    server: SimServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, lets_go = threading.Event(), threading.Event()
    append = json_lines._append

    def hang(handle: int, size: int, line: bytes) -> None:
        hangs.set()
        lets_go.wait()
        append(handle, size, line)

    monkeypatch.setattr(json_lines, "_append", hang)
    running = SubscriptionManager("upbit", url=server.url, seed=1)
    await running.start()
    lines = JsonLines(running, tmp_path / "figures.jsonl")
    await until(hangs.is_set)
    assert not lines.close(timeout=0.0)
    report = await running.close(timeout=0.1)
    assert f"the figures in {lines.path}" in report.unfinished
    lets_go.set()
    lines._thread.join()
