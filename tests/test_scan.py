"""The scanner on frames of every kind, against json."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from subcore._scan import Scanner
from subcore._schema import Schema
from subcore.venues import upbit_fields


@pytest.fixture
def scanner() -> Scanner:
    return Scanner(Schema(upbit_fields.schema()))


TRADE = (
    b'{"type":"trade","code":"KRW-BTC","timestamp":1788000000123,"trade_price":100500000.00000000,'
    b'"trade_volume":0.00012340,"ask_bid":"BID","sequential_id":17880000000770001,"stream_type":"REALTIME"}'
)


def states(scanner: Scanner, frame: bytes) -> list[str]:
    return [state for state, _ in scanner.scan(frame)]


def test_a_trade(scanner: Scanner) -> None:
    ((state, trade),) = scanner.scan(TRADE)
    assert state == "ok"
    assert trade is not None
    assert (trade.channel, trade.symbol, trade.exchange_time_ns) == (
        "trade",
        "KRW-BTC",
        1788000000123_000_000,
    )
    assert (trade.price, trade.size, trade.id) == (100500000.0, 0.0001234, 17880000000770001)


def test_lists_hold_several(scanner: Scanner) -> None:
    assert states(scanner, b"[" + TRADE + b" ,\n" + TRADE + b"]") == ["ok", "ok"]
    assert states(scanner, b"[]") == []
    assert states(scanner, b'[{"status":"UP"}]') == ["control"]
    assert states(scanner, b"[" + TRADE + b",]") == ["ok", "bad_json"]
    assert states(scanner, b"[" + TRADE + b",5]") == ["ok", "wrong_type"]
    assert states(scanner, b"[" + TRADE) == ["bad_json"]


@pytest.mark.parametrize(
    ("frame", "state"),
    [
        (b"", "bad_json"),
        (TRADE + b"x", "trailing_bytes"),
        (TRADE[:-1], "bad_json"),
        (TRADE.replace(b"100500000.0", b"01.0"), "number_syntax"),
        (TRADE.replace(b"100500000.0", b"NaN"), "number_syntax"),
        (TRADE.replace(b'"BID"', b"5"), "wrong_type"),
        (TRADE.replace(b"17880000000770001", b"99999999999999999999"), "int_range"),
        (TRADE.replace(b'"code":"KRW-BTC",', b""), "missing_field"),
        (TRADE.replace(b'"code":', b'"code":"A","code":'), "duplicate_key"),
        (TRADE.replace(b'"code":', b'"x":' + b"[" * 40 + b"]" * 40 + b',"code":'), "depth"),
        (TRADE.replace(b"KRW-BTC", b"KRW-\xff"), "bad_utf8"),
        (TRADE.replace(b'"type":"trade"', b'"type":"nope"'), "unknown_channel"),
    ],
)
def test_refusals_are_named(scanner: Scanner, frame: bytes, state: str) -> None:
    assert states(scanner, frame) == [state]
    assert scanner.counters()[state] == 1


def test_recorded_frames_all_decode(scanner: Scanner, recordings: Path) -> None:
    with gzip.open(recordings / "upbit" / "rec_2021-04-05_simple_trade_orderbook.jsonl.gz") as file:
        for line in file:
            expected = json.loads(line)
            ((state, event),) = scanner.scan(line.rstrip())
            assert state == "ok"
            assert event is not None
            assert event.symbol == expected["cd"]
            if expected["ty"] == "trade":
                assert (event.price, event.size, event.id) == (
                    expected["tp"],
                    expected["tv"],
                    expected["sid"],
                )
            else:
                assert [list(level) for level in event.asks] == [[u["ap"], u["as"]] for u in expected["obu"]]
