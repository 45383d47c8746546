"""Several calls as one: granted together at the end, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .intent import Wish

Grant = Callable[[list[Wish]], None]


class Transactions:
    """The open transaction of each task. A nested one joins the outer; an exception undoes all.

    `check` raises for a wish that could not be granted, so that the call that made it raises. Wishes are only collected
    while a transaction is open, so undoing is forgetting them.
    """

    def __init__(self, grant: Grant, check: Callable[[Wish], None]) -> None:
        self._grant = grant
        self._check = check
        self._open: ContextVar[list[Wish] | None] = ContextVar("subcore_transaction", default=None)
        # What the current task has collected; None where it has no transaction open.
        self.wishes: Callable[[], list[Wish] | None] = self._open.get

    @contextmanager
    def begin(self) -> Iterator[None]:
        """Collect the current task's wishes; grant them when the outermost block ends without an exception."""
        if self._open.get() is not None:
            yield
            return
        wishes: list[Wish] = []
        token = self._open.set(wishes)
        try:
            yield
        finally:
            self._open.reset(token)
        if wishes:
            self._grant(wishes)

    def submit(self, wish: Wish) -> None:
        """Add to the current task's transaction, or grant at once where none is open."""
        wishes = self._open.get()
        if wishes is None:
            self._grant([wish])  # which checks it too
        else:
            self._check(wish)
            wishes.append(wish)
