"""How a venue declares what its frames hold: plain values, compiled by the core into what the scanner runs on.

A frame is a JSON object (or an array of such). One of its top-level keys, a discriminator, holds a text that names the
table by which the object is read. Members are those of the event structs (see docs/fields.md), and these:
`symbol`, `variant` (a number that tells streams of one channel and symbol apart), `flags` (snapshot or live).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Discriminator", "Field", "Fields", "Nested", "Rows", "Schema", "Table"]

MILLISECONDS = 1_000_000
MICROSECONDS = 1_000


@dataclass(frozen=True, slots=True)
class Field:
    """One key and the member it fills. `member` "" = known and of no use.

    `required`: a frame without it is refused. `nullable`: null means absent. `quoted`, `bare`: a number may stand in
    quotes, or plainly. `unit`: what an integer is multiplied by (times: to nanoseconds). `words`: texts and the code
    each stands for; others are absent (`true` and `false` may stand there without quotes). `upper`: the text is written
    in upper case. `time_text`: the time is written as yyyy-mm-ddThh:mm:ss, UTC.
    """

    key: str
    member: str = ""
    required: bool = False
    nullable: bool = False
    quoted: bool = False
    bare: bool = True
    unit: int = 1
    words: Mapping[str, int] = field(default_factory=dict)
    upper: bool = False
    time_text: bool = False


@dataclass(frozen=True, slots=True)
class Nested:
    """A key that holds an object with fields of the same event."""

    key: str
    fields: tuple[Fields, ...]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """A key that holds an array of rows: levels of a book, balances of an account.

    Each row is an object, or with `positional` an array whose places are `fields` in order. A member is `price` or
    `size` with the side before it (`bid_price`), or a member of Balance. `drop_zero_price`: a level of price 0 is
    padding, and no level.
    """

    key: str
    fields: tuple[Field, ...]
    required: bool = False
    positional: bool = False
    drop_zero_price: bool = False


Fields = Field | Nested | Rows


@dataclass(frozen=True, slots=True)
class Table:
    """How the objects of some channels are read. `matches`: the discriminator's text for each channel it serves."""

    kind: str  # ticker, trade, orderbook, candle, order, asset
    matches: Mapping[str, str]  # text -> the channel, in the venue's word (`Channel.wire_name`)
    fields: tuple[Fields, ...]


@dataclass(frozen=True, slots=True)
class Discriminator:
    """A top-level key whose text names the table.

    `split`: the text is symbol and table's name with this character between, and one without it is no data;
    `symbol_upper`: that symbol is meant in upper case. `format`: what the venue calls frames that use this key, so that
    a format nobody asked for is counted.
    """

    key: str
    tables: tuple[Table, ...]
    format: str = ""
    split: str = ""
    symbol_upper: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """Everything the scanner needs of a venue. `channels`: the venue's words for them. `max_rows`: of one array."""

    channels: tuple[str, ...]
    discriminators: tuple[Discriminator, ...]
    max_rows: int = 1024
