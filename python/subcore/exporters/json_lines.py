"""Figures to a file: each so many seconds one line, `as_json(manager.stats())`, by a thread that harms nobody.

    lines = JsonLines(manager, "figures.jsonl", every=10.0)

`subcore top figures.jsonl` shows the latest one. A slow, full or broken disk delays only the thread.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..checking import check_interval
from ..closing import END_S, ThreadEnd
from ..errors import UsageError
from ..figures import as_json

if TYPE_CHECKING:
    from ..looking import Looking

__all__ = ["JsonLines", "line_parts"]

log = logging.getLogger("subcore.exporters")

EVERY_S = 10.0
MAX_BYTES = 64 * 1024 * 1024
KEEP = 3
PAUSE_S = 0.002  # between two parts of a line: the loop has the interpreter meanwhile
LOG_AGAIN_S = 60.0
REMEDIES = {
    errno.ENOSPC: "the disk is full: make room, or give fewer bytes to keep (max_bytes=, keep=)",
    errno.EDQUOT: "the quota is used up: make room, or give fewer bytes to keep (max_bytes=, keep=)",
    errno.ENOENT: "its folder is gone: make it again",
    errno.ENOTDIR: "its folder is gone: make it again",
    errno.EACCES: "it may not be written: give this process the right to",
    errno.EPERM: "it may not be written: give this process the right to",
    errno.EROFS: "the disk may only be read: mount it for writing",
    errno.EISDIR: "a folder stands there: give another path",
}


class JsonLines:
    """Writes a line at once, and then each `every` seconds until `close`, or the manager's end.

    A file of `max_bytes` becomes PATH.1, the one before it PATH.2, up to `keep`; what is older goes, so at most
    (keep + 1) * max_bytes are used (a line is written whole, whatever its size: some 1.3 kB for each component). The
    file is open only while a line is written. `lines`, `failures` and `last_error` say how it goes: an error is logged
    with its remedy when it is news and then once a minute, and the next line is tried all the same. One line costs the
    loop turns of 1 to 2 ms with pauses between. UsageError for arguments that make no sense, or a manager that is
    closed. Make and close it in the loop's thread.
    """

    def __init__(
        self,
        manager: Looking,
        path: str | Path,
        *,
        every: float = EVERY_S,
        max_bytes: int = MAX_BYTES,
        keep: int = KEEP,
    ) -> None:
        manager.check_thread()
        check_interval("every", every)
        if every is None or max_bytes < 1 or keep < 0:
            raise UsageError(
                f"every= is seconds, max_bytes= 1 or more and keep= 0 or more, not {every}, {max_bytes} and {keep}"
            )
        if manager._state == "closed":
            raise UsageError("the manager is closed: there are no figures any more")
        self.path = Path(path).absolute()  # each line opens it anew, and the process may change its folder
        self.lines = 0
        self.failures = 0
        self.last_error: str | None = None
        self._manager = manager
        self._every = every
        self._max_bytes = max_bytes
        self._keep = keep
        self._logged_at = 0.0
        self._closing = threading.Event()
        self._end: ThreadEnd | None = None
        self._has_ended = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="subcore-json-lines", daemon=True)
        manager._hub.exports.append(self)
        self._thread.start()

    def close(self, timeout: float = 5.0) -> bool:
        """No further line is begun; waits for one under way, at most `timeout` seconds. Whether all has ended.

        It holds the loop meanwhile, as a disk that hangs may have it do: `timeout=0` waits for nothing, and the
        manager's end waits without holding the loop.
        """
        self._closing.set()
        self._thread.join(timeout)
        if not self._thread.is_alive() and self in self._manager._hub.exports:
            self._manager._hub.exports.remove(self)
        return not self._thread.is_alive()

    # -- what the manager's end calls --

    def finish(self) -> None:
        """As `close`, without waiting. In the loop's thread."""
        end = ThreadEnd()
        with self._lock:
            self._end = end
            if self._has_ended:
                end.tell()
        self._closing.set()

    async def ended(self, timeout: float) -> list[str]:
        """After `finish`: wait for the thread; its name where it did not end in time."""
        in_time = self._end is not None and await self._end.wait(timeout)
        self._thread.join(END_S if in_time else 0.0)
        return [f"the figures in {self.path}"] if self._thread.is_alive() else []

    # -- the thread --

    def _run(self) -> None:
        due = time.monotonic()
        while not self._closing.wait(max(0.0, due - time.monotonic())):
            self.step()
            due = max(due + self._every, time.monotonic())
        with self._lock:
            self._has_ended = True
            if self._end is not None:
                self._end.tell()

    def step(self) -> None:
        """Write one line; whatever fails is counted, and logged."""
        try:
            parts = []
            for part in line_parts(self._manager):
                parts.append(part)
                if self._closing.wait(PAUSE_S):
                    return
            self._write("".join(parts).encode("ascii"))
        except Exception as error:  # the next line is another chance
            self._failed(error)
        else:
            self.lines += 1
            if self.last_error is not None:
                log.warning("figures are written to %s again", self.path)
                self.last_error = None

    def _write(self, line: bytes) -> None:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _EXTRA, 0o644)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise UsageError(f"{self.path} is no plain file: give another path")
            size = os.fstat(handle).st_size
            if size and size + len(line) > self._max_bytes:
                os.close(handle)
                handle = -1
                self._rotate()
                self._write(line)
                return
            _append(handle, size, line)
        finally:
            if handle >= 0:
                os.close(handle)

    def _rotate(self) -> None:
        """PATH becomes PATH.1, and so on; without any to keep it goes."""
        for number in range(self._keep, 0, -1):
            source = self._numbered(number - 1)
            if source.exists():
                os.replace(source, self._numbered(number))
        if not self._keep:
            self.path.unlink()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        text = _words_of(error)
        now = time.monotonic()
        if text != self.last_error or now - self._logged_at >= LOG_AGAIN_S:
            self._logged_at = now
            foreseen = isinstance(error, OSError | UsageError | MemoryError)
            log.warning(
                "figures cannot be written to %s: %s (%d lines missing so far)",
                self.path,
                text,
                self.failures,
                exc_info=None if foreseen else error,
            )
        self.last_error = text


_EXTRA = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def line_parts(manager: Looking) -> Iterator[str]:
    """A line of `as_json(manager.stats())` and its end, in parts of some 2 ms each, for others to go on between."""
    whole = as_json(manager.stats(components=False))
    del whole["components"]
    yield json.dumps(whole, allow_nan=False)[:-1] + ', "components": {'
    comma = ""
    for records in manager._hub.measuring.components():
        if not records:  # all of them were closed meanwhile
            continue
        text = json.dumps({one.name: as_json(one) for one in records}, allow_nan=False)[1:-1]
        yield comma + text
        comma = ", "
    yield "}}\n"


def _append(handle: int, size: int, line: bytes) -> None:
    """All of the line or nothing: what a full disk took of it is taken back. Behind a torn line a new one begins."""
    if size and _last_byte(handle, size) != b"\n":
        line = b"\n" + line
    rest = memoryview(line)
    try:
        while rest:
            rest = rest[os.write(handle, rest) :]
    except OSError:
        os.ftruncate(handle, size)
        raise


def _last_byte(handle: int, size: int) -> bytes:
    os.lseek(handle, size - 1, os.SEEK_SET)
    return os.read(handle, 1)


def _words_of(error: Exception) -> str:
    if isinstance(error, OSError):
        remedy = REMEDIES.get(error.errno or 0)
        return f"{error.strerror or error}; {remedy}" if remedy else f"{error.strerror or error}"
    return str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
