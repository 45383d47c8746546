"""Keeps the snapshot of a manager on disk, in a thread of its own: a slow, full or broken disk delays nobody.

Beside the file NAME stand NAME.previous, the one before it; NAME.new, while it is written; NAME.lock, which says whose
it is; and NAME.bad, what stood there and could not be read.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .engine.snapshot import MAX_BYTES, Snapshot
from .errors import SnapshotError
from .lockfile import FileLock

log = logging.getLogger("subcore.snapshot")

SAVE_EVERY_S = 1.0
RETRY_FIRST_S = 1.0
RETRY_MOST_S = 30.0


@dataclass(frozen=True, slots=True)
class SnapshotStats:
    """How the keeping on disk goes. `failures`: writes that failed since the start; `last_error` of the latest try."""

    path: str
    writes: int
    failures: int
    last_error: str | None
    bytes: int  # of the file last written


class SnapshotFile:
    """One path, locked for this process from its making until `close`. No method is for two threads at once.

    SnapshotError where it is in use. A folder that cannot be written is no error here: `write` tries it anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: FileLock | None = None
        self._is_good = (
            False  # what stands at `path` was read, or written by us: worth being the previous one
        )
        try:
            self._acquire()
        except OSError as error:
            log.warning("the snapshot cannot be kept in %s: %s", path, error)

    def _acquire(self) -> None:
        if self._lock is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self._beside("lock"))

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{ending}")

    def read(self, check: Callable[[Snapshot], object]) -> Snapshot | None:
        """The file, else its previous one, else None. Logs what is wrong; never raises for what a file holds.

        `check` raises SnapshotError for one that is of no use here.
        """
        faults = []
        for path in (self.path, self._beside("previous")):
            try:
                snapshot = read_snapshot(path)
                check(snapshot)
            except FileNotFoundError:
                faults.append(f"{path}: there is none")
            except (OSError, SnapshotError) as error:
                faults.append(f"{path}: {error}")
            else:
                self._is_good = path == self.path
                if faults:
                    log.warning("an older snapshot is used, %s: %s", path, faults[0])
                return snapshot
        if not all(fault.endswith("there is none") for fault in faults):
            log.error("no snapshot can be used, nothing is restored: %s", "; ".join(faults))
        return None

    def set_aside(self) -> Path:
        """What was read is of no use here, but may be elsewhere: the next write keeps it, under the name returned."""
        self._is_good = False
        return self._beside("bad")

    def write(self, data: bytes) -> None:
        """Put `data` in the place of the file, which becomes the previous one; at every moment one of them is whole.

        OSError (disk full, no permission), SnapshotError (in use); then the file is what it was, or the previous one.
        """
        self._acquire()
        new = self._beside("new")
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if self._is_good:
            self._is_good = False  # should the next step fail, nothing stands there
            os.replace(self.path, self._beside("previous"))
        elif self.path.exists():
            os.replace(self.path, self._beside("bad"))
        os.replace(new, self.path)
        self._is_good = True
        _sync_folder(self.path.parent)

    def close(self) -> None:
        """Let others have it. Idempotent."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


def read_snapshot(path: Path) -> Snapshot:
    """What a file holds. SnapshotError, OSError. Reads at most 64 MiB, and from nothing but a plain file."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise SnapshotError("this is no plain file: give another path")
    with path.open("rb") as file:
        return Snapshot.from_bytes(file.read(MAX_BYTES + 1))


def _sync_folder(folder: Path) -> None:
    """A name is on the disk only when its folder is."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Keeper:
    """Writes `capture()` to a file after each `changed`, at most once in `every` seconds, and what `close` is given.

    `capture` is called in the thread. Failures are counted, logged when they are news, and tried again.
    """

    def __init__(
        self, file: SnapshotFile, capture: Callable[[], Snapshot], *, every: float = SAVE_EVERY_S
    ) -> None:
        self._file = file
        self._capture = capture
        self._every = every
        self._retry = RETRY_FIRST_S
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._final: Snapshot | None = None
        self._ended: Callable[[], object] = lambda: None
        self._saved: Snapshot | None = None
        self._writes = self._failures = self._bytes = 0
        self._good_steps = 0
        self._steps_on = False
        self._error: str | None = None
        self._thread = threading.Thread(target=self._run, name="subcore-snapshot", daemon=True)

    def start(self) -> None:
        """Begin; what is wanted now is written first."""
        self._dirty.set()
        self._thread.start()

    def changed(self) -> None:
        """Something is wanted that was not, or no longer. From any thread; costs next to nothing."""
        if not self._dirty.is_set():
            self._dirty.set()

    def finish(self, final: Snapshot | None, ended: Callable[[], object]) -> None:
        """Write this (None: nothing more), let the file go, and call `ended` in the thread. Once, from any thread."""
        self._ended = ended
        self._final = final
        self._closing.set()
        self._dirty.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end of the thread, which lets the file go; whether it ended in time."""
        if self.is_running:
            self._thread.join(timeout)
        if self.is_running:
            return False
        self._file.close()  # where it never ran
        return True

    @property
    def is_running(self) -> bool:
        """True between start and the end of the thread."""
        return self._thread.is_alive()

    def stats(self) -> SnapshotStats:
        """Figures. From any thread."""
        return SnapshotStats(str(self._file.path), self._writes, self._failures, self._error, self._bytes)

    @property
    def progress(self) -> tuple[bool, int, str]:
        """(whether the file lacks something now, how often it was brought up to date, its path). From any thread."""
        return self._dirty.is_set() or self._steps_on, self._good_steps, str(self._file.path)

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._dirty.wait()
                self._closing.wait(self.step())
            if self._final is not None and self._final is not self._saved:
                self.step()
        finally:
            self._file.close()
            self._ended()

    def step(self) -> float:
        """Write once, if there is anything new; the seconds until it may be done again."""
        self._steps_on = True
        self._dirty.clear()  # before looking: what changes from here on is for the next time
        try:
            self._save()
            self._good_steps += 1
        except Exception as error:  # whatever it is, intent must be kept by the next try
            self._failed(error)
            self._dirty.set()
            pause, self._retry = self._retry, min(2 * self._retry, RETRY_MOST_S)
            return pause
        finally:
            self._steps_on = False
        if self._error is not None:
            log.warning("the snapshot is kept in %s again", self._file.path)
            self._error = None
        self._retry = RETRY_FIRST_S
        return self._every

    def _save(self) -> None:
        snapshot = self._final if self._closing.is_set() else self._capture()
        if self._closing.is_set():  # a close may have begun meanwhile: what it takes away is wanted after it
            snapshot = self._final
        if snapshot is None:
            return
        if not snapshot.same_as(self._saved):
            data = bytes(snapshot)
            self._file.write(data)
            self._writes += 1
            self._bytes = len(data)
        self._saved = snapshot

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        text = f"{type(error).__name__}: {error}"
        if text != self._error:
            foreseen = isinstance(error, OSError | SnapshotError | MemoryError)
            log.warning(
                "the snapshot cannot be kept in %s, it is tried again: %s",
                self._file.path,
                text,
                exc_info=None if foreseen else error,
            )
        self._error = text
