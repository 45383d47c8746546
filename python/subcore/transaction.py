"""Several calls as one: granted together at the end, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .intent import Wish

Grant = Callable[[list[Wish]], None]


class Transactions:
    """The open blocks of each task. A nested one joins the outer at its end; an exception undoes what is inside.

    `check` raises for a wish that could not be granted, so that the call that made it raises. Wishes are only collected
    while a block is open, so undoing is forgetting them.

    Blocks are kept by task, and not in a context variable: tasks, timers and callbacks inherit a copy of the context
    they were made in, and would go on adding to a block that is another's, or long over.
    """

    def __init__(self, grant: Grant, check: Callable[[Wish], None]) -> None:
        self._grant = grant
        self._check = check
        # Innermost last. None stands for what no task runs. A key is there only while a block is open.
        self._open: dict[asyncio.Task[Any] | None, list[list[Wish]]] = {}

    @contextmanager
    def begin(self) -> Iterator[None]:
        """Collect the current task's wishes; grant them when the outermost block ends without an exception."""
        task = _present_task()
        blocks = self._open.setdefault(task, [])
        wishes: list[Wish] = []
        blocks.append(wishes)
        try:
            yield
        finally:
            blocks.pop()
            if not blocks:
                del self._open[task]
        if blocks:
            blocks[-1] += wishes
        elif wishes:
            self._grant(wishes)

    @property
    def is_open(self) -> bool:
        """Whether the current task has a block open."""
        return bool(self._open) and _present_task() in self._open

    def has_choice_of(self, component: int) -> bool:
        """Whether the current task's blocks say of anything that this component wants where it goes."""
        blocks = self._open.get(_present_task(), []) if self._open else []
        return any(wish.component == component and wish.chooses for wishes in blocks for wish in wishes)

    def submit(self, wish: Wish) -> None:
        """Add to the current task's block, or grant at once where none is open."""
        blocks = self._open.get(_present_task()) if self._open else None
        if blocks is None:
            self._grant([wish])  # which checks it too
        else:
            self._check(wish)
            blocks[-1].append(wish)

    def forget(self, component: int) -> None:
        """Its wishes are nobody's: the id may be another component's before the block ends."""
        for blocks in self._open.values():
            for wishes in blocks:
                wishes[:] = [wish for wish in wishes if wish.component != component]


def _present_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs: what is wanted before it does
        return None
