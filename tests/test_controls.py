"""Frames that are no data: whatever one brings costs little and raises nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager_rig import make
from subcore.controls import ControlReader
from subcore.types import Alive, Control, Listing, Refused, Unknown
from subcore.venue import MAX_LISTED
from subcore.venues import venue
from virtual_manager import World

UPBIT, BINANCE = venue("upbit"), venue("binance")
VENUES = pytest.mark.parametrize("venue", [UPBIT, BINANCE], ids=["upbit", "binance"])


def counted(controls: list[Control]) -> Counter[type]:
    found: Counter[type] = Counter()
    for control in controls:
        found[type(control)] += control.count if isinstance(control, Unknown) else 1
    return found


def test_of_many_things_in_one_frame_the_first_are_told_and_the_rest_is_counted() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            desk = make(manager, "desk")
            desk.subscribe("ticker", "KRW-BTC")
            await desk.live(10)
            told: list[Control] = []
            tell, engine = manager._hub.runtime.control, manager._hub.engine

            def control(link: int, generation: int, said: Control) -> None:
                told.append(said)
                tell(link, generation, said)

            manager._hub.runtime.control = control  # type: ignore[method-assign]
            manager._hub.feed.feed(0, b"[" + b",".join([b"{}"] * 50_000) + b"]", world.ns())
            await asyncio.sleep(0.001)
            assert len(told) <= 65
            assert engine.stats.unknown_control == 50_000
            assert manager.topic("ticker", "KRW-BTC").state.name == "OPEN"

    World().run(main)


@pytest.mark.parametrize("amount", [1, 64, 65, 200])
def test_no_venue_can_say_more_than_so_much_at_once(amount: int) -> None:
    said = [Unknown(b"", 5), *[Alive()] * (amount - 1)]
    controls = ControlReader(dataclasses.replace(UPBIT, decode_control=lambda frame: said)).read(b"{}")
    assert len(controls) == min(amount, 64)
    assert sum(counted(controls).values()) == amount + 4
    assert UPBIT.decode_control(json.dumps([{"status": "UP"}] * amount).encode())[:64] == [Alive()] * min(
        amount, 64
    )


def test_a_frame_that_is_too_long_to_say_anything_is_not_looked_at() -> None:
    asked: list[bytes] = []

    def decode(frame: bytes) -> list[Control]:
        asked.append(frame)
        return []

    reader = ControlReader(dataclasses.replace(UPBIT, decode_control=decode))
    assert reader.read(b" " * (1 << 20)) == []
    assert counted(reader.read(b" " * (1 + (1 << 20)))) == {Unknown: 1}
    assert len(asked) == 1


def test_a_description_that_raises_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    def decode(frame: bytes) -> list[Control]:
        raise KeyError("type")

    reader = ControlReader(dataclasses.replace(UPBIT, decode_control=decode))
    with caplog.at_level(logging.ERROR):
        assert [counted(reader.read(b"{}")) for _ in range(3)] == [{Unknown: 1}] * 3
    assert len(caplog.records) == 1
    assert "decode_control of upbit must not raise" in caplog.text


@pytest.mark.parametrize("more", [0, 1])
def test_a_list_of_more_than_a_link_carries_is_not_understood(more: int) -> None:
    kind = Unknown if more else Listing
    names = ",".join(['"a@trade"'] * (MAX_LISTED + more))
    assert counted(BINANCE.decode_control(f'{{"result":[{names}],"id":1}}'.encode())) == {kind: 1}
    half = ",".join(['"A"'] * (MAX_LISTED // 2))
    entry = f'{{"type":"ticker","codes":[{half}]}}'
    entries = ",".join([entry, entry, *['{"type":"ticker","codes":["A"]}'] * more])
    said = f'{{"method":"LIST_SUBSCRIPTIONS","result":[{entries}]}}'
    assert counted(UPBIT.decode_control(said.encode())) == {kind: 1}


@VENUES
def test_a_word_of_the_venue_is_short(venue: Any) -> None:
    frames = [b'{"error":{"name":"%b"}}' % (b"x" * 9999), b'{"code":%b,"msg":""}' % (b"9" * 4000)]
    refused = [one for frame in frames for one in venue.decode_control(frame) if isinstance(one, Refused)]
    assert [len(one.name) for one in refused] == [200]


NUMBERS = st.sampled_from(
    ["9" * 400, "-" + "9" * 400, "9" * 4300, "9" * 5000, "1e400", "-1e400", "1e308", "NaN", "Infinity", "-Infinity",
     "-0", "-0.0", "5e-324", "0.1", "1" * 19, "true", "null", '"9"', '"\\ud800"', "[" * 200 + "]" * 200]
)  # fmt: skip
KEYS = [
    "error",
    "name",
    "message",
    "status",
    "method",
    "mthd",
    "result",
    "rslt",
    "type",
    "ty",
    "codes",
    "cds",
    "level",
]
KEYS += ["lv", "ticket", "tckt", "code", "msg", "id", "e", "stream"]


def _object(fields: dict[str, str]) -> str:
    return "{" + ",".join(f'"{key}":{value}' for key, value in fields.items()) + "}"


def _list(values: list[str]) -> str:
    return "[" + ",".join(values) + "]"


VALUES = st.recursive(
    NUMBERS | st.sampled_from(['"LIST_SUBSCRIPTIONS"', '"orderbook"', '["A"]']),
    lambda inner: (
        st.lists(inner, max_size=3).map(_list) | st.dictionaries(st.sampled_from(KEYS), inner).map(_object)
    ),
    max_leaves=12,
)
ENTRIES = st.fixed_dictionaries(
    {"type": st.just('"orderbook"'), "codes": st.just('["A"]'), "level": VALUES}
).map(_object)
LISTS = st.lists(ENTRIES, min_size=1, max_size=2).map(
    lambda entries: _object({"method": '"LIST_SUBSCRIPTIONS"', "result": _list(entries)})
)


@VENUES
@given(said=VALUES | LISTS)
def test_no_number_makes_decode_control_raise(venue: Any, said: str) -> None:
    for control in venue.decode_control(said.encode()):
        for topic in control.topics if isinstance(control, Listing) else ():
            assert topic.grouping is None or math.isfinite(topic.grouping)
