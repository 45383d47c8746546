"""The scanner: a frame's bytes in, events' values out, a named state for everything else."""

from collections.abc import Mapping
from typing import Self, final

from subcore._events import Event
from subcore._intern import Interner
from subcore._schema import Schema

STATES: tuple[str, ...]

@final
class Scanner:
    def __new__(
        cls,
        schema: Schema,
        interner: Interner | None = None,
        *,
        max_bytes: int = 16_777_216,
        portable: bool = False,
    ) -> Self: ...
    @property
    def schema(self) -> Schema: ...
    @property
    def interner(self) -> Interner | None: ...
    @property
    def format(self) -> int: ...
    @property
    def error_position(self) -> int: ...
    @property
    def max_bytes(self) -> int: ...
    @property
    def portable(self) -> bool: ...
    @property
    def variant(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def scan(self, frame: bytes | bytearray | memoryview) -> list[tuple[str, Event | None]]: ...
    def set_variants(self, channel: int | str, values: Mapping[float, int]) -> None: ...
    def counters(self) -> dict[str, int]: ...
