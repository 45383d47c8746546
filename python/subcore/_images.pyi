"""Images: the last event of each stream, so that who joins it later knows at once how things stand."""

from typing_extensions import disjoint_base

@disjoint_base
class ImageTable:
    @property
    def count(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
