"""The scanner on made frames: every state by name, texts, lists, symbols, variants, key order, memory."""

from __future__ import annotations

import json
import random
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from frame_mutations import mutations
from scan_oracle import check
from subcore._events import Event, Trade
from subcore._intern import Interner
from subcore._scan import STATES, Scanner
from subcore._schema import Schema
from subcore.sim.frames import KINDS, any_frame, orderbook, ticker, trade
from subcore.venues import upbit_fields

DECLARED = upbit_fields.schema()
TRADE = (
    b'{"type":"trade","code":"KRW-BTC","timestamp":1788000000123,"trade_price":100500000.00000000,'
    b'"trade_volume":0.00012340,"ask_bid":"BID","sequential_id":17880000000770001,"stream_type":"REALTIME"}'
)


@pytest.fixture
def scanner() -> Scanner:
    return Scanner(Schema(DECLARED))


def states(scanner: Scanner, frame: bytes) -> list[str]:
    return [state for state, _ in scanner.scan(frame)]


def only(scanner: Scanner, frame: bytes) -> Event:
    ((state, event),) = scanner.scan(frame)
    assert state == "ok", f"{state} at {scanner.error_position}"
    assert event is not None
    return event


def test_a_trade(scanner: Scanner) -> None:
    event = only(scanner, TRADE)
    assert isinstance(event, Trade)
    assert (event.channel, event.symbol, event.exchange_time_ns) == (
        "trade",
        "KRW-BTC",
        1788000000123_000_000,
    )
    assert (event.price, event.size, event.id) == (100500000.0, 0.0001234, 17880000000770001)
    assert (event.is_snapshot, event.is_realtime) == (False, True)
    assert event.best_bid_price is None


def test_what_one_frame_says_is_gone_in_the_next(scanner: Scanner) -> None:
    full = TRADE.replace(b"}", b',"best_bid_price":5,"change":"RISE"}')
    assert only(scanner, full).to_dict()["best_bid_price"] == 5
    assert only(scanner, TRADE).to_dict() == only(Scanner(Schema(DECLARED)), TRADE).to_dict()


def test_lists_hold_several(scanner: Scanner) -> None:
    assert states(scanner, b" [ " + TRADE + b" ,\n" + TRADE + b"] ") == ["ok", "ok"]
    assert states(scanner, b"[]") == []
    assert states(scanner, b"[ ] ") == []
    assert states(scanner, b'[{"status":"UP"}]') == ["control"]
    assert states(scanner, b"[" + TRADE + b",]") == ["ok", "bad_json"]
    assert states(scanner, b"[" + TRADE + b",5]") == ["ok", "wrong_type"]
    assert states(scanner, b"[" + TRADE) == ["bad_json"]
    assert states(scanner, b"[]]") == ["trailing_bytes"]
    assert states(scanner, b"[" + TRADE + b"]]") == ["trailing_bytes"]


def test_what_no_table_claims_is_control(scanner: Scanner) -> None:
    for frame in (
        b"{}",
        b'{"status":"UP"}',
        '{"error":{"name":"NO_TICKET","message":"티켓"}}'.encode(),
        b'{"method":"LIST_SUBSCRIPTIONS","result":[{"type":"ticker","codes":["KRW-BTC"]}],"ticket":"1"}',
    ):
        assert states(scanner, frame) == ["control"]
        assert states(scanner, frame[:-1]) == ["bad_json"]
    assert scanner.counters()["control"] == 4


REFUSALS = [
    (b"", "bad_json"),
    (b" ", "bad_json"),
    (b"\xef\xbb\xbf" + TRADE, "bad_json"),
    (b"5", "wrong_type"),
    (b'"text"', "wrong_type"),
    (TRADE + b"x", "trailing_bytes"),
    (TRADE + b"\x00", "trailing_bytes"),
    (TRADE + TRADE, "trailing_bytes"),
    (TRADE[:-1], "bad_json"),
    (TRADE[:-1] + b",}", "bad_json"),
    (TRADE.replace(b",", b"\x00", 1), "bad_json"),
    (TRADE.replace(b"KRW-BTC", b"KRW-\x00"), "bad_json"),
    (TRADE.replace(b"KRW-BTC", b"KRW\nBTC"), "bad_json"),
    (TRADE.replace(b"KRW-BTC", b"KRW-\\x"), "bad_json"),
    (TRADE.replace(b"KRW-BTC", b"KRW-\\u12G4"), "bad_json"),
    (TRADE.replace(b'"BID"', b"nul"), "wrong_type"),
    (TRADE.replace(b"100500000.0", b"01.0"), "number_syntax"),
    (TRADE.replace(b"100500000.00000000", b"NaN"), "number_syntax"),
    (TRADE.replace(b'"BID"', b"Infinity"), "number_syntax"),
    (TRADE.replace(b"100500000.00000000", b"1e400"), "overflow"),
    (TRADE.replace(b'"BID"', b"5"), "wrong_type"),
    (TRADE.replace(b"100500000.00000000", b"null"), "wrong_type"),
    (TRADE.replace(b"17880000000770001", b"9223372036854775808"), "int_range"),
    (TRADE.replace(b"1788000000123", b"9223372036855"), "int_range"),
    (TRADE.replace(b'"code":"KRW-BTC",', b""), "missing_field"),
    (TRADE.replace(b'"timestamp":1788000000123,', b""), "missing_field"),
    (TRADE.replace(b'"trade_price":100500000.00000000,', b""), "missing_field"),
    (TRADE.replace(b'"code":', b'"code":"A","code":'), "duplicate_key"),
    (TRADE.replace(b'"code":', b'"c\\u006fde":"A","code":'), "duplicate_key"),
    (TRADE.replace(b'"code":', b'"type":"trade","code":'), "duplicate_key"),
    (TRADE.replace(b'"code":', b'"x":' + b"[" * 40 + b"]" * 40 + b',"code":'), "depth"),
    (TRADE.replace(b'"code":', b'"x":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b',"code":'), "depth"),
    (TRADE.replace(b'"ask_bid"', b'"change":"' + b"R" * 16 + b'","ask_bid"'), "overflow"),
    (TRADE.replace(b'"type":"trade"', b'"type":"nope"'), "unknown_channel"),
    (TRADE.replace(b'"type":"trade"', b'"type":""'), "unknown_channel"),
    (TRADE.replace(b'"type":"trade"', b'"type":5'), "wrong_type"),
]


@pytest.mark.parametrize(("frame", "state"), REFUSALS)
def test_refusals_are_named(scanner: Scanner, frame: bytes, state: str) -> None:
    assert states(scanner, frame) == [state]
    assert scanner.counters()[state] == 1
    assert 0 <= scanner.error_position <= len(frame)
    assert check(frame, scanner.scan(frame), DECLARED) == state
    assert states(scanner, TRADE) == ["ok"], "the next frame is read as ever"


@pytest.mark.parametrize(
    "text",
    [
        b"\x80", b"\xc0\x80", b"\xc1\xbf", b"\xc3", b"\xc3(", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80",
        b"\xf0\x9f\x98",
        b"\xff", b"\xfe",
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", [b"KRW-BTC", b"BID", b"trade_volume", b"sequential_id"])
def test_utf8_is_strict_everywhere(scanner: Scanner, text: bytes, place: bytes) -> None:
    for at in (0, 1, len(place)):
        frame = TRADE.replace(b'"code":', b'"x":"' + b"0123456789abcdef" * at + b'","code":')
        frame = frame.replace(place, place[:at] + text + place[at:])
        assert states(scanner, frame) == ["bad_utf8"]


@examples(500)
@given(st.text(max_size=40), st.booleans())
def test_texts_come_as_json_reads_them(text: str, ascii: bool) -> None:
    scanner = Scanner(Schema(DECLARED))
    spelt = json.dumps(text, ensure_ascii=ascii)
    try:
        frame = TRADE.replace(b'"KRW-BTC"', spelt.encode())
    except UnicodeEncodeError:
        return
    event = only(scanner, frame)
    assert event.symbol == text
    frame = TRADE.replace(
        b'"ask_bid"', b'"unknown' + spelt[1:].encode() + b":" + spelt.encode() + b',"ask_bid"'
    )
    assert states(scanner, frame) == ["ok"]


@pytest.mark.parametrize(
    "spelt",
    [
        r"\"\\\/\b\f\n\r\t", r"A", r"é", r"€", r"\ud83d\ude00", r"\uD83D\uDE00", r"\ud83d", r"\ude00",
        r"\ude00\ud83d", r"\ud83d\ud83d\ude00", r"\ud83dA", r"\u0000", r"\ud83d\n",
    ],
)  # fmt: skip
def test_escapes_come_as_json_reads_them(scanner: Scanner, spelt: str) -> None:
    wanted = json.loads(f'"{spelt}"')
    frame = TRADE.replace(b"KRW-BTC", spelt.encode()).replace(
        b'"ask_bid"', f'"change":"{spelt}","ask_bid"'.encode()
    )
    event = only(scanner, frame)
    assert (event.symbol, event.change) == (wanted, wanted)
    assert type(event)(**event.to_dict()) == event


def test_symbols_are_found_and_unknown_ones_do_not_grow_the_interner() -> None:
    interner = Interner()
    known = interner.intern("KRW-BTC")
    scanner = Scanner(Schema(DECLARED), interner)
    assert scanner.interner is interner
    assert states(scanner, TRADE) == ["ok"]
    assert only(scanner, TRADE.replace(b"KRW-BTC", b"KRW-NEW")).symbol == "KRW-NEW"
    assert (interner.get("KRW-BTC"), len(interner)) == (known, 1)


def test_any_key_order_gives_the_same_event() -> None:
    """Guessed keys and keys looked up must not differ."""
    rng = random.Random(2)
    guessing = Scanner(Schema(DECLARED))
    for _ in range(400):
        frame = any_frame(rng, unknown=True)
        (said,) = one if isinstance(one := json.loads(frame), list) else [one]
        pairs = [f"{json.dumps(key)}:{text}" for key, text in spelt_pairs(frame)]
        assert len(pairs) == len(said)
        rng.shuffle(pairs)
        shuffled = ("{" + ",".join(pairs) + "}").encode()
        assert only(guessing, frame).to_dict() == only(Scanner(Schema(DECLARED)), shuffled).to_dict()
        assert only(guessing, shuffled).to_dict() == only(guessing, frame).to_dict()


def spelt_pairs(frame: bytes) -> list[tuple[str, str]]:
    """Top-level keys of a frame and their values as spelt."""
    text = frame.decode().strip()
    text = text[1:-1] if text.startswith("[") else text
    decoder, pairs, at = json.JSONDecoder(), [], 1
    while text[at - 1] != "}":
        key, at = decoder.raw_decode(text, at)
        start = at + 1
        _, at = decoder.raw_decode(text, start)
        pairs.append((key, text[start:at]))
        at += 1
    return pairs


def test_key_order_is_learnt_and_learnt_anew(scanner: Scanner) -> None:
    rng = random.Random(1)
    for frame in (ticker(rng), ticker(rng, shuffle=True)):
        keys = frame.count(b'":')
        scanner.scan(frame)
        before = scanner.counters()
        scanner.scan(frame)
        after = scanner.counters()
        assert after["keys_guessed"] - before["keys_guessed"] >= keys - 1, "the first names the table"
        assert after["keys_looked_up"] == before["keys_looked_up"]


def test_generated_frames_of_every_kind_and_format(scanner: Scanner) -> None:
    rng = random.Random(8)
    seen = Counter()
    for _ in range(1500):
        frame = any_frame(rng, shuffle=rng.random() < 0.3, unknown=rng.random() < 0.3)
        assert check(frame, scanner.scan(frame), DECLARED) == "ok"
        seen[only(scanner, frame).channel.partition(".")[0], scanner.format] += 1
    assert len(seen) == 2 * len(KINDS), seen


def test_blanks_are_taken_wherever_json_allows_them(scanner: Scanner) -> None:
    rng = random.Random(9)
    for _ in range(100):
        frame = any_frame(rng)
        blank = rng.choice((" ", "\n", "\t", "\r\n \t"))
        spread = json.dumps(
            json.loads(frame), indent=blank, separators=(f"{blank},{blank}", f"{blank}:{blank}")
        )
        spread = f"{blank}{spread}{blank}"
        assert check(spread.encode(), scanner.scan(spread.encode()), DECLARED) == "ok"
        assert only(scanner, spread.encode()).to_dict() == only(scanner, frame).to_dict()


def test_spoilt_frames_obey_json(scanner: Scanner) -> None:
    rng = random.Random(10)
    frames = [any_frame(rng, unknown=rng.random() < 0.5) for _ in range(200)]
    found = Counter(check(frame, scanner.scan(frame), DECLARED) for frame in mutations(frames, 5000, seed=10))
    assert set(found) >= set(STATES) - {"ok", "control", "end", "depth"}, found
    counts = scanner.counters()
    assert sum(counts[state] for state in STATES[3:]) == sum(found.values()) - found["ok"]


def test_the_format_of_a_frame_is_told(scanner: Scanner) -> None:
    rng = random.Random(3)
    for format, name in (("DEFAULT", "DEFAULT"), ("SIMPLE", "SIMPLE"), ("SIMPLE_LIST", "SIMPLE")):
        scanner.scan(trade(rng, format))
        assert scanner.schema.formats[scanner.format] == name


def test_padding_is_no_level_of_either_side(scanner: Scanner) -> None:
    book = (
        b'{"ty":"orderbook","cd":"KRW-BTC","tms":1788000000200,"tas":2.5,"tbs":3.1,"obu":['
        b'{"ap":2,"bp":1,"as":5,"bs":6},{"ap":0,"bp":0.5,"as":0,"bs":7},{"ap":3,"bp":0E-8,"as":8,"bs":0}]}'
    )
    event = only(scanner, book)
    assert (event.asks, event.bids) == (((2, 5), (3, 8)), ((1, 6), (0.5, 7)))
    assert only(scanner, book.replace(b"1788000000200", b"0")).exchange_time_ns == 0


def test_rows_are_bounded(scanner: Scanner) -> None:
    rng = random.Random(4)
    limit = DECLARED.max_rows
    assert states(scanner, orderbook(rng, depth=limit)) == ["ok"]
    assert states(scanner, orderbook(rng, depth=limit + 1)) == ["overflow"]


def test_variants_have_the_index_they_were_given(scanner: Scanner) -> None:
    scanner.set_variants("orderbook", {0.1: 3, 10_000: 1, 1e7: 2})
    for level, variant in (
        ("0", 0),
        ("0.0", 0),
        ("1E4", 1),
        ("10000000", 2),
        ("0.1", 3),
        ("5", 0xFFFF),
        ("-1", 0xFFFF),
    ):
        frame = b'{"ty":"orderbook","cd":"A-B","tms":1,"tas":0,"tbs":0,"obu":[],"lv":%b}' % level.encode()
        assert only(scanner, frame).grouping == (float(level) or None)
        assert scanner.variant == variant, level
    only(scanner, frame.replace(b',"lv":-1', b""))
    assert scanner.variant == 0
    scanner.set_variants(2, {0.1: 4})
    only(scanner, frame.replace(b"-1", b"0.10"))
    assert scanner.variant == 4
    for channel, values, error in (
        (99, {1.0: 1}, IndexError),
        (-1, {1.0: 1}, IndexError),
        ("nope", {1.0: 1}, ValueError),
        (2, {0.0: 1}, ValueError),
        (2, {1.0: 0}, ValueError),
        (2, {1.0: 65535}, ValueError),
        (2, {float("nan"): 1}, ValueError),
        (2, {float("inf"): 1}, ValueError),
    ):
        with pytest.raises(error):
            scanner.set_variants(channel, values)


def test_frames_are_bounded_and_great_buffers_given_back() -> None:
    scanner = Scanner(Schema(DECLARED), max_bytes=2**20)
    small = scanner.nbytes
    assert states(scanner, b" " * (2**20 + 1)) == ["overflow"]
    assert scanner.nbytes == small
    great = TRADE.replace(b'"code":', b'"x":"' + b"y" * 900_000 + b'","code":')
    assert states(scanner, great) == ["ok"]
    assert scanner.nbytes > 900_000
    for _ in range(300):
        assert states(scanner, TRADE) == ["ok"]
    assert scanner.nbytes < 700_000
    assert states(scanner, great) == ["ok"]
    with pytest.raises(ValueError, match="max_bytes"):
        Scanner(Schema(DECLARED), max_bytes=1)


def test_reported_bytes_cover_the_object(scanner: Scanner) -> None:
    before = scanner.nbytes
    assert before > sys.getsizeof(scanner)
    scanner.set_variants(0, {float(value): value for value in range(1, 101)})
    assert scanner.nbytes - before == 100 * 16


def test_any_buffer_of_bytes_is_a_frame(scanner: Scanner) -> None:
    for frame in (bytearray(TRADE), memoryview(TRADE), np.frombuffer(TRADE, np.uint8)):
        assert only(scanner, frame).symbol == "KRW-BTC"
    for wrong in ("text", 5, None):
        with pytest.raises(TypeError):
            scanner.scan(wrong)  # type: ignore[arg-type]


def test_a_refused_frame_leaves_counters_that_only_grow(scanner: Scanner) -> None:
    strange = TRADE.replace(b"100500000.00000000", b"123456789012345678901234567890e-300")
    last = scanner.counters()
    for frame in (strange[:-1], TRADE[:-3], TRADE, strange, b'{"code":"A","type":"trade"', TRADE[:-40]):
        scanner.scan(frame)
        now = scanner.counters()
        assert all(last[name] <= now[name] < 10_000 for name in now), (frame, now)
        last = now
