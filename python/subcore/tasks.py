"""The task that calls."""

from __future__ import annotations

import asyncio
from typing import Any


def running_task() -> asyncio.Task[Any] | None:
    """None outside of any, and where no loop runs."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
