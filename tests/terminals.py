"""A command on a terminal of its own: what it writes there, with and without the escapes that move and colour."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Shown:
    """How a command ended, what the terminal got, and what went to its standard output where that was a pipe."""

    status: int
    raw: str
    out: str = ""

    @property
    def text(self) -> str:
        """Without escapes; what was drawn anew stands there again, on lines of its own."""
        return ESCAPES.sub("", self.raw).replace("\r\n", "\n").replace("\r", "\n")


def on_terminal(
    *arguments: str, columns: int = 80, rows: int = 30, pipe_out: bool = False, **env: str
) -> Shown:
    """Run `subcore ARGUMENTS` with standard error, and output unless `pipe_out` (a short one), on a new terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    plain = {
        k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "CI")
    }
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "subcore.cli", *arguments],
        stdin=theirs,
        stdout=subprocess.PIPE if pipe_out else theirs,
        stderr=theirs,
        env=plain | {"TERM": "xterm-256color"} | env,
    ) as process:
        os.close(theirs)
        raw = _read_all(ours)
        out = b"" if process.stdout is None else process.stdout.read()
    os.close(ours)
    return Shown(process.returncode, raw.decode(), out.decode())


def _read_all(terminal: int) -> bytes:
    got = bytearray()
    with contextlib.suppress(OSError):  # the other end is closed
        while chunk := os.read(terminal, 65536):
            got += chunk
    return bytes(got)
