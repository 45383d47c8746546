"""A snapshot as a value and as bytes: what goes in comes out, and bytes that are not whole are refused with a word."""

from __future__ import annotations

import pickle
import random
import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from snapshots import Plain, make, plain_of, sealed
from subcore.engine import snapshot as module
from subcore.engine.snapshot import SavedComponent, Snapshot, capture
from subcore.errors import SnapshotError
from subcore.types import Priority, Topic

TOPICS = st.builds(
    Topic,
    st.sampled_from(["ticker", "trade", "orderbook"]),
    st.text(min_size=1, max_size=8),
    st.none() | st.integers(1, 30),
    st.none() | st.floats(1e-8, 1e6),
)
HELD = st.dictionaries(TOPICS, st.sampled_from(Priority), max_size=6)
# Also what `os.fsdecode` makes of a name in another encoding, which UTF-8 cannot say.
NAMES = st.text(min_size=1, max_size=5) | st.text("a\0\udcff061\ud800", min_size=1, max_size=6)
PLAIN = st.dictionaries(NAMES, st.tuples(st.sampled_from(Priority), st.booleans(), HELD), max_size=5)
SMALL: Plain = {
    "momentum": (Priority.HIGH, False, {Topic("ticker", "KRW-BTC"): Priority.HIGH}),
    "chart": (
        Priority.NORMAL,
        True,
        {Topic("orderbook", "KRW-BTC", 5, 1000.0): Priority.LOW, Topic("ticker", "KRW-BTC"): Priority.NORMAL},
    ),
    "idle": (Priority.LOW, False, {}),
}


@given(plain=PLAIN, taken_ns=st.integers(-(2**63), 2**63 - 1), data=st.data())
@examples(40)
def test_what_goes_in_comes_out(plain: Plain, taken_ns: int, data: st.DataObject) -> None:
    interests = [(name, topic) for name, (_, _, held) in plain.items() for topic in held]
    standby = data.draw(st.sets(st.sampled_from(interests))) if interests else set()
    rates = st.dictionaries(st.sampled_from(interests), st.floats(0.001, 1e6)) if interests else st.just({})
    max_rates = data.draw(rates)
    snapshot = make(plain, taken_ns=taken_ns, standby=standby, max_rates=max_rates)
    again = Snapshot.from_bytes(bytes(snapshot))
    for one in (snapshot, again):
        assert plain_of(one) == plain
        assert {(c.name, topic) for c in one.components for topic in c.standby} == standby
        assert {(c.name, topic): rate for c in one.components for topic, rate in c.max_rates} == max_rates
        assert one.venue == "upbit"
        assert one.taken_ns == taken_ns
        assert len(one) == sum(len(held) for _, _, held in plain.values())
        assert set(one.names) == set(plain)
        assert set(one.topics) == {topic for _, _, held in plain.values() for topic in held}
    assert bytes(again) == bytes(snapshot)


def test_a_name_that_utf_8_cannot_say_harms_no_other() -> None:
    odd = {"name\udcff": SMALL["idle"], "\0": SMALL["idle"], "\x00616263": SMALL["idle"], **SMALL}
    assert plain_of(Snapshot.from_bytes(bytes(make(odd)))) == odd


def test_equal_is_what_wants_the_same() -> None:
    snapshot = make(SMALL)
    turned = {
        name: (p, paused, dict(reversed(held.items()))) for name, (p, paused, held) in reversed(SMALL.items())
    }
    assert make(turned, taken_ns=8) == snapshot
    assert hash(make(turned)) == hash(snapshot)
    assert pickle.loads(pickle.dumps(snapshot)) == snapshot
    assert make({**SMALL, "idle": (Priority.NORMAL, False, {})}) != snapshot
    assert make(SMALL, venue="binance") != snapshot
    assert make(SMALL, standby=[("momentum", Topic("ticker", "KRW-BTC"))]) != snapshot
    assert make(SMALL, max_rates={("momentum", Topic("ticker", "KRW-BTC")): 5.0}) != snapshot
    assert snapshot != SMALL
    assert repr(snapshot) == "<Snapshot of upbit: 3 components, 3 interests>"
    assert snapshot.links == {Topic("ticker", "KRW-BTC"): 0}
    assert snapshot.components[2] == SavedComponent("idle", Priority.LOW, False, (), ())


def test_every_truncation_is_refused() -> None:
    data = bytes(make(SMALL))
    for size in range(len(data)):
        with pytest.raises(SnapshotError, match="cut off"):
            Snapshot.from_bytes(data[:size])
    with pytest.raises(SnapshotError, match="damaged"):
        Snapshot.from_bytes(data + b"x")


def test_every_flipped_bit_is_seen() -> None:
    data = bytes(make(SMALL))
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(SnapshotError):
            Snapshot.from_bytes(bytes(flipped))


@given(data=st.binary(max_size=200))
@examples(100)
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        Snapshot.from_bytes(data)


def test_a_newer_one_says_so() -> None:
    with pytest.raises(SnapshotError, match=r"format 4, and this subcore reads 1 to 3: upgrade"):
        Snapshot.from_bytes(sealed(b"whatever comes", version=4))
    with pytest.raises(SnapshotError, match="no snapshot of subcore"):
        Snapshot.from_bytes(sealed(b"", magic=b"another program!"))


@pytest.mark.parametrize(("version", "tables"), [(1, 15), (2, 16)])
def test_a_file_of_an_older_format_is_read(version: int, tables: int) -> None:
    """The first had no options of interests, the second no rates, which are the last tables now."""
    present = msgspec.msgpack.decode(bytes(make(SMALL))[68:])
    assert present[15:] == [bytes(3), [0.0], bytes(12)]
    old = Snapshot.from_bytes(sealed(msgspec.msgpack.encode(present[:tables]), version=version))
    assert old == make(SMALL)
    assert struct.unpack_from("<16sI", bytes(old))[1] == 3, "and written as the present one"
    for other in (tables - 1, tables + 1):
        with pytest.raises(SnapshotError, match="not as subcore writes it"):
            Snapshot.from_bytes(sealed(msgspec.msgpack.encode(present[:other]), version=version))


def test_an_option_of_the_second_format_is_read() -> None:
    standby = [("momentum", Topic("ticker", "KRW-BTC"))]
    *second, _, _ = msgspec.msgpack.decode(bytes(make(SMALL, standby=standby))[68:])
    assert Snapshot.from_bytes(sealed(msgspec.msgpack.encode(second), version=2)) == make(
        SMALL, standby=standby
    )


@pytest.mark.parametrize("rate", [-1.0, 1e-9, 1e9, float("nan"), float("inf")])
def test_a_rate_that_nobody_may_ask_for_is_refused(rate: float) -> None:
    limits = {("momentum", Topic("ticker", "KRW-BTC")): 5.0}
    *rest, rates, places = msgspec.msgpack.decode(bytes(make(SMALL, max_rates=limits))[68:])
    assert rates == [0.0, 5.0]
    with pytest.raises(SnapshotError, match="rates"):
        Snapshot.from_bytes(sealed(msgspec.msgpack.encode([*rest, [0.0, rate], places])))


def test_a_whole_file_that_makes_no_sense_is_refused() -> None:
    """Its checksum is right: somebody else wrote it, or we did with a fault."""
    good = msgspec.msgpack.decode(bytes(make(SMALL))[68:])
    assert plain_of(Snapshot.from_bytes(sealed(msgspec.msgpack.encode(good)))) == SMALL
    rng = random.Random(5)
    refused = 0
    for _ in range(2000):
        wrong = list(good)
        place = rng.randrange(len(wrong))
        wrong[place] = spoiled(wrong[place], rng)
        try:
            told = Snapshot.from_bytes(sealed(msgspec.msgpack.encode(wrong)))
        except SnapshotError as error:
            refused += "move it away" in str(error)
        else:
            told.components  # noqa: B018 - what is accepted can be read
            told.links  # noqa: B018
    assert refused > 500


def spoiled(value: Any, rng: random.Random) -> Any:
    choices: list[Any] = [None, -1, "", b"", [], ["x"], [1], b"\xff", b"\xff" * 4, 1.5]
    if isinstance(value, bytes) and value:
        choices += [value[:-1], value + value[:1], value + b"\xff" * 8, bytes([value[0] ^ 0x80]) + value[1:]]
        choices += [bytes(rng.randrange(256) for _ in value)] * 5
    if isinstance(value, list) and value:
        choices += [value[:-1], value + value, [*value, ""]]
    return rng.choice(choices)


def test_the_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = make(SMALL)
    data = bytes(snapshot)
    monkeypatch.setattr(module, "MAX_BYTES", len(data) - 1)
    with pytest.raises(SnapshotError, match=f"takes {len(data)} bytes"):
        bytes(snapshot)
    with pytest.raises(SnapshotError, match="over"):
        Snapshot.from_bytes(data)


def test_a_snapshot_keeps_no_array_of_who_made_it() -> None:
    classes = np.array([1, 1], np.int32)
    columns = {name: np.zeros(0, np.int32) for name in module._WIDTHS} | {
        "component_class": classes,
        "component_paused": np.zeros(2, np.int32),
        "component_held": np.zeros(2, np.int32),
    }
    snapshot = capture("upbit", 0, ["a", "b"], ([], [], [], []), columns)
    classes[0] = 3
    assert snapshot.components[0].priority is Priority.NORMAL
