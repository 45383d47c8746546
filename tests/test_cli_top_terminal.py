"""`subcore top` on a real terminal: it follows its file, its keys and its size, and leaves all as it was."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from subcore.cli import top_loop
from subcore.cli.top import _watch
from subcore.cli.top_source import FileSource
from terminals import ESCAPES
from top_screen import RECORDED, figures_file

__all__ = ["figures_file"]  # a fixture

SOON_S = 20.0


def test_a_terminal_that_cannot_be_drawn_on_is_told_of(
    monkeypatch: pytest.MonkeyPatch, figures_file: Path
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.setattr(top_loop, "watch", lambda *given: None)
    with pytest.raises(click.ClickException, match="add --once"):
        _watch(FileSource(figures_file), 1.0)


class Terminal:
    """`subcore top ...` on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.ours, theirs = pty.openpty()
        self.resize(110, 30)
        self.before = termios.tcgetattr(theirs)
        env = {
            k: v
            for k, v in os.environ.items()
            if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "CI")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "subcore.cli", "top", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=env | {"TERM": "xterm-256color"},
        )
        self.theirs = theirs
        self.got = b""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    @property
    def drawn(self) -> str:
        """The last whole picture."""
        pictures = self.got.split(b"\x1b[H")
        return ESCAPES.sub("", pictures[-1].decode("utf-8", "ignore")).replace("\r\n", "\n")

    def until(self, text: str, *, ended: bool = False) -> str:
        end = time.monotonic() + SOON_S
        while time.monotonic() < end:
            if select.select([self.ours], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):  # the other end is closed
                    self.got += os.read(self.ours, 65536)
            if text in self.drawn and (not ended or self.process.poll() is not None):
                return self.drawn
        raise AssertionError(f"no {text!r} in {self.drawn}")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def terminal(figures_file: Path) -> Iterator[Terminal]:
    made = Terminal(str(figures_file), "--every", "0.2")
    yield made
    made.close()


def test_a_run_on_a_terminal(terminal: Terminal, figures_file: Path) -> None:
    terminal.until("rogue-4")
    terminal.until("q quit")
    assert terminal.got.startswith(b"\x1b[?1049h"), "on the other screen"
    assert b"\x1b[2J" not in terminal.got, "nothing is wiped, so nothing flickers"
    terminal.press("/rogue-4\r")
    terminal.until("1-1 of 1")
    assert "rogue-5" not in terminal.until("q quit")
    figures_file.write_text(json.dumps({**RECORDED["stats"], "interests": 4321}) + "\n")
    terminal.until("interests 4,321")
    terminal.resize(60, 15)
    os.kill(terminal.process.pid, signal.SIGWINCH)
    narrow = terminal.until("q quit  tab components/topics  / search  <> sort by  r reve…")
    assert max(len(line) for line in narrow.splitlines()) <= 60
    figures_file.unlink()
    terminal.until("old: there is no file")
    terminal.press("q")
    terminal.until("", ended=True)
    assert terminal.process.returncode == 0
    assert terminal.got.rstrip().endswith(b"\x1b[?1049l"), "the screen is as it was"
    assert termios.tcgetattr(terminal.theirs) == terminal.before, "and so is the keyboard"


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGQUIT, 128 + signal.SIGQUIT)],
)
def test_a_signal_leaves_the_terminal_as_it_was(terminal: Terminal, number: int, status: int) -> None:
    terminal.until("rogue-4")
    os.kill(terminal.process.pid, number)
    terminal.until("", ended=True)
    assert terminal.process.returncode == status
    assert terminal.got.rstrip().endswith(b"\x1b[?1049l")
    assert termios.tcgetattr(terminal.theirs) == terminal.before
