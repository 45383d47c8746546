"""Names the handler that holds the event loop, while it does: a thread that looks on.

It reads which handler is called and how many calls there were; a call that is the same at several looks has not
returned. It waits for nobody, changes nothing and accuses nobody else: what the component is told, the loop tells it
afterwards. Code in C that keeps the GIL keeps this thread from looking, too; such a call is named at once after it.
"""

from __future__ import annotations

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

if TYPE_CHECKING:
    from ._route import Router

log = logging.getLogger("subcore.watchdog")

NAME = "subcore-watchdog"
LOOKS = 3  # at the same call, until it is named
LEAST_S = 0.1  # between two looks
SOON_S = 0.1
KEPT = 16
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
    """One call of a handler: the sink's count of calls tells it from the next."""

    component: int
    sink: int
    number: int


class Watchdog:
    """One manager's. `start` and `end` in the loop's thread; it leaves no thread behind."""

    def __init__(
        self, router: Router, names: Callable[[int], str | None], blocked: float, dumps: bool
    ) -> None:
        self._router = router
        self._names = names
        self.blocked = blocked
        self._dumps = dumps
        self._every = max(LEAST_S, blocked / LOOKS)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._end: ThreadEnd | None = None
        self._watched = 0
        self._known: _Call | None = None  # named already
        self._lock = threading.Lock()
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
        """Called by the loop at each tick: the timer that shows stacks in spite of the GIL begins anew."""
        if self._dumps:
            faulthandler.dump_traceback_later(self.blocked, repeat=False)

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
        since = 0.0
        while not self._stop.wait(self._every):
            call, now = self._calling(), time.monotonic()
            if call is None or call != seen:
                seen, since = call, now
            elif call != self._known and now - since >= self.blocked:
                self._known = call
                self._name(call, now - since)
        assert self._end is not None
        self._end.tell()

    def _calling(self) -> _Call | None:
        component, sink = self._router.calling
        if component < 0:
            return None
        try:
            return _Call(component, sink, self._router.sink_info(sink).delivered)
        except KeyError:  # released meanwhile, by the call itself perhaps: one call all the same
            return _Call(component, sink, -1)

    def _name(self, call: _Call, seconds: float) -> None:
        name, handler = self._names(call.component), handler_name(self._router, call.sink)
        if name is None:
            return
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


def handler_name(router: Router, sink: int) -> str:
    """A handler in words; its own `repr` is not asked, which is a user's code."""
    try:
        handler = router.handler_of(sink)
    except KeyError:
        return "(released meanwhile)"
    return getattr(handler, "__qualname__", None) or type(handler).__qualname__
