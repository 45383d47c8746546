"""`subcore top` at work: a thread that reads figures, the terminal's keys, and what is drawn."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from rich.console import Console, ConsoleDimensions
from rich.live import Live
from rich.text import Text

from .top_keys import keys_of
from .top_source import Seen, Source, SourceError
from .top_state import State, press
from .top_view import Screen, draw

__all__ = ["watch"]

LOOK_S = 0.25  # between two looks at the size of the terminal, where no key and no figures come
ESCAPE_S = 0.05  # what follows an escape so soon belongs to it
READ = 1024


class Latest(NamedTuple):
    """When figures were read last (monotonic seconds), which, and why nothing newer was."""

    at: float
    seen: Seen
    trouble: str


class Reading:
    """Reads again and again in a thread of its own: keys work while a page does not answer."""

    def __init__(self, source: Source, every: float) -> None:
        self.latest = Latest(time.monotonic(), Seen(), "reading ...")
        self.wakes, self._told = socket.socketpair()  # the first can be read from once something is new
        self._source = source
        self._every = every
        self._topics = False
        self._asked = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="subcore-top", daemon=True)
        self._thread.start()

    def want(self, *, topics: bool) -> None:
        """Whether topics are shown; if so now, they are read at once."""
        if topics and not self._topics:
            self._asked.set()
        self._topics = topics

    def end(self) -> None:
        """Read no more; does not wait for an answer that is due."""
        self._ended = True
        self._asked.set()

    def _run(self) -> None:
        while not self._ended:
            self._asked.clear()
            try:
                seen = self._source.read(topics=self._topics and self._source.has_topics)
                self.latest = Latest(time.monotonic(), seen, "")
            except SourceError as error:
                self.latest = self.latest._replace(trouble=str(error))
            except Exception as error:  # the view goes on
                self.latest = self.latest._replace(trouble=f"{type(error).__name__}: {error}")
            with contextlib.suppress(OSError):
                self._told.send(b"!")
            self._asked.wait(self._every)


def watch(source: Source, every: float, console: Console) -> None:
    """Until q is pressed, or Ctrl-C. The terminal is afterwards as it was."""
    reading = Reading(source, every)
    try:
        with (
            _left_as_it_was(),
            _keys() as keys,
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            _Viewer(reading, source.name, console, live).run(keys)
    finally:
        reading.end()


class _Viewer:
    def __init__(self, reading: Reading, name: str, console: Console, live: Live) -> None:
        self._reading = reading
        self._name = name
        self._console = console
        self._live = live
        self._state = State()
        self._frozen: Latest | None = None
        self._rest = b""
        self._screen = Screen([], 0, 1, 1)

    def run(self, keys: int | None) -> None:
        """Draw what is new, until the viewer has enough."""
        drawn: tuple[object, ...] | None = None
        while not self._state.has_ended:
            latest, size = self._frozen or self._reading.latest, self._console.size
            age = int(time.monotonic() - latest.at) if latest.trouble else 0
            if drawn != (now := (latest, self._state, size, age)):
                self._show(latest, size)
                drawn = now
            if not self._wait(keys):
                return

    def _show(self, latest: Latest, size: ConsoleDimensions) -> None:
        self._screen = draw(
            latest.seen,
            self._state,
            name=self._name,
            width=size.width,
            height=size.height,
            trouble=latest.trouble,
            age_s=time.monotonic() - latest.at,
        )
        self._live.update(Text("\n").join(self._screen.lines), refresh=True)

    def _wait(self, keys: int | None) -> bool:
        """For a key, for figures, or for a moment; False where the terminal is gone."""
        wakes = self._reading.wakes
        asked = [wakes.fileno()] if keys is None else [wakes.fileno(), keys]
        ready, _, _ = select.select(asked, [], [], ESCAPE_S if self._rest else LOOK_S)
        if wakes.fileno() in ready:
            wakes.recv(READ)
        data = b""
        if keys is not None and keys in ready:
            data = os.read(keys, READ)
            if not data:
                return False
        self._typed(data)
        return True

    def _typed(self, data: bytes) -> None:
        pressed, self._rest = keys_of(self._rest + data, is_all=not data)
        for key in pressed:
            screen = self._screen
            self._state = press(self._state, key, rows=screen.rows, page=screen.page, columns=screen.columns)
        if pressed:
            self._reading.want(topics=self._state.shown == 1)
            if self._state.is_frozen != (self._frozen is not None):
                self._frozen = self._reading.latest if self._state.is_frozen else None


@contextlib.contextmanager
def _keys() -> Iterator[int | None]:
    """Where keys come from, each at once and unseen; None where there is no terminal to ask."""
    try:
        import termios
        import tty

        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
    except (ImportError, OSError, ValueError):
        yield None
        return
    except Exception as error:
        if type(error).__name__ != "error":  # termios.error is no OSError
            raise
        yield None
        return
    try:
        tty.setcbreak(terminal)
        yield terminal
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _left_as_it_was() -> Iterator[None]:
    """Signals that end the process end it through `finally`; stopping it would leave the other screen behind."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before: dict[int, Any] = {}
    handlers: dict[str, Any] = {
        "SIGTERM": leave,
        "SIGHUP": leave,
        "SIGQUIT": leave,
        "SIGTSTP": signal.SIG_IGN,
    }
    for name, handler in handlers.items():
        if hasattr(signal, name):
            before[getattr(signal, name)] = signal.signal(getattr(signal, name), handler)
    try:
        yield
    finally:
        for number, known in before.items():
            signal.signal(number, known)
