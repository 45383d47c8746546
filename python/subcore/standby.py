"""Who asked for two links where one would do, or for a link of its own. Kept beside the ledger, so that a plain
interest pays nothing for it.

A stream has it while any unpaused holder asks for it. What is no longer held is found by looking, at each turn in which
anything changed: O(topics asked for so), and nothing while there are none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import _columns
from ._ledger import Ledger
from .engine.events import OwnLink, StandBy
from .intent import NO_TOPICS
from .types import Int32Array

__all__ = ["Asked"]

Told = type[StandBy] | type[OwnLink]


class Asked:
    """One manager's, for one of the two; `told` is the event that says it to the engine. Of the loop's thread."""

    def __init__(self, ledger: Ledger, told: Told) -> None:
        self._ledger = ledger
        self._event = told
        self._asked: dict[int, Int32Array] = {}  # topics of each component, sorted
        self._told: Int32Array = NO_TOPICS  # streams that the engine knows of
        self._left_out: Int32Array = NO_TOPICS

    @property
    def asked(self) -> dict[int, Int32Array]:
        """By component the topics it asked for so, as they are now; perhaps some that it holds no more.

        From any thread: nothing in it is changed, it is made anew.
        """
        return self._asked.copy()

    @property
    def streams(self) -> Int32Array:
        """Those that the engine was told of."""
        return self._told

    def leave_out(self, streams: Int32Array) -> None:
        """These have it not for now, whoever asked; said to the engine at the end of a turn."""
        self._left_out = streams

    def put(self, component: int, topics: Int32Array, on: bool) -> None:
        """A component was granted these topics, with it or without. O(1) where nobody ever asked for it."""
        asked = self._asked.get(component)
        if on:
            self._asked[component] = np.union1d(NO_TOPICS if asked is None else asked, topics).astype(
                np.int32
            )
        elif asked is not None:
            self._keep(component, asked[np.isin(asked, topics, invert=True)])

    def forget(self, component: int) -> None:
        """A component was closed; its id will be another's."""
        self._asked.pop(component, None)

    def asked_by(self, component: int, topic: int) -> bool:
        """Whether this component asked for it so."""
        asked = self._asked.get(component)
        return asked is not None and bool(np.isin(topic, asked))

    def tell(self, handle: Callable[[StandBy | OwnLink], None]) -> None:
        """Give the engine what changed since. Called before ids are given back."""
        if not self._asked and not len(self._told):
            return
        streams = self._streams()
        came = np.setdiff1d(streams, self._told, assume_unique=True)
        went = np.setdiff1d(self._told, streams, assume_unique=True)
        self._told = streams
        for part, on in ((went, False), (came, True)):
            if len(part):
                handle(self._event(part, on))

    def _streams(self) -> Int32Array:
        """Those that shall have it; what is not held any more is forgotten."""
        found: list[Int32Array] = [NO_TOPICS]
        for component, topics in list(self._asked.items()):
            held = topics[_columns.holds_many(self._ledger, component, topics)]
            self._keep(component, held)
            if not self._ledger.is_paused(component):
                found.append(_columns.topic_columns(self._ledger, held)[0])
        streams: Int32Array = np.unique(np.concatenate(found))
        return streams[np.isin(streams, self._left_out, invert=True)] if len(self._left_out) else streams

    def _keep(self, component: int, topics: Int32Array) -> None:
        if len(topics):
            self._asked[component] = topics
        else:
            self._asked.pop(component, None)
