"""A venue's field tables, compiled for the scanner."""

from collections.abc import Sequence
from typing import Self, final

from subcore import fields

@final
class Schema:
    def __new__(
        cls,
        declared: fields.Schema,
        channels: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
    ) -> Self: ...
    @property
    def channels(self) -> tuple[str, ...]: ...
    @property
    def formats(self) -> tuple[str, ...]: ...
    @property
    def declared(self) -> fields.Schema: ...
    @property
    def max_rows(self) -> int: ...
    @property
    def discriminator_count(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
