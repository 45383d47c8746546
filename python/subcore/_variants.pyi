"""What tells streams of one channel and symbol apart by a number."""

from typing import Self, final

@final
class Variants:
    def __new__(cls, count: int) -> Self: ...
