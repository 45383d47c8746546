"""Events: what is put in comes out, and nothing can be changed."""

from __future__ import annotations

import copy
import gc
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiled import compiled
from examples import examples
from subcore._events import Asset, Candle, Event, Order, Orderbook, Ticker, Trade
from subcore.parts import Balance, Level
from subcore.types import Side

CLASSES: list[type[Event]] = [Ticker, Trade, Orderbook, Candle, Order, Asset]
HEAD = {"venue": "venue", "channel": "channel", "symbol": "KRW-BTC"}
ROOM = {
    "order_id": 39,
    "client_order_id": 71,
    "trade_id": 39,
    "asset_id": 39,
    "self_trade_prevention": 39,
    "id": 39,
}


def types_of(cls: type[Event]) -> dict[str, str]:
    """Field -> how its documentation spells its type; the fields that come from the struct."""
    common = set(vars(Event))
    docs = {name: vars(cls)[name].__doc__ for name in vars(cls) if name not in common}
    return {
        name: doc.split(": ")[0]
        for name, doc in docs.items()
        if doc and doc.split(": ")[0].endswith(" | None")
    }


def text(room: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(codec="utf-8"), min_size=1, max_size=room // 4) | st.text(
        st.characters(codec="ascii"), min_size=1, max_size=room
    )


EXAMPLES = examples(60)

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(2**63) + 1, 2**63 - 1)


def values_of(name: str, type_text: str) -> st.SearchStrategy[Any]:
    if name == "grouping":
        return st.none() | NUMBERS.filter(bool)
    return {
        "float | None": st.none() | NUMBERS,
        "int | None": st.none() | INTEGERS,
        "str | None": st.none() | text(ROOM.get(name, 15)),
        "bool | None": st.none() | st.booleans(),
        "Side | None": st.none() | st.sampled_from(Side),
        "int | str | None": st.none() | INTEGERS | text(39),
    }[type_text]


LEVELS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=40)
BALANCES = st.lists(st.tuples(text(15), st.none() | NUMBERS, st.none() | NUMBERS), max_size=5)


@st.composite
def events(draw: st.DrawFn, classes: list[type[Event]] = CLASSES) -> tuple[type[Event], dict[str, Any]]:
    cls = draw(st.sampled_from(classes))
    fields = {n: t for n, t in types_of(cls).items() if not n.startswith("best_") or t == "float | None"}
    values = {name: draw(values_of(name, type_text)) for name, type_text in fields.items()}
    if cls is Orderbook:
        values |= {"bids": draw(LEVELS), "asks": draw(LEVELS)}
    if cls is Asset:
        values["balances"] = draw(BALANCES)
    values |= {
        "venue": draw(st.text(max_size=9)),
        "channel": draw(st.text(max_size=9)),
        "symbol": draw(st.none() | st.text(max_size=9)),
        "exchange_time_ns": draw(st.none() | INTEGERS),
        "receive_time_ns": draw(INTEGERS),
        "is_snapshot": draw(st.booleans()),
        "is_realtime": draw(st.booleans()),
        "is_image": draw(st.booleans()),
        "raw": draw(st.none() | st.binary(max_size=9)),
    }
    return cls, values


@EXAMPLES
@given(events())
def test_every_value_comes_back(made: tuple[type[Event], dict[str, Any]]) -> None:
    cls, values = made
    event = cls(**values)
    for name, value in values.items():
        assert getattr(event, name) == (tuple(value) if isinstance(value, list) else value), name
    assert event == cls(**values)
    assert hash(event) == hash(cls(**values))


@EXAMPLES
@given(events())
def test_copies_are_equal(made: tuple[type[Event], dict[str, Any]]) -> None:
    cls, values = made
    event = cls(**values)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(event, protocol))
        assert type(again) is cls
        assert again == event
        assert hash(again) == hash(event)
        assert again.raw == event.raw
    assert copy.copy(event) is event
    assert copy.deepcopy(event) is event


@EXAMPLES
@given(events())
def test_to_dict_is_json_and_makes_the_event_again(made: tuple[type[Event], dict[str, Any]]) -> None:
    cls, values = made
    event = cls(**values)
    plain = event.to_dict()
    assert cls(**json.loads(json.dumps(plain, allow_nan=False))) == event
    assert None not in plain.values()
    present = {name for name, value in values.items() if value is not None} - {"raw"}
    assert set(plain) == present


@EXAMPLES
@given(events())
def test_repr_never_fails(made: tuple[type[Event], dict[str, Any]]) -> None:
    cls, values = made
    assert repr(cls(**values)).startswith(f"{cls.__name__}(")


@EXAMPLES
@given(events(), st.data())
def test_one_other_value_makes_another_event(
    made: tuple[type[Event], dict[str, Any]], data: st.DataObject
) -> None:
    cls, values = made
    fields = types_of(cls)
    changed = data.draw(
        st.sampled_from(sorted({*fields, *HEAD, "exchange_time_ns", "is_image"} & set(values)))
    )
    other = dict(values)
    if changed in fields:
        other[changed] = data.draw(values_of(changed, fields[changed]))
    elif changed == "exchange_time_ns":
        other[changed] = data.draw(st.none() | INTEGERS)
    else:
        other[changed] = not values[changed] if changed == "is_image" else f"{values[changed]}!"
    assert (cls(**values) == cls(**other)) == (values[changed] == other[changed])


def test_zero_has_one_hash_and_no_sign() -> None:
    plus, minus = Ticker(**HEAD, price=0.0), Ticker(**HEAD, price=-0.0)
    assert plus == minus
    assert hash(plus) == hash(minus)
    assert Ticker(**HEAD) != plus


def test_classes_differ() -> None:
    assert Ticker(**HEAD, price=1) != Trade(**HEAD, price=1)
    assert Ticker(**HEAD) != "Ticker"
    assert len({Ticker(**HEAD, price=1), Trade(**HEAD, price=1), Ticker(**HEAD, price=1.0)}) == 2


@pytest.mark.parametrize("cls", CLASSES)
def test_nothing_can_be_set(cls: type[Event]) -> None:
    event = cls(**HEAD)
    for name in [*types_of(cls), "venue", "symbol", "raw", "receive_time_ns", "is_image", "new"]:
        with pytest.raises(AttributeError):
            setattr(event, name, None)
        with pytest.raises(AttributeError):
            delattr(event, name)
    with pytest.raises(AttributeError, match="immutable"):
        event.__init__(**HEAD)  # type: ignore[misc]
    with pytest.raises(TypeError):
        type("Sub", (cls,), {})


@pytest.mark.parametrize(
    ("cls", "values", "error"),
    [
        (Ticker, {"prize": 1}, "Ticker has no prize"),
        (Ticker, {"price": "1"}, None),
        (Ticker, {"price": "x"}, "price "),
        (Ticker, {"price": math.nan}, "price must be a finite number"),
        (Ticker, {"price": math.inf}, "price must be a finite number"),
        (Ticker, {"side": "up"}, "side must be a Side"),
        (Ticker, {"side": 3}, "side 3 is not a valid Side"),
        (Ticker, {"change": "sixteen bytes ok"}, "change must have 1 to 15 bytes"),
        (Ticker, {"change": ""}, "change must have 1 to 15 bytes"),
        (Ticker, {"change": 1}, "change must be a str"),
        (Ticker, {"is_trading_suspended": 1}, "is_trading_suspended must be a bool"),
        (Ticker, {"trade_time_ns": 2**63}, "trade_time_ns must fit 64 bits"),
        (Ticker, {"trade_time_ns": -(2**63)}, "trade_time_ns must fit 64 bits"),
        (Ticker, {"trade_time_ns": 1.5}, "trade_time_ns "),
        (Ticker, {"receive_time_ns": 2**63}, "receive_time_ns must fit"),
        (Ticker, {"exchange_time_ns": -(2**63)}, "exchange_time_ns must fit"),
        (Ticker, {"venue": None}, "venue and channel must be str"),
        (Ticker, {"venue": 1}, "str"),
        (Ticker, {"raw": "text"}, "bytes"),
        (Trade, {"id": 2**63}, "id must fit 64 bits"),
        (Trade, {"id": 40 * "x"}, "id must have 1 to 39 bytes"),
        (Trade, {"id": 1.5}, "id "),
        (Orderbook, {"bids": [(1,)]}, "bids must be tuples of 2"),
        (Orderbook, {"asks": [(1, 2), (1, None)]}, "a level has a price and a size"),
        (Orderbook, {"asks": [(None, 1)]}, "asks must be tuples of 2"),
        (Orderbook, {"asks": [(1, math.nan)]}, "must be a finite number"),
        (Orderbook, {"asks": 1}, "iterable"),
        (Asset, {"balances": [("KRW", 1)]}, "balances must be tuples of 3"),
        (Asset, {"balances": [(None, 1, 1)]}, "balances must be tuples of 3"),
        (Event, {}, "Event is the base of"),
    ],
)
def test_constructor_says_what_is_wrong(cls: type[Event], values: dict[str, Any], error: str | None) -> None:
    if error is None:
        assert cls(**{**HEAD, **values}).to_dict()["price"] == 1.0
        return
    with pytest.raises((TypeError, ValueError), match=error):
        cls(**{**HEAD, **values})


def test_sides_read_from_names() -> None:
    assert Trade(**HEAD, side="buy").side is Side.BUY
    assert Trade(**HEAD, side="SELL").side is Side.SELL
    assert Trade(**HEAD, side=1).side is Side.BUY


def test_reads_well() -> None:
    ticker = Ticker(
        venue="upbit",
        channel="ticker",
        symbol="KRW-BTC",
        price=106691000.0,
        size=0.00009372,
        side=Side.SELL,
        exchange_time_ns=1788335180423000000,
    )
    assert (
        repr(ticker) == "Ticker(KRW-BTC price=106691000.0 size=0.00009372 side=SELL 2026-09-02T07:46:20.423Z)"
    )
    book = Orderbook(venue="v", channel="orderbook", symbol="A", bids=[(1, 2), (0.5, 1)], asks=[(2, 1e-7)])
    assert repr(book) == "Orderbook(A best_bid=1.0x2.0 best_ask=2.0x0.0000001 levels=2+1)"
    candle = Candle(venue="v", channel="candle.1m", symbol="A", close=1, is_snapshot=True, exchange_time_ns=1)
    assert repr(candle) == "Candle(A candle.1m close=1.0 snapshot 1970-01-01T00:00:00.000000001Z)"


def test_book_sides() -> None:
    book = Orderbook(**HEAD, bids=[(2, 1), (1, 3)], asks=[(3, 4)])
    assert book.bids == (Level(2.0, 1.0), Level(1.0, 3.0))
    assert book.bids[0].price == 2.0
    assert book.bids is book.bids
    assert book.best_bid == Level(2.0, 1.0)
    assert book.best_ask == Level(3.0, 4.0)
    assert Orderbook(**HEAD).best_bid is None
    assert Orderbook(**HEAD).bids == ()
    assert Orderbook(**HEAD).ask_array.shape == (0, 2)


def test_book_arrays_are_views_that_keep_the_event() -> None:
    book = Orderbook(**HEAD, bids=[(2, 1), (1, 3)])
    bids = book.bid_array
    assert bids.base is book
    assert bids.ctypes.data == book.bid_array.ctypes.data
    assert bids.dtype == np.float64
    del book
    gc.collect()
    churn = [Orderbook(**HEAD, bids=[(9, 9), (9, 9)]) for _ in range(200)]
    assert bids.tolist() == [[2.0, 1.0], [1.0, 3.0]]
    del churn
    for array in (bids, Orderbook(**HEAD).bid_array):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


def test_balances() -> None:
    asset = Asset(venue="v", channel="myAsset", balances=[("KRW", 1.5, None)])
    assert asset.symbol is None
    assert asset.balances == (Balance("KRW", 1.5, None),)


def test_bare_objects_are_harmless() -> None:
    for cls in [Event, *CLASSES]:
        bare = cls.__new__(cls)
        assert repr(bare)
        assert bare == cls.__new__(cls)
        assert isinstance(hash(bare), int)
        assert bare.to_dict()["venue"] is None
    failed = Orderbook.__new__(Orderbook)
    with pytest.raises(ValueError, match="a level has"):
        failed.__init__(**HEAD, bids=[(1, 2), (1, None)])  # type: ignore[misc]
    assert repr(failed)
    assert failed.bids[0] == Level(1.0, 2.0)


# The C face.


@EXAMPLES
@given(events())
def test_made_from_a_record(made: tuple[type[Event], dict[str, Any]]) -> None:
    cls, values = made
    event = cls(**values)
    again = compiled("event_loops").again(event, raw=event.raw)
    assert type(again) is cls
    assert again == event
    assert again is not event
    assert again.raw is event.raw
    assert again.symbol is event.symbol


@EXAMPLES
@given(LEVELS, LEVELS, st.integers(0, 45))
def test_cut(bids: list[tuple[float, float]], asks: list[tuple[float, float]], cut: int) -> None:
    book = Orderbook(**HEAD, bids=bids, asks=asks, total_bid_size=7)
    shorter = compiled("event_loops").again(book, cut=cut)
    assert shorter.bids == tuple(bids[: cut or None])
    assert shorter.asks == tuple(asks[: cut or None])
    assert shorter.total_bid_size == 7
    assert shorter.bid_array.tolist() == [list(level) for level in bids[: cut or None]]


def test_image_differs_from_what_it_was_made_of() -> None:
    ticker = Ticker(**HEAD, price=1)
    image = compiled("event_loops").again(ticker, image=True)
    assert image.is_image
    assert not ticker.is_image
    assert image != ticker


def test_hostile_records() -> None:
    with pytest.raises(ValueError, match="no event class"):
        compiled("event_loops").of_no_kind()
    ticker = compiled("event_loops").overlong_text()
    assert ticker.change == 15 * "x"
    assert ticker.side is None
    assert ticker.is_trading_suspended is False
    assert ticker == compiled("event_loops").overlong_text()
    assert isinstance(hash(ticker), int)


def test_an_event_that_could_not_be_made_is_not_made_by_a_second_try() -> None:
    """Its levels would be freed under whoever looks at them."""
    book = Orderbook.__new__(Orderbook)
    with pytest.raises(TypeError, match="nonsense"):
        book.__init__(venue="v", channel="c", bids=[(1.0, 2.0)] * 1000, nonsense=1)  # type: ignore[misc]
    levels = book.bid_array
    with pytest.raises(AttributeError, match="immutable"):
        book.__init__(venue="v", channel="c", bids=[(3.0, 4.0)])  # type: ignore[misc]
    assert levels.tolist() == [[1.0, 2.0]] * 1000

    class Price(float):
        def __float__(self) -> float:
            half.__init__(venue="v", channel="c", bids=[(3.0, 4.0)])  # type: ignore[misc]
            return 7.0

    half = Orderbook.__new__(Orderbook)
    with pytest.raises(AttributeError, match="immutable"):
        half.__init__(venue="v", channel="c", bids=[(1.0, 2.0), (Price(), 1.0)])  # type: ignore[misc]
    assert len(half.bids) == 2
