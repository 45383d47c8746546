"""What is remembered of streams that two links carry, and which of their frames are copies; used from Cython only."""

from typing import Self, final

@final
class Arbiter:
    def __new__(cls, seed: int) -> Self: ...
    @property
    def nbytes(self) -> int: ...
    def __len__(self) -> int: ...
