"""One component of each kind that harms others where it can, so that `subcore demo` shows what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._delivery import Queue
from ..engine.obligations import Obligations
from ..errors import SubcoreError
from ..types import Priority, StatusKind

if TYPE_CHECKING:
    from ..component import Component
    from ..manager import SubscriptionManager
    from ..types import Status

# Shorter than the defaults, so that nobody has to wait; two ticks that a busy machine makes late skip no step.
RULES = Obligations(
    slow=0.3, quarantine=0.9, grace=0.3, beats_reap=0.6, tries=(0.2, 0.4), failing=0.7, blocked=0.2
)
BEAT_S = 0.2
BLOCK_S = 0.5
CHANNEL, SYMBOL = "orderbook", "KRW-BTC"  # has many events, and others hold it
STEPS = {
    StatusKind.SLOW: "slow",
    StatusKind.QUARANTINED: "quarantined",
    StatusKind.REAPED: "removed",
}


@dataclass
class Rogue:
    """One of them. `steps`: what it was called, and how many seconds after it began."""

    does: str
    ends: str = "removed"  # the step that must come
    steps: dict[str, float] = field(default_factory=dict)
    began: float = 0.0

    def told(self, status: Status) -> None:
        if (step := STEPS.get(status.kind)) is not None:
            self.steps.setdefault(step, time.monotonic() - self.began)

    @property
    def is_over(self) -> bool:
        return not self.ends or self.ends in self.steps

    def as_dict(self) -> dict[str, Any]:
        return {"does": self.does, "steps": {step: round(at, 2) for step, at in self.steps.items()}}

    def __str__(self) -> str:
        steps = [f"{step} after {at:.1f} s" for step, at in self.steps.items()]
        return (
            f"{self.does}: {', '.join(steps) or ('nobody noticed' if not self.ends else 'still under way')}"
        )


class Rogues:
    """All of them. They hold what others hold too, so the wire does not notice."""

    def __init__(self, manager: SubscriptionManager) -> None:
        self._manager = manager
        self._tasks: list[asyncio.Task[Any]] = []
        self._components: list[Component] = []
        self._made: list[Component] = []  # by a handler, one at most: it makes and closes them at every event
        self.all: list[Rogue] = []

    def start(self) -> None:
        """Let them all begin."""
        for does, begin in (
            ("its task crashed and left its topics behind", self._crash),
            ("its task was cancelled and closed nothing", self._leave),
            ("the object of its handler was thrown away", self._be_collected),
            ("its async handler hung", self._hang),
            ("its handler raised on every call", self._raise),
            ("its heartbeat came, but it read nothing", self._beat_only),
            ("it read, but the heartbeat it had promised did not come", self._read_only),
            ("nobody ever read its queue", self._be_a_zombie),
            ("its async handler took longer than events took to come", self._be_slow),
            ("its handler made and closed others while it was called", self._meddle),
        ):
            rogue = Rogue(does, began=time.monotonic())
            self.all.append(rogue)
            begin(rogue)

    async def until_over(self, timeout: float) -> None:
        """Until each has come to its end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not all(rogue.is_over for rogue in self.all):
                    await asyncio.sleep(0.02)

    async def end(self) -> None:
        """Nothing of them is left."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for component in (*self._components, *self._made):
            component.close()

    @property
    def handler_errors(self) -> int:
        """Exceptions that are theirs."""
        return sum(component.stats().handler_errors for component in self._components)

    # -- the kinds --

    def _component(self, rogue: Rogue, **options: Any) -> Component:
        name = f"rogue-{len(self._components)}"
        made = self._manager.component(name, priority=Priority.LOW, on_status=rogue.told, **options)
        self._components.append(made)
        return made

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        self._tasks.append(asyncio.get_running_loop().create_task(work))
        return self._tasks[-1]

    def _crash(self, rogue: Rogue) -> None:
        async def work() -> None:
            component = self._component(rogue, owner=asyncio.current_task())
            component.subscribe(CHANNEL, SYMBOL)
            async for _ in component:
                raise ValueError("a bug")

        self._spawn(work())

    def _leave(self, rogue: Rogue) -> None:
        async def work() -> None:
            component = self._component(rogue, owner=asyncio.current_task())
            component.subscribe(CHANNEL, SYMBOL)
            async for _ in component:
                pass

        asyncio.get_running_loop().call_later(0.1, self._spawn(work()).cancel)

    def _be_collected(self, rogue: Rogue) -> None:
        class Strategy:
            def take(self, event: Any) -> None:
                self.latest = event

        strategy = Strategy()
        self._component(rogue, owner=strategy).subscribe(CHANNEL, SYMBOL, strategy.take)

    def _hang(self, rogue: Rogue) -> None:
        async def handler(event: Any) -> None:
            await asyncio.get_running_loop().create_future()

        self._component(rogue).subscribe(CHANNEL, SYMBOL, handler)

    def _raise(self, rogue: Rogue) -> None:
        def handler(event: Any) -> None:
            raise ValueError("a bug")

        self._component(rogue).subscribe(CHANNEL, SYMBOL, handler)

    def _beat_only(self, rogue: Rogue) -> None:
        component = self._component(rogue, heartbeat=BEAT_S)
        component.subscribe(CHANNEL, SYMBOL)

        async def beat() -> None:
            with contextlib.suppress(SubcoreError):  # until it is removed
                while True:
                    component.heartbeat()
                    await asyncio.sleep(BEAT_S / 2)

        self._spawn(beat())

    def _read_only(self, rogue: Rogue) -> None:
        component = self._component(rogue, heartbeat=BEAT_S)
        component.subscribe(CHANNEL, SYMBOL)

        async def read() -> None:
            with contextlib.suppress(SubcoreError):
                async for _ in component:
                    pass

        self._spawn(read())

    def _be_a_zombie(self, rogue: Rogue) -> None:
        self._component(rogue, delivery=Queue(64)).subscribe(CHANNEL, SYMBOL)

    def _be_slow(self, rogue: Rogue) -> None:
        async def handler(event: Any) -> None:
            await asyncio.sleep(0.25)

        rogue.ends = "slow"
        self._component(rogue).subscribe(CHANNEL, SYMBOL, handler)

    def _meddle(self, rogue: Rogue) -> None:
        component, others = self._component(rogue), self._made

        def handler(event: Any) -> None:
            if others:
                others.pop().close()
            elif not component.closed:
                others.append(self._manager.component("rogue-made-by-a-handler"))
                others[0].subscribe(CHANNEL, SYMBOL, handler)

        rogue.ends = ""
        component.subscribe(CHANNEL, SYMBOL, handler)


@dataclass
class Blocking:
    """A handler that blocks the loop: `named_s` seconds after it began a thread said who it was; None = nobody did."""

    seconds: float = 0.0
    named_s: float | None = None
    handler: str = ""
    has_stack: bool = False


class _WhenNamed(logging.Handler):
    """When, in whichever thread, the log named this component."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.WARNING)
        self._name = name
        self.at: float | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.at is None and repr(self._name) in record.getMessage():
            self.at = time.monotonic()


async def block(manager: SubscriptionManager, sleep: Callable[[float], None] = time.sleep) -> Blocking:
    """Let a handler block the loop for half a second, once."""
    outcome, watching = Blocking(), _WhenNamed("blocker")
    component = manager.component("blocker", priority=Priority.LOW)
    began = 0.0

    def block_the_loop(event: Any) -> None:
        nonlocal began
        if not began:
            began = time.monotonic()
            sleep(BLOCK_S)
            outcome.seconds = time.monotonic() - began

    logging.getLogger("subcore").addHandler(watching)
    try:
        component.subscribe(CHANNEL, SYMBOL, block_the_loop)
        async with asyncio.timeout(5.0):
            while not outcome.seconds:
                await asyncio.sleep(0.02)
    except TimeoutError:
        pass  # no ticker came
    finally:
        logging.getLogger("subcore").removeHandler(watching)
        component.close()
    if watching.at is not None:
        outcome.named_s = watching.at - began
    for blocker in manager.blockers:
        if blocker.component == "blocker":
            outcome.handler, outcome.has_stack = blocker.handler, bool(blocker.stack)
    return outcome
