"""A venue's field tables, compiled for the scanner."""

from collections.abc import Sequence

from subcore import fields

class Schema:
    channels: tuple[str, ...]
    formats: tuple[str, ...]
    declared: fields.Schema
    max_rows: int
    nbytes: int
    discriminator_count: int
    def __init__(self, declared: fields.Schema, channels: Sequence[str] | None = None) -> None: ...
