"""What tables can say beyond those of one venue: wrappers, arrays as levels, split names, text ids, capitals."""

from __future__ import annotations

from typing import Any

from subcore._intern import Interner
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore.fields import Discriminator, Field, Nested, Rows, Table
from subcore.fields import Schema as Declared


def states(scanner: Scanner, frame: bytes) -> list[str]:
    return [state for state, _ in scanner.scan(frame)]


def only(scanner: Scanner, frame: bytes) -> Any:
    ((state, event),) = scanner.scan(frame)
    assert state == "ok", f"{state} at {scanner.error_position}"
    return event


def two_sided() -> Declared:
    """Levels as arrays, a key for each side, a text id, an enum of a truth, a symbol to be written in capitals."""
    bids, asks = (
        tuple(Field(name, f"{side}_{name}", required=True, quoted=True) for name in ("price", "size"))
        for side in ("bid", "ask")
    )
    book = (
        Nested(
            "data",
            (
                Field("s", "symbol", upper=True),
                Rows("b", bids, positional=True),
                Rows("more", bids, positional=True),
                Rows("a", asks, positional=True, required=True),
            ),
        ),
    )
    fill = (Field("id", "id", required=True), Field("m", "is_buyer_maker", words={"N": 1, "Y": 2}))
    return Declared(
        channels=("book", "fill"),
        discriminators=(
            Discriminator(
                "stream",
                (Table("orderbook", {"book": "book"}, book), Table("trade", {"fill": "fill"}, fill)),
                split="@",
                symbol_upper=True,
            ),
        ),
        max_rows=3,
    )


def test_levels_as_arrays_with_a_key_for_each_side() -> None:
    scanner = Scanner(Schema(two_sided()))
    frame = b'{"stream":"x@book","data":{"s":"abc-\\u0064","b":[["1","2"],[3,4,"more",[]]],"a":[]}}'
    event = only(scanner, frame)
    assert (event.symbol, event.bids, event.asks) == ("ABC-D", ((1, 2), (3, 4)), ())
    for row, state in (
        (b"[1]", "missing_field"),
        (b"[1,2", "bad_json"),
        (b"[1,2,]", "bad_json"),
        (b"[,1]", "bad_json"),
        (b"[]", "missing_field"),
        (b"{}", "wrong_type"),
        (b'[1,"2x"]', "number_syntax"),
        (b"[1,null]", "wrong_type"),
    ):
        assert states(scanner, b'{"stream":"x@book","data":{"a":[' + row + b"]}}") == [state], row


def test_two_arrays_that_fill_one_side_share_its_bound() -> None:
    scanner = Scanner(Schema(two_sided()))
    row = b"[1,2]"
    for first, second, state in (
        (1, 2, "ok"),
        (3, 0, "ok"),
        (2, 2, "overflow"),
        (3, 1, "overflow"),
        (4, 0, "overflow"),
    ):
        lists = [b"[" + b",".join([row] * count) + b"]" for count in (first, second)]
        frame = b'{"stream":"x@book","data":{"b":%b,"more":%b,"a":[]}}' % tuple(lists)
        assert states(scanner, frame) == [state], (first, second)


def test_symbols_taken_from_the_name_of_the_stream() -> None:
    interner = Interner()
    interner.intern("FTMUSDT")
    scanner = Scanner(Schema(two_sided()), interner)
    event = only(scanner, b'{"stream":"ftmusdt@fill","id":"a-1","m":"Y"}')
    assert (event.symbol, event.id, event.is_buyer_maker) == ("FTMUSDT", "a-1", True)
    event = only(scanner, b'{"id":7,"m":"?","stream":"\\u0066tm\\/@fill"}')
    assert (event.symbol, event.id, event.is_buyer_maker) == ("FTM/", 7, None)
    assert states(scanner, b'{"stream":"ftmusdt"}') == ["control"]  # names no market: no data
    assert states(scanner, b'{"stream":"ftmusdt@nope"}') == ["unknown_channel"]


def test_a_great_text_with_escapes_stays_within_the_scratch() -> None:
    scanner = Scanner(Schema(two_sided()))
    for size in (100, 4000, 8100, 8190, 9000, 100_000):
        frame = b'{"id":1,"stream":"' + b"a" * size + b'\\n@fill"}'
        ((state, event),) = scanner.scan(frame)
        assert state == "overflow" or (event is not None and event.symbol == "A" * size + "\n")
        assert size > 4000 or state == "ok"


def test_the_key_that_names_the_table_may_fill_a_member_too() -> None:
    fills = Table(
        "trade", {"RISE": "t", "FALL": "t"}, (Field("k", "change", required=True), Field("p", "price"))
    )
    scanner = Scanner(Schema(Declared(("t",), (Discriminator("k", (fills,)),))))
    for frame in (b'{"k":"RISE","p":1}', b'{"p":1,"k":"RISE"}'):
        event = only(scanner, frame)
        assert (event.change, event.price) == ("RISE", 1)


def test_the_key_that_names_the_table_need_not_be_among_its_fields() -> None:
    scanner = Scanner(
        Schema(Declared(("t",), (Discriminator("k", (Table("trade", {"t": "t"}, (Field("p", "price"),)),)),)))
    )
    for frame in (b'{"k":"t","p":1}', b'{"p":1,"k":"t"}', b'{"k":"t","x":[],"p":1}'):
        assert only(scanner, frame).price == 1
    assert only(scanner, b'{"k":"t"}').price is None
    assert states(scanner, b'{"k":"t",}') == ["bad_json"]
    assert states(scanner, b'{"k":"t"') == ["bad_json"]
    assert states(scanner, b'{"k":"t" "p":1}') == ["bad_json"]


def test_a_number_of_no_use_goes_nowhere() -> None:
    """Its field has no place in the record or in a row: not the first one either."""
    fields = (Field("p", "price", required=True), Field("n"), Field("c", "symbol"))
    book = (
        Rows(
            "b", (Field("bp", "bid_price", required=True), Field("bs", "bid_size", required=True), Field("n"))
        ),
        Field("c", "symbol"),
    )
    tables = (Table("trade", {"t": "t"}, fields), Table("orderbook", {"o": "o"}, book))
    for portable in (False, True):
        scanner = Scanner(
            Schema(Declared(channels=("t", "o"), discriminators=(Discriminator("type", tables),))),
            portable=portable,
        )
        event = only(scanner, b'{"type":"t","c":"A","p":1.5,"n":12345}')
        assert (event.receive_time_ns, event.price, event.symbol) == (0, 1.5, "A")
        event = only(
            scanner, b'{"type":"o","c":"A","b":[{"bp":1.5,"n":12345,"bs":1},{"n":7,"bp":2.5,"bs":2}]}'
        )
        assert (event.receive_time_ns, event.bids) == (0, ((1.5, 1), (2.5, 2)))
