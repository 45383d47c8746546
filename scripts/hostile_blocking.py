"""A handler that blocks the event loop: who it is must be known while it does, and nobody else may be accused."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hostile_healthy import Healthy

import subcore

NAME = "blocks-the-loop"
BLOCKS_S = 2.5
NAMED_WITHIN_S = 1.0
HEALTHY = 20
AFTER_S = 3.0  # in which somebody could be accused of what happened meanwhile


@dataclass
class Blocked:
    """What came of it. `named_s`: seconds from the beginning of the block to the line in the log."""

    named_s: float | None = None
    has_stack: bool = False
    blockers: int = 0
    events_due: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def told(self) -> str:
        when = "never named" if self.named_s is None else f"named after {self.named_s:.2f} s"
        stack = "with its stack" if self.has_stack else "without its stack"
        return f"{when}, {stack}; {self.events_due:,} events were due to {HEALTHY} others"


class Block:
    """The handler. Its own name must be found in the stack."""

    def __init__(self) -> None:
        self.armed = False
        self.began = 0.0

    def block_the_loop(self, event: Any) -> None:
        if self.armed and not self.began:
            self.began = time.monotonic()
            time.sleep(BLOCKS_S)


class _Lines(logging.Handler):
    """When, in whichever thread, the log said something about whom."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[tuple[float, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((time.monotonic(), record.getMessage()))


async def play_blocking(
    url: str, stop: Callable[[], Awaitable[dict[str, Any]]], codes: Sequence[str], seed: int
) -> Blocked:
    """Twenty healthy components, and one whose handler blocks for 2.5 s, once."""
    lines, block, outcome = _Lines(), Block(), Blocked()
    logging.getLogger("subcore").addHandler(lines)
    try:
        async with subcore.SubscriptionManager("upbit", url=url, seed=seed) as manager:
            healthy = [Healthy(manager, number, codes[number::HEALTHY]) for number in range(HEALTHY)]
            blocks = manager.component(NAME)
            blocks.subscribe("trade", codes, block.block_the_loop)
            await asyncio.gather(*(one.component.live(60.0) for one in healthy))
            await asyncio.sleep(1.0)
            block.armed = True
            while not block.began:
                await asyncio.sleep(0.01)
            await asyncio.sleep(AFTER_S)
            _judge(outcome, block, lines, manager)
            account = await stop()
            await asyncio.sleep(0.5)
            for one in healthy:
                outcome.events_due += sum(account["trades"].get(code, [0])[0] for code in one.topics)
                accused, slow = one.accused
                outcome.faults += one.missing(account["trades"]) + accused + slow
    finally:
        logging.getLogger("subcore").removeHandler(lines)
    return outcome


def _judge(outcome: Blocked, block: Block, lines: _Lines, manager: subcore.SubscriptionManager) -> None:
    named = [(at, text) for at, text in lines.lines if NAME in text]
    if named:
        outcome.named_s = named[0][0] - block.began
    blockers: Sequence[Any] = getattr(manager, "blockers", ())
    outcome.blockers = len(blockers)
    outcome.has_stack = any("time.sleep" in one.stack and "block_the_loop" in one.stack for one in blockers)
    if outcome.named_s is None or outcome.named_s > NAMED_WITHIN_S:
        outcome.faults.append(f"who blocked the loop was not named within {NAMED_WITHIN_S:g} s")
    if not outcome.has_stack:
        outcome.faults.append("who blocked the loop was not named with its stack")
    others = [text for _, text in lines.lines if "healthy-" in text]
    outcome.faults += [f"accused: {text[:100]}" for text in others]
    outcome.faults += [f"accused: {one.component}" for one in blockers if one.component != NAME]
