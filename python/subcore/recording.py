"""Recording raw frames and reading them back.

A recording is two files: `NAME.jsonl[.gz]`, one frame a line with the venue's own bytes, and `NAME.recv_ts.txt`, the
receive time of each line in seconds since 1970 with nanoseconds. Line breaks inside a frame can only be JSON white
space (a JSON text cannot hold a raw one), so they are written as spaces.
"""

from __future__ import annotations

import gzip
import io
import logging
import os
import queue
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from .closing import END_S, ThreadEnd
from .errors import RecordingError, UsageError

log = logging.getLogger("subcore.recording")

MAX_QUEUED_BYTES = 64 * 1024 * 1024
MAX_LINE_BYTES = 16 * 1024 * 1024
_NO_BREAKS = bytes.maketrans(b"\r\n", b"  ")


def times_path(frames: Path) -> Path:
    """The file of receive times that belongs to a file of frames."""
    name = frames.name.removesuffix(".gz").removesuffix(".jsonl")
    return frames.with_name(f"{name}.recv_ts.txt")


class Recorder:
    """Writes frames in a thread of its own, so that a slow disk delays nobody; what does not fit the queue is counted.

    `write` costs one queue append. `close` flushes and joins the thread; `finish` does not wait for it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if ".jsonl" not in self.path.suffixes:
            raise UsageError(f"a recording is named *.jsonl or *.jsonl.gz, not {self.path.name!r}: rename it")
        self.frames = 0
        self.bytes = 0
        self.dropped = 0
        self.failure: Exception | None = None
        self._queued = 0
        self._lock = threading.Lock()
        self._items: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()
        self._frames_file = _open(self.path, "wb")
        self._times_file = times_path(self.path).open("w", encoding="ascii")
        self._told_end: Callable[[], object] | None = None
        self._has_ended = False
        self._thread = threading.Thread(target=self._run, name="subcore-recorder", daemon=True)
        self._thread.start()

    def write(self, receive_time_ns: int, payload: bytes) -> None:
        """Queue one frame; drops and counts it when the disk is further behind than MAX_QUEUED_BYTES."""
        if self._queued + len(payload) > MAX_QUEUED_BYTES or self.failure is not None:
            self.dropped += 1
            return
        with self._lock:
            self._queued += len(payload)
        self._items.put((receive_time_ns, payload))

    def finish(self, ended: Callable[[], object]) -> None:
        """Write what is queued and close the files, then call `ended`, in the thread or here. Never waits; once."""
        self._items.put(None)
        with self._lock:
            self._told_end = ended
            is_late = self._has_ended
        if is_late:
            ended()

    def close(self, timeout: float = 5.0) -> None:
        """Write what is queued and close the files; idempotent. Raises what ended the writing, an OSError, if any.

        Waits for the thread, at most `timeout` seconds.
        """
        self._items.put(None)
        self.join(timeout)
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    def join(self, timeout: float) -> bool:
        """Wait for the end of the thread; whether it ended in time."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with self._frames_file as frames, self._times_file as times:
                while (item := self._items.get()) is not None:
                    self._write_one(frames, times, *item)
        except Exception as error:  # whatever it is, nothing may be queued for nobody
            self.failure = error
            log.error("recording to %s stopped: %s", self.path, error)
        with self._lock:
            self._has_ended = True
            ended = self._told_end
        if ended is not None:
            ended()

    def _write_one(self, frames: IO[bytes], times: IO[str], receive_time_ns: int, payload: bytes) -> None:
        frames.write(payload.translate(_NO_BREAKS) + b"\n")
        times.write(f"{receive_time_ns // 1_000_000_000}.{receive_time_ns % 1_000_000_000:09d}\n")
        with self._lock:
            self._queued -= len(payload)
        self.frames += 1
        self.bytes += len(payload)


def _files(frames: Path) -> set[str]:
    """Both files of a recording, as they are whatever way leads there."""
    return {os.path.realpath(path) for path in (frames, times_path(frames))}


class Recording:
    """A recorder of a manager, as the loop sees it: nothing here waits for the disk but `ended`."""

    def __init__(self, path: str | Path) -> None:
        self.recorder = Recorder(path)
        self._end: ThreadEnd | None = None

    def finish(self) -> None:
        """No frame is added from now on. Idempotent."""
        if self._end is None:
            self._end = ThreadEnd()
            self.recorder.finish(self._end.tell)

    async def ended(self, timeout: float) -> list[str]:
        """After `finish`: wait for the disk; names what did not end in time, or could not be written."""
        in_time = self._end is not None and await self._end.wait(timeout)
        name = f"the recording {self.recorder.path}"
        if not self.recorder.join(END_S if in_time else 0.0):
            return [name]
        failure = self.recorder.failure
        return [] if failure is None else [f"{name}: {type(failure).__name__}: {failure}"]

    @property
    def is_of_interest(self) -> bool:
        """Until it has ended well."""
        return self._end is None or self.recorder.failure is not None or not self.recorder.join(0.0)

    def check_apart(self, path: str | Path) -> None:
        """UsageError where this one still writes to that file, or to that of its times: with `.gz` it has the same."""
        if self.recorder.failure is None and _files(self.recorder.path) & _files(Path(path)):
            raise UsageError(f"{path} is still being recorded to: give another name")


class FrameReader:
    """Iterates over (receive time in ns, payload) of a recording; 0 where no time is recorded.

    Streams: memory stays one line, whatever the file's size. `position` of `size` bytes have been read (compressed
    bytes for .gz). Raises RecordingError for a missing, unreadable or damaged file, naming the line.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.size = self.path.stat().st_size
            self._file = self.path.open("rb")
        except OSError as error:
            raise RecordingError(f"cannot read the recording {self.path}: {error.strerror}") from error

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self.size if self._file.closed else self._file.tell()

    def close(self) -> None:
        """Let the file go; iteration does so at its end."""
        self._file.close()

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        frames: IO[bytes] = self._file
        if self.path.suffix == ".gz":
            frames = gzip.GzipFile(fileobj=self._file)  # type: ignore[assignment]
        try:
            with self._file, _times(self.path) as times:
                for number, line in enumerate(_bounded_lines(frames), start=1):
                    yield _parse_time(times.readline(64), number), line
        except (OSError, EOFError, zlib.error) as error:
            raise RecordingError(f"the recording {self.path} is damaged or unreadable: {error}") from error


def _bounded_lines(frames: IO[bytes]) -> Iterator[bytes]:
    number = 0
    while line := frames.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            raise RecordingError(
                f"line {number} is over {MAX_LINE_BYTES} bytes: this is not a recording of frames"
            )
        yield line.rstrip(b"\r\n")


def _parse_time(text: str, number: int) -> int:
    text = text.strip()
    if not text:
        return 0
    whole, _, part = text.partition(".")
    if not whole.isdigit() or (part and not part.isdigit()) or len(whole) > 10:
        raise RecordingError(f"line {number} of the receive times is {text[:40]!r}, not seconds since 1970")
    return int(whole) * 1_000_000_000 + int((part + "000000000")[:9])


def _times(frames_path: Path) -> IO[str]:
    path = times_path(frames_path)
    return path.open(encoding="ascii", errors="replace") if path.exists() else io.StringIO()


def _open(path: Path, mode: str) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.open(path, mode)  # type: ignore[return-value]
    return path.open(mode)
