"""Keeps the snapshot of a manager on disk, in a thread of its own: a slow, full or broken disk delays nobody.

Beside the file NAME stand NAME.previous, the one before it; NAME.new, while it is written; NAME.lock, which says whose
it is; and NAME.bad, NAME.bad.2 and so on: what stood there and was of no use here.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .engine.snapshot import MAX_BYTES, Snapshot
from .errors import SnapshotError
from .lockfile import FileLock

log = logging.getLogger("subcore.snapshot")

SAVE_EVERY_S = 1.0
RETRY_FIRST_S = 1.0
RETRY_MOST_S = 30.0
TRIES_ASIDE = 3
TORN = ("cut off", "damaged")  # how the texts of such a file begin, see Snapshot.from_bytes
NOT_PLAIN = "this is no plain file: give another path"


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

    SnapshotError where it is in use, or anything but a plain file has one of its names. A folder that cannot be written
    is no error here: `write` tries it anew. Where the path is or leads through a symbolic link, the file is what it
    points to: the link stays, and two links to one file are one.
    """

    def __init__(self, path: Path) -> None:
        # The thread writes for as long as the process runs, which may go to another folder meanwhile.
        self.path = path = Path(os.path.realpath(path))
        self._lock: FileLock | None = None
        # What stands at `path` was read, or written by us: worth being the previous one.
        self._is_good = False
        self.read_from = path
        self._previous_is_aside = False  # it was read, and the next write is to give it another name
        for name in (path, *map(self._beside, ("previous", "new", "lock"))):
            _check_plain(name)
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
        """The file, else its previous one, else None. Logs what is wrong, and raises for none that cannot be read.

        `check` raises SnapshotError for one that is whole and somebody else's: it is not to be used up here.
        """
        faults = []
        for path in (self.path, self._beside("previous")):
            try:
                snapshot = read_snapshot(path)
            except FileNotFoundError:
                faults.append(f"{path}: there is none")
            except (OSError, SnapshotError) as error:
                faults.append(f"{path}: {error}")
            else:
                try:
                    check(snapshot)
                except SnapshotError as error:
                    raise SnapshotError(f"{path}: {error}, or move this one away") from None
                self._is_good = path == self.path
                self.read_from = path
                if faults:
                    log.warning("an older snapshot is used, %s: %s", path, faults[0])
                return snapshot
        if not all(fault.endswith("there is none") for fault in faults):
            log.error("no snapshot can be used, nothing is restored: %s", "; ".join(faults))
        return None

    def set_aside(self) -> Path:
        """What was read is of no use here, but may be elsewhere: the next write keeps it, under the name returned."""
        self._is_good = False
        self._previous_is_aside = self.read_from != self.path
        return next(self._names_aside(self.read_from))

    def _names_aside(self, path: Path) -> Iterator[Path]:
        """Names that may be given to what stands at `path`: free, or of what nobody can use or that is the same."""
        for number in itertools.count(1):
            name = self._beside("bad" if number == 1 else f"bad.{number}")
            if not os.path.lexists(name) or _is_torn(name) or _are_same(name, path):
                yield name

    def _move_aside(self, path: Path) -> None:
        """Keep what stands at `path` under another name. OSError where none of some can be had."""
        for tries, name in enumerate(self._names_aside(path), start=1):
            try:
                os.replace(path, name)
            except OSError:  # of that name, or of all
                if tries == TRIES_ASIDE:
                    raise
            else:
                log.warning("what stood at %s is kept as %s", path, name)
                return

    def write(self, data: bytes) -> None:
        """Put `data` in the place of the file, which becomes the previous one; at every moment one of them is whole.

        OSError (disk full, no permission), SnapshotError (in use, no plain file); then the file is what it was, or the
        previous one.
        """
        self._acquire()
        new = self._beside("new")
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if self._previous_is_aside:
            if (previous := self._beside("previous")).exists():
                self._move_aside(previous)
            self._previous_is_aside = False
        if self.path.exists():
            _check_plain(self.path)
            if self._is_good:
                os.replace(self.path, self._beside("previous"))
            else:
                self._move_aside(self.path)
        self._is_good = False  # should the next step fail, nothing stands there
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
        raise SnapshotError(NOT_PLAIN)
    with path.open("rb") as file:
        return Snapshot.from_bytes(file.read(MAX_BYTES + 1))


def _check_plain(path: Path) -> None:
    """SnapshotError where a folder, a pipe or a device has that name: it is somebody's, and not to be moved."""
    try:
        is_plain = stat.S_ISREG(path.stat().st_mode)
    except OSError:  # there is none, or nobody can tell
        return
    if not is_plain:
        raise SnapshotError(f"{path}: {NOT_PLAIN}")


def _is_torn(path: Path) -> bool:
    """Whether it was a snapshot and no subcore can read it; one that is whole may be of use to another."""
    try:
        read_snapshot(path)
    except (OSError, SnapshotError) as error:
        return str(error).startswith(TORN)
    return False


def _are_same(path: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        if path.is_file() and path.stat().st_size == other.stat().st_size <= MAX_BYTES:
            return path.read_bytes() == other.read_bytes()
    return False


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
