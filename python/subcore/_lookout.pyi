"""Looking ahead while a frame is scanned."""

from typing import Self

from typing_extensions import disjoint_base

from subcore._intern import Interner

@disjoint_base
class Lookout:
    def __new__(cls, interner: Interner, *args: object) -> Self: ...
    @property
    def interner(self) -> Interner: ...
