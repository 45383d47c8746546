"""What the venue's frames hold, byte by byte, as a plain socket client sees them."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from sim_running import FAST, Running, open_client, parsed
from subcore.sim.rules import Rules
from ws_client import Client

SPELLINGS = {
    "DEFAULT": {
        "exponent": rb'"(?:ask|bid)_price":\d\.\d+E8[,}]',
        "trailing zero": rb'"(?:ask|bid)_size":0\.\d+0[,}]',
        "eight decimals": rb'"trade_price":\d+\.0{8}[,}]',
        "integer beside them": rb'"best_ask_price":\d+[,}]',
        "padding": rb'"(?:ask|bid)_price":0[,}]',
    },
    "SIMPLE": {
        "integer": rb'"ap":\d+[,}]',
        "one digit and exponent": rb'"(?:as|bs|tv)":\d(?:\.\d+)?E-\d',
        "one decimal": rb'"tp":\d+\.0[,}]',
    },
}


def collect(client: Client, enough: Callable[[bytes], bool]) -> bytes:
    """Payloads until there is enough of them, one a line."""
    text = b""
    for _ in range(100):
        text += b"".join(frame.payload + b"\n" for frame in client.frames_for(0.2))
        if enough(text):
            return text
    return text


@pytest.mark.parametrize("format", SPELLINGS)
def test_numbers_are_spelt_in_every_captured_way(serve: Callable[..., Running], format: str) -> None:
    running = serve(durations=FAST, rate=3.0)
    codes = list(running.server.exchange.markets)
    patterns = SPELLINGS[format]
    with open_client(running) as client:
        kinds = [{"type": kind, "codes": codes} for kind in ("ticker", "trade", "orderbook")]
        client.send([{"ticket": "t"}, *kinds, {"format": format}])
        text = collect(client, lambda text: all(re.search(p, text) for p in patterns.values()))
    assert [name for name, pattern in patterns.items() if not re.search(pattern, text)] == []


def test_thin_sides_are_padded_with_zeros_and_codes_have_no_suffix(serve: Callable[..., Running]) -> None:
    running = serve(durations=FAST)
    thin = next(m for m in running.server.exchange.markets.values() if m.ask_depth < 15)
    with open_client(running) as client:
        client.ask("orderbook", [f"{thin.code}.15"])
        book = client.json()
    assert book["code"] == thin.code
    units = book["orderbook_units"]
    assert len(units) == 15
    assert [unit["ask_price"] > 0 for unit in units] == [level < thin.ask_depth for level in range(15)]
    assert all((unit["ask_size"] == 0) == (unit["ask_price"] == 0) for unit in units)


@pytest.mark.parametrize("variety", [0, 2], ids=["computed", "kept"])
def test_a_snapshot_of_trades_repeats_the_last_one_and_realtime_only_sends_none(
    serve: Callable[..., Running], variety: int
) -> None:
    with open_client(serve(durations=FAST, rate=10.0, variety=variety)) as client:
        client.ask("trade", ["KRW-BTC"])
        known = [body["sequential_id"] for body in parsed(client.frames_for(1.0))]
        assert len(known) > 3
        client.ask("trade", ["KRW-BTC"])
        again = parsed(client.frames_for(1.0))
        at = next(i for i, body in enumerate(again) if body["stream_type"] == "SNAPSHOT")
        before = known + [body["sequential_id"] for body in again[:at]]
        assert again[at]["sequential_id"] == before[-1]
        client.ask("trade", ["KRW-BTC", "KRW-ETH"], is_only_realtime=True)
        fresh = parsed(client.frames_for(1.0))
    assert {body["code"] for body in fresh} == {"KRW-BTC", "KRW-ETH"}
    assert {body["stream_type"] for body in fresh} == {"REALTIME"}


def test_trades_come_out_of_order_and_markets_share_ids(serve: Callable[..., Running]) -> None:
    running = serve(durations=FAST, rate=9.0)
    ids: dict[str, list[int]] = defaultdict(list)

    def note(text: bytes) -> bool:
        ids.clear()
        for line in text.splitlines():
            body: Any = json.loads(line)
            ids[body["code"]].append(body["sequential_id"])
        return back() > 0 and shared() > 0

    def back() -> int:
        return sum(b < a for one in ids.values() for a, b in itertools.pairwise(one))

    def shared() -> int:
        owners: dict[int, set[str]] = defaultdict(set)
        for code, one in ids.items():
            for ident in one:
                owners[ident].add(code)
        return sum(len(codes) > 1 for codes in owners.values())

    with open_client(running) as client:
        client.ask("trade", list(running.server.exchange.markets), is_only_realtime=True)
        collect(client, note)
    assert back() > 0
    assert shared() > 0
    assert all(len(set(one)) == len(one) for one in ids.values()), "unique within a market"


@pytest.mark.parametrize(("reaction", "end"), [("error", "close 1000"), ("close", "close 1008")])
def test_what_a_message_over_the_limit_brings_is_a_choice(
    serve: Callable[..., Running], reaction: Any, end: str
) -> None:
    running = serve(rules=Rules(over_limit=reaction))
    with open_client(running) as client:
        for _ in range(6):
            client.ask("ticker", ["KRW-BTC"])
        assert client.wait_end() == end


def test_messages_over_the_limit_may_be_let_through(serve: Callable[..., Running]) -> None:
    running = serve(rules=Rules(over_limit="ignore"))
    with open_client(running) as client:
        for _ in range(7):
            client.ask("ticker", ["KRW-BTC"])
        assert client.json()["code"] == "KRW-BTC"
    assert len(running.server.violations) == 2


def test_a_hundred_messages_a_minute_are_the_most(serve: Callable[..., Running]) -> None:
    """Rules of a second and of a minute are judged apart: here the first is out of the way."""
    running = serve(rules=Rules(messages_short=1000))
    with open_client(running) as client:
        for _ in range(101):
            client.ask("ticker", ["KRW-BTC"])
        assert client.wait_end() == "close 1000"
    (violation,) = running.server.violations
    assert (violation.rule, violation.count, violation.limit) == ("message-long", 101, 100)


@pytest.mark.parametrize("rsv", [1, 2, 4])
def test_any_reserved_bit_ends_the_connection(serve: Callable[..., Running], rsv: int) -> None:
    with open_client(serve()) as client:
        client.send(b"[]", rsv=rsv)
        assert client.wait_end() == "close 1002"


def test_the_connection_ends_though_the_client_never_answers_the_close(
    serve: Callable[..., Running],
) -> None:
    running = serve(durations=FAST)
    with open_client(running) as client:
        client.send(b"nonsense")
        assert client.wait_end() == "close 1000"
        client.sock.settimeout(5)
        assert client.sock.recv(1) == b""
    assert not running.server.peers


def test_closing_the_server_resets_its_clients(serve: Callable[..., Running]) -> None:
    running = serve(durations=FAST)
    with open_client(running) as client:
        client.ask("ticker", ["KRW-BTC"])
        client.json()
        asyncio.run_coroutine_threadsafe(running.server.close(), running.loop).result(5)
        assert client.wait_end() == "RST"
    assert not running.server.peers
