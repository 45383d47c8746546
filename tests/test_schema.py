"""Declarations of field tables: what is taken, what is refused and how it is named, bytes and pickling."""

from __future__ import annotations

import gc
import pickle
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from subcore import fields
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore.errors import UsageError
from subcore.fields import Discriminator, Field, Fields, Nested, Rows, Table
from subcore.sim.encode import KEYS
from subcore.venue import Venue
from subcore.venues import binance_fields, upbit_fields
from subcore.venues.upbit import make_venue
from traced import traced_bytes

DECLARED = upbit_fields.schema()
LEVEL = (Field("p", "bid_price", required=True), Field("q", "bid_size", required=True))


def declared(
    *given: Fields, kind: str = "trade", key: str = "k", matches: dict[str, str] | None = None, **more: Any
) -> fields.Schema:
    table = Table(kind, matches or {"t": "t"}, given or (Field("p", "price"),))
    return fields.Schema(
        channels=more.pop("channels", ("t",)),
        discriminators=(Discriminator(key, (table,), **more.pop("discriminator", {})),),
        **more,
    )


def test_a_schema_tells_what_it_was_made_of() -> None:
    schema = Schema(DECLARED)
    assert schema.declared is DECLARED
    assert schema.channels == DECLARED.channels
    assert schema.formats == ("DEFAULT", "SIMPLE")
    assert (schema.discriminator_count, schema.max_rows) == (2, DECLARED.max_rows)


def test_channels_are_numbered_in_the_order_given() -> None:
    schema = Schema(declared(channels=("t",)), channels=("other", "t"))
    ((_, event),) = Scanner(schema).scan(b'{"k":"t","p":1}')
    assert event is not None
    assert event.channel == "t"


def test_upbit_channels_are_those_of_the_venue() -> None:
    venue: Venue = make_venue()
    assert venue.load_fields() == DECLARED
    assert tuple(channel.name for channel in venue.channels) == DECLARED.channels


@pytest.mark.parametrize("kind", ["ticker", "trade", "orderbook", "candle.1m"])
@pytest.mark.parametrize("format", ["DEFAULT", "SIMPLE"])
def test_upbit_tables_know_every_documented_key(kind: str, format: str) -> None:
    """Against the names that the exchange has typed for itself."""
    discriminator = next(one for one in DECLARED.discriminators if one.format == format)
    table = next(table for table in discriminator.tables if kind in table.matches)
    documented = KEYS[kind.partition(".")[0]]
    assert set(keys_of(table.fields)) == set(documented if format == "DEFAULT" else documented.values())


@pytest.mark.parametrize("kind", ["ticker", "trade", "orderbook", "candle.1m", "myOrder", "myAsset"])
def test_both_formats_say_the_same_in_other_keys(kind: str) -> None:
    tables = [next(table for table in one.tables if kind in table.matches) for one in DECLARED.discriminators]
    said = [[rename(field) for field in table.fields] for table in tables]
    assert said[0] == said[1]


def keys_of(given: tuple[Fields, ...]) -> Iterator[str]:
    for field in given:
        yield field.key
        if not isinstance(field, Field):
            yield from keys_of(tuple(field.fields))


def rename(field: Fields) -> str:
    """A field without its keys."""
    if isinstance(field, Field):
        return repr(field).replace(f"key={field.key!r}", "")
    return f"{type(field).__name__}{[rename(one) for one in field.fields]}"


MISTAKES = [
    (declared(kind="tick"), "no event kind is called 'tick'"),
    (declared(Field("p", "prize")), "a trade has no member 'prize'"),
    (declared(Field("p", "balances")), "a trade has no member 'balances'"),
    (declared(Field("p", "price"), Field("p", "size")), "each once"),
    (declared(Field("p", "side")), "needs words="),
    (declared(Field("p", "side", words={"x": 256})), "must be 0 to 255"),
    (declared(Field("p", "side", words={"x": -1})), "must be 0 to 255"),
    (declared(Field("p", "id", unit=0)), "unit must be at least 1"),
    (declared(Field("", "price")), "a key has 1 to 29 bytes"),
    (declared(Field("x" * 30, "price")), "a key has 1 to 29 bytes"),
    (declared(Field('a"b', "price")), "no quotes"),
    (declared(Field("a\\b", "price")), "no backslashes"),
    (declared(*(Field(f"f{i}") for i in range(65))), "1 to 64 keys"),
    (declared(Rows("r", LEVEL)), "a trade has no rows"),
    (declared(Nested("n", ())), "1 to 64 keys"),
    (declared(Rows("r", (Field("p", "price"),)), kind="orderbook"), "no member 'price'"),
    (declared(Rows("r", (Field("p", "bid_price"),)), kind="orderbook"), "not bid_price"),
    (declared(Rows("r", (LEVEL[0], LEVEL[0])), kind="orderbook"), "each once"),
    (
        declared(Rows("r", (*LEVEL, Field("r", "ask_price"))), kind="orderbook"),
        "not ask_price, bid_price, bid_size",
    ),
    (declared(Rows("r", (LEVEL[0], Field("q", "bid_size"))), kind="orderbook"), "must be required"),
    (
        declared(
            Rows("r", (Field("p", "bid_price", required=True, nullable=True), LEVEL[1])), kind="orderbook"
        ),
        "nullable",
    ),
    (declared(Rows("r", (Nested("n", LEVEL),)), kind="orderbook"), "rows hold plain fields"),
    (declared(key=""), "a key has 1 to 29 bytes"),
    (declared(matches={"t": "elsewhere"}), "'elsewhere', which is not among t"),
    (declared(discriminator={"split": "@@"}), "one ASCII character"),
    (declared(discriminator={"split": "é"}), "one ASCII character"),
    (declared(channels=()), "channels"),
    (declared(channels=("t", "t")), "channels"),
    (declared(max_rows=0), "max_rows must be 1 to 65536"),
    (declared(max_rows=65537), "max_rows must be 1 to 65536"),
    (fields.Schema(("t",), ()), "1 to 16 discriminators"),
    (fields.Schema(("t",), (Discriminator("k", ()),)), "1 to 4096 texts"),
    (fields.Schema(("t",), declared().discriminators * 2), "each once"),
]


@pytest.mark.parametrize(("mistake", "said"), MISTAKES, ids=[said for _, said in MISTAKES])
def test_mistakes_are_named(mistake: fields.Schema, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Schema(mistake)


def test_only_a_declaration_is_compiled() -> None:
    with pytest.raises(TypeError, match=r"subcore\.fields\.Schema, not dict"):
        Schema({})  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Scanner(None)  # type: ignore[arg-type]


def test_declarations_and_schemas_travel() -> None:
    for one in (DECLARED, binance_fields.schema()):
        assert pickle.loads(pickle.dumps(one)) == one
        made = pickle.loads(pickle.dumps(Schema(one, channels=(*one.channels, "more"))))
        assert made.declared == one
        assert made.channels == (*one.channels, "more")
        named = pickle.loads(pickle.dumps(Schema(one, names=["same"] * len(one.channels))))
        assert set(named.channels) == {"same"}


def test_events_may_call_channels_by_another_name() -> None:
    frame = b'{"stream":"btcusdt@depth5","data":{"lastUpdateId":1,"bids":[],"asks":[]}}'
    given = binance_fields.schema()
    ((_, plain),) = Scanner(Schema(given)).scan(frame)
    ((_, named),) = Scanner(Schema(given, names=["book"] * len(given.channels))).scan(frame)
    assert plain is not None
    assert named is not None
    assert (plain.channel, named.channel) == ("depth5", "book")
    with pytest.raises(UsageError, match="a name for each channel"):
        Schema(given, names=["book"])


def test_bytes_are_reported_and_given_back() -> None:
    Schema(DECLARED)
    tracemalloc.start()
    try:
        before = traced_bytes()
        schema = Schema(DECLARED)
        held = traced_bytes() - before
        # The lists of blocks and the small tuples beside them are not counted.
        assert 0.7 * held < schema.nbytes <= held + 1024
        del schema
        for _ in range(50):
            Schema(DECLARED)
        assert traced_bytes() - before < 256
    finally:
        tracemalloc.stop()


def test_a_failed_declaration_leaves_nothing() -> None:
    wrong = declared(Field("p", "price"), Nested("n", (Field("x", "nothing"),)))
    tracemalloc.start()
    try:
        for _ in range(5):
            with pytest.raises(UsageError):
                Schema(wrong)
        before = traced_bytes()
        for _ in range(50):
            with pytest.raises(UsageError):
                Schema(wrong)
        assert traced_bytes() - before < 256
    finally:
        tracemalloc.stop()


def test_collecting_a_cycle_through_scanner_and_schema_is_safe() -> None:
    class Holder:
        pass

    for _ in range(3):
        holder = Holder()
        schema = Schema(upbit_fields.schema())
        holder.scanner = Scanner(schema)  # type: ignore[attr-defined]
        holder.schema = schema  # type: ignore[attr-defined]
        holder.me = holder  # type: ignore[attr-defined]
        del holder, schema
        assert gc.collect() > 0
