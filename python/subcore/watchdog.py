"""Names the handler that holds the event loop, while it does: a thread that looks on.

It reads which handler is called and how many calls there were; a call that is the same at several looks has not
returned. It waits for nobody, changes nothing and accuses nobody else: what the component is told, the loop tells it
afterwards. Code in C that keeps the GIL keeps this thread from looking, too; such a call is named at once after it.
While the process is stopped (SIGSTOP, a paused machine) it cannot look either: that time is nobody's.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .closing import END_S, ThreadEnd
from .engine.clock import SECOND
from .engine.liveness import TICK_NS

with contextlib.suppress(ImportError):  # not on Windows
    import resource

if TYPE_CHECKING:
    from ._route import Router

log = logging.getLogger("subcore.watchdog")

NAME = "subcore-watchdog"
LOOKS = 3  # at the same call, until it is named
LEAST_S, MOST_S = 0.1, TICK_NS / SECOND  # between two looks
SOON_S = 0.1
KEPT = 16
STOPS_KEPT = 64
OWN_WAKES = 3  # between two looks, where it waits for nobody
WAKES_NEED = 10  # a thread that waits for the interpreter wakes once each switch interval, or so many
STACK_FRAMES = 32


@dataclass(frozen=True, slots=True)
class Blocker:
    """A handler that held the event loop. `seconds`: how long so far, or in all once it is `over`. `stack`: the loop's
    thread at that moment; empty where it could not be looked at, since C code kept the GIL. `time_ns` is nanoseconds
    since 1970 UTC."""

    component: str
    handler: str
    seconds: float
    stack: str
    over: bool
    time_ns: int


class _Call(NamedTuple):
    """One call of a handler, a step of an async one, or a hook: the router's count of them tells it from the next."""

    component: int
    sink: int
    number: int


class _Reading(NamedTuple):
    """What shows whether the process ran: nanoseconds on the clock and of its processor time, and how often this thread
    (or any of the process) woke up (None where no system says it)."""

    now: int
    worked: int
    woke: int | None


class _Stop(NamedTuple):
    """Between two looks the process was stopped for so long."""

    since: int
    until: int
    lost: int


class Watchdog:
    """One manager's. `start` and `end` in the loop's thread; it leaves no thread behind."""

    def __init__(
        self, router: Router, names: Callable[[int, int], tuple[str, str] | None], blocked: float, dumps: bool
    ) -> None:
        """`names`: component and handler, by the ids of component and sink; asked in the thread."""
        self._router = router
        self._names = names
        self.blocked = blocked
        self._dumps = dumps
        self._every = min(max(LEAST_S, blocked / LOOKS), MOST_S)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._end: ThreadEnd | None = None
        self._watched = 0
        self._known: _Call | None = None  # named already
        self._stops: deque[_Stop] = deque(maxlen=STOPS_KEPT)
        self._lock = threading.Lock()
        self.looks = 0
        self.found: deque[Blocker] = deque(maxlen=KEPT)

    def start(self) -> None:
        """Look on from now on, at the calls of this thread's loop."""
        self._watched = threading.get_ident()
        self._end = ThreadEnd()
        self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Tell the thread to end. Never waits."""
        self._stop.set()
        if self._dumps:
            faulthandler.cancel_dump_traceback_later()

    async def ended(self, timeout: float) -> list[str]:
        """Wait for the thread; its name if it does not end in time."""
        if self._thread is None or self._end is None:
            return []
        self._thread.join(SOON_S)  # it waits for nothing but to be told
        if self._thread.is_alive() and not await self._end.wait(timeout):
            return [NAME]
        self._thread.join(END_S)
        return []

    def loop_runs(self) -> None:
        """Called by the loop at each tick: the timer that shows stacks in spite of the GIL begins anew. It never ends
        before the next tick is well over, for a loop that is idle comes no sooner."""
        if self._dumps:
            faulthandler.dump_traceback_later(max(self.blocked, 2 * TICK_NS / SECOND), repeat=False)

    def stopped_ns(self, since: int, until: int) -> int:
        """So many nanoseconds between two times of the monotonic clock the process was stopped, as far as was seen."""
        with self._lock:
            stops = list(self._stops)
        overlaps = (min(min(until, stop.until) - max(since, stop.since), stop.lost) for stop in stops)
        return sum(overlap for overlap in overlaps if overlap > 0)

    def over(self, component: str, handler: str, seconds: float, time_ns: int) -> None:
        """A call that held the loop is over: how long it took in all. Named here if the thread could not."""
        with self._lock:
            for place, one in enumerate(self.found):
                if not one.over and (one.component, one.handler) == (component, handler):
                    self.found[place] = Blocker(component, handler, seconds, one.stack, True, time_ns)
                    return
            self.found.append(Blocker(component, handler, seconds, "", True, time_ns))
        log.warning(
            "component %r held the event loop for %.1f s: its handler %s kept the interpreter to itself",
            component,
            seconds,
            handler,
        )

    # In the thread

    def _run(self) -> None:
        seen: _Call | None = None
        since = 0
        before = self._read()
        while not self._stop.wait(self._every):
            reading = self._read()
            stopped = self._note_stop(before, reading)
            call, before = self._calling(), reading
            self.looks += 1
            if call is None or call != seen:
                seen, since = call, reading.now
                continue
            since += stopped
            if call != self._known and reading.now - since >= self.blocked * SECOND:
                self._known = call
                self._name(call, (reading.now - since) / SECOND)
        assert self._end is not None
        self._end.tell()

    def _read(self) -> _Reading:
        return _Reading(time.monotonic_ns(), time.process_time_ns(), _times_woken())

    def _note_stop(self, before: _Reading, now: _Reading) -> int:
        """For how long the process was stopped since the last look. Only a look that comes late can tell; C code that
        sleeps with the interpreter in its hands burns no time either, but does not keep this thread from waking."""
        gap = now.now - before.now
        lost = gap - round(self._every * SECOND) - (now.worked - before.worked)
        if lost <= self._every * SECOND:
            return 0
        if now.woke is not None and before.woke is not None:
            woken = max(0, now.woke - before.woke - OWN_WAKES) * WAKES_NEED
            if woken * sys.getswitchinterval() * SECOND >= gap:
                return 0
        with self._lock:
            self._stops.append(_Stop(before.now, now.now, lost))
        return lost

    def _calling(self) -> _Call | None:
        component, sink = self._router.calling
        return None if component < 0 else _Call(component, sink, self._router.call_number)

    def _name(self, call: _Call, seconds: float) -> None:
        named = self._router.called_names or self._names(call.component, call.sink)
        if named is None:
            return
        name, handler = named
        stack = self._stack()
        with self._lock:
            self.found.append(Blocker(name, handler, seconds, stack, False, time.time_ns()))
        log.warning(
            "component %r holds the event loop: its handler %s has not returned for over %.1f s\n%s",
            name,
            handler,
            seconds,
            stack,
        )

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._watched)
        return "" if frame is None else "".join(traceback.format_stack(frame, STACK_FRAMES))


def _times_woken() -> int | None:
    """How often this thread gave its processor up by itself so far; None where no system says it.

    macOS counts all threads of the process together, and of which kind a switch was is not told apart there: busy
    threads hide a stop of the process then, but no call is hidden.
    """
    if "resource" not in globals():
        return None
    if hasattr(resource, "RUSAGE_THREAD"):
        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    whole = resource.getrusage(resource.RUSAGE_SELF)
    return whole.ru_nvcsw + whole.ru_nivcsw
