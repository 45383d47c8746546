"""Why a stream is as it is: one text for many streams, in a column of numbers; a loss costs no object a stream."""

from __future__ import annotations

import numpy as np

from subcore.types import Int32Array

__all__ = ["Reasons"]

SPARE = 64  # texts kept beyond twice those in use


class Reasons:
    """At most one text for each stream; false while no stream has one."""

    def __init__(self) -> None:
        self._text = np.zeros(64, np.int32)  # of each stream, its place in `_texts`; 0 = none
        self._texts = [""]
        self._places = {"": 0}
        self._tidy_at = SPARE
        self._count = 0  # streams that have one

    def __len__(self) -> int:
        """How many streams have one."""
        return self._count

    def of(self, stream: int) -> str:
        """The text of a stream, "" where it has none."""
        return self._texts[self._text[stream]] if 0 <= stream < len(self._text) else ""

    def put(self, streams: Int32Array, text: str) -> None:
        """Note this text for all of them (distinct ids); "" takes theirs away. O(len(streams))."""
        if not len(streams):
            return
        self._reserve(int(streams.max()) + 1)
        place = self._place(text)
        if self._count:
            self._count -= int(np.count_nonzero(self._text[streams]))
        self._count += len(streams) * bool(place)
        self._text[streams] = place
        if not self._count:
            self._texts, self._places, self._tidy_at = [""], {"": 0}, SPARE

    def _reserve(self, need: int) -> None:
        if need > len(self._text):
            grown = np.zeros(max(need, 2 * len(self._text)), np.int32)
            grown[: len(self._text)] = self._text
            self._text = grown

    def _place(self, text: str) -> int:
        place = self._places.get(text)
        if place is None:
            if len(self._texts) >= self._tidy_at:
                self._tidy()
            place = self._places[text] = len(self._texts)
            self._texts.append(text)
        return place

    def _tidy(self) -> None:
        """Let go of texts that no stream has."""
        used, places = np.unique(np.append(self._text, 0), return_inverse=True)
        self._texts = [self._texts[old] for old in used.tolist()]
        self._places = {text: place for place, text in enumerate(self._texts)}
        self._text = places[:-1].astype(np.int32)
        self._tidy_at = 2 * len(self._texts) + SPARE
