"""Recordings: what is written is read back, whatever the frames and the disk do."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subcore.errors import RecordingError, UsageError
from subcore.recording import FrameReader, Recorder, Recording, times_path

FRAMES = [
    (1_788_000_000_123_456_789, b'{"a":1}'),
    (1_788_000_000_123_456_790, "가".encode()),
    (1_788_000_001_000_000_000, b""),
]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_round_trip(tmp_path: Path, name: str) -> None:
    recorder = Recorder(tmp_path / name)
    for receive_ns, payload in FRAMES:
        recorder.write(receive_ns, payload)
    recorder.close()
    assert (recorder.frames, recorder.dropped) == (3, 0)
    assert list(FrameReader(tmp_path / name)) == FRAMES


@given(payloads=st.lists(st.binary(max_size=40), max_size=20))
def test_line_breaks_become_spaces_and_nothing_else_changes(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("rec") / "x.jsonl"
    recorder = Recorder(path)
    for payload in payloads:
        recorder.write(5, payload)
    recorder.close()
    expected = [p.replace(b"\n", b" ").replace(b"\r", b" ") for p in payloads]
    assert [payload for _, payload in FrameReader(path)] == expected


def test_times_are_optional(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"{}\n[]\n")
    assert list(FrameReader(path)) == [(0, b"{}"), (0, b"[]")]


def test_position_reaches_the_size(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"{}\n" * 100)
    reader = FrameReader(path)
    assert (reader.position, reader.size) == (0, 300)
    assert len(list(reader)) == 100
    assert reader.position == 300


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"nowhere\.jsonl"):
        FrameReader(tmp_path / "nowhere.jsonl")


def test_a_name_that_replay_would_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="rename"):
        Recorder(tmp_path / "frames.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-9], lambda raw: raw[:30] + b"\x00" * 8 + raw[38:], lambda raw: b"no gzip"]
)
def test_damaged_gzip_is_one_clear_error(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(damage(gzip.compress(b'{"some":"frame"}\n' * 500)))  # type: ignore[operator]
    with pytest.raises(RecordingError, match=r"x\.jsonl\.gz is damaged"):
        list(FrameReader(path))


@pytest.mark.parametrize("text", ["abc", "-5", "1e9", "99999999999999", "1.x"])
def test_bad_receive_time_names_the_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"{}\n{}\n")
    times_path(path).write_text(f"1.5\n{text}\n")
    reader = iter(FrameReader(path))
    assert next(reader) == (1_500_000_000, b"{}")
    with pytest.raises(RecordingError, match="line 2"):
        next(reader)


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="needs /dev/full, a Linux device that is always full"
)
def test_a_disk_that_fails_is_reported_at_close(tmp_path: Path) -> None:
    path = tmp_path / "full.jsonl"
    path.symlink_to("/dev/full")
    recorder = Recorder(path)
    for _ in range(10_000):
        recorder.write(1, b"x" * 100)
    with pytest.raises(OSError, match="No space"):
        recorder.close()
    recorder.close()


def test_what_the_disk_cannot_take_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subcore.recording.MAX_QUEUED_BYTES", 10)
    recorder = Recorder(tmp_path / "x.jsonl")
    recorder.write(1, b"x" * 11)
    recorder.close()
    assert (recorder.frames, recorder.dropped) == (0, 1)


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "sub/../x.jsonl", "link.jsonl"])
def test_no_recording_takes_a_file_of_another_under_way(tmp_path: Path, name: str) -> None:
    """`x.jsonl` and `x.jsonl.gz` have one file of times."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "x.jsonl")
    recording = Recording(tmp_path / "x.jsonl")
    try:
        recording.check_apart(tmp_path / "y.jsonl")
        with pytest.raises(UsageError, match="still being recorded"):
            recording.check_apart(tmp_path / name)
    finally:
        recording.recorder.close()
