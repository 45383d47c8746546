"""A replay takes no more memory for a longer recording, and shows how far it is on a terminal only."""

from __future__ import annotations

import gzip
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from subcore.recording import times_path
from subcore.sim.frames import any_frame
from terminals import on_terminal

MEGABYTES = 120
ROOM_MEGABYTES = 6

LIMITED = """
import resource, sys
from subcore.cli import main

small, large, room, *more = sys.argv[1:]
main(["replay", small, "--venue", "upbit", *more], standalone_mode=False)  # loads all that is loaded once
sys.stdout.flush()
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + int(room) * 1_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
main(["replay", large, "--venue", "upbit", *more], standalone_mode=False)
"""


def block() -> bytes:
    """About a megabyte of frames of every kind and format, one a line."""
    rng = random.Random(12)
    lines: list[bytes] = []
    size = 0
    while size < 1_000_000:
        lines.append(any_frame(rng).replace(b"\n", b" "))
        size += len(lines[-1]) + 1
    return b"\n".join(lines) + b"\n"


def write_recording(path: Path, part: bytes, times: int) -> int:
    """`part` so many times over, with receive times; a .gz is as many members. Returns the number of frames."""
    packed = gzip.compress(part, 1) if path.suffix == ".gz" else part
    stamps = b"1788000000.000000001\n" * part.count(b"\n")
    with path.open("wb") as frames, times_path(path).open("wb") as received:
        for _ in range(times):
            frames.write(packed)
            received.write(stamps)
    return part.count(b"\n") * times


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space, as Linux does")
@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_a_file_larger_than_the_memory_left(tmp_path: Path, suffix: str) -> None:
    """With 6 MB to spare, 120 MB are decoded and counted."""
    part = block()
    small, large = tmp_path / f"small{suffix}", tmp_path / f"large{suffix}"
    write_recording(small, part, 1)
    frames = write_recording(large, part, MEGABYTES)
    arguments = [str(small), str(large), str(ROOM_MEGABYTES), "--json"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIMITED, *arguments], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    once, all_of_it = (json.loads(line) for line in done.stdout.splitlines())
    assert all_of_it["frames"] == frames == MEGABYTES * once["frames"]
    assert all_of_it["bytes"] > 20 * ROOM_MEGABYTES * 1_000_000 * 0.99
    assert all_of_it["errors_by_reason"] == {}
    assert {k: MEGABYTES * n for k, n in once["events_by_channel"].items()} == all_of_it["events_by_channel"]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "frames.jsonl"
    write_recording(path, block(), 8)
    return path


def test_a_terminal_sees_how_far_it_is(recording: Path) -> None:
    shown = on_terminal("replay", str(recording), "--venue", "upbit", "--json", pipe_out=True)
    assert shown.status == 0, shown.text
    size = recording.stat().st_size / 1e6
    done = {float(mb) for mb in re.findall(rf"decoding ━+.*?([0-9.]+)/{size:.1f} MB", shown.text)}
    assert min(done) == 0.0
    assert max(done) > size / 2
    assert json.loads(shown.out)["bytes"] < size * 1e6


def test_no_colour_where_the_user_asks_for_none(recording: Path) -> None:
    arguments = ("replay", str(recording), "--venue", "upbit")
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9]m|\x1b\[38;")
    assert colour.search(on_terminal(*arguments).raw)
    plain = on_terminal(*arguments, NO_COLOR="1").raw
    assert "decoding" in plain
    assert not colour.search(plain)


def test_no_bar_between_events_on_one_terminal(recording: Path) -> None:
    shown = on_terminal("replay", str(recording), "--venue", "upbit", "--events", "-", columns=4000)
    assert shown.status == 0
    assert "\x1b" not in shown.raw
    assert "━" not in shown.raw
    assert shown.raw.count('{"venue": "upbit"') == 8 * block().count(b"\n")


def test_no_bar_without_a_terminal(recording: Path) -> None:
    arguments = ["replay", str(recording), "--venue", "upbit", "--json"]
    done = subprocess.run([sys.executable, "-m", "subcore.cli", *arguments], capture_output=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr == b""
    assert b"\x1b" not in done.stdout
