"""The interner beside a dict that does the same job; read the ratio of the two, not the seconds."""

from __future__ import annotations

import random

import numpy as np

from subcore._intern import Interner


class LookUp:
    """A unit is the ids of 1,000 known texts, asked for in one call."""

    params = (100, 10_000, 50_000)
    param_names = ("texts_held",)

    def setup(self, texts_held: int) -> None:
        texts = [f"KRW-{number:05d}" for number in range(texts_held)]
        self.interner = Interner(capacity=texts_held, seed=1)
        self.interner.intern_many(texts)
        self.ids = {text: number for number, text in enumerate(texts)}
        self.asked = random.Random(1).choices(texts, k=1_000)

    def time_interner(self, texts_held: int) -> None:
        self.interner.get_many(self.asked)

    def time_dict(self, texts_held: int) -> None:
        np.array([self.ids.get(text, -1) for text in self.asked], np.int32)

    def track_bytes_per_text(self, texts_held: int) -> float:
        return self.interner.nbytes / texts_held
