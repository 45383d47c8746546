"""The event loops that the transport must work on: asyncio's own, and uvloop where it is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

LOOPS = ("asyncio", "uvloop")
ON_EACH = {
    "test_link.py",
    "test_manager.py",
    "test_component.py",
    "test_pumping.py",
    "test_pumping_task.py",
    "test_dashboard_server.py",
}  # whose async tests run on every loop

Factory = Callable[[], asyncio.AbstractEventLoop]


def new_uvloop() -> asyncio.AbstractEventLoop:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed: pip install subcore[uvloop]")
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Factory]:
    factories: dict[str, Factory] = {"asyncio": asyncio.new_event_loop}
    if item.path.name in ON_EACH:
        factories["uvloop"] = new_uvloop
    return factories


def run_on(loop: str, main: Any) -> Any:
    """Run a coroutine to its end as a program does, on a new loop of this kind."""
    factory = {"asyncio": asyncio.new_event_loop, "uvloop": new_uvloop}[loop]
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)
