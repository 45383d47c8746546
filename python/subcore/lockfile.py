"""A lock on a file between processes, so that no two of them write one snapshot."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path
from typing import IO

from .errors import SnapshotError

log = logging.getLogger("subcore.snapshot")

_BUSY = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_LOCKED_BYTE = 1 << 30  # beyond the text, which others may read while it is locked


class FileLock:
    """Held from its making until `release`, or until the process ends, however that happens. The file stays.

    SnapshotError where another process, or another manager of this one, has it; OSError where the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("a+b")
        try:
            _lock(self._file)
        except OSError as error:
            if error.errno in _BUSY:
                holder = self._holder()
                self._file.close()
                raise SnapshotError(
                    f"{path} is locked by process {holder}: close that manager, or give this one a path of its own"
                ) from None
            log.warning("%s cannot be locked here (%s): see that no other process uses it", path, error)
        with contextlib.suppress(OSError):  # who has it is told to people only
            self._file.truncate(0)
            self._file.write(f"{os.getpid()}\n".encode())
            self._file.flush()

    def _holder(self) -> str:
        with contextlib.suppress(OSError):
            self._file.seek(0)
            return self._file.read(20).decode("ascii", "replace").strip() or "?"
        return "?"

    def release(self) -> None:
        """Let it go. Idempotent."""
        if not self._file.closed:
            with contextlib.suppress(OSError):
                _unlock(self._file)
            self._file.close()


try:
    import fcntl
except ImportError:
    import msvcrt  # there is one or the other

    def _lock(file: IO[bytes]) -> None:
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]

    def _unlock(file: IO[bytes]) -> None:
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]

else:

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)  # for copies that a fork made, too
