"""The second embedded exchange: it plays what the venue's documents and captures say, and nothing kinder."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

import subcore
from sim_play import START, Play, at, ends, frames
from subcore.sim import SECOND, Fault, Refusal
from subcore.sim.binance import BinanceDurations, BinanceExchange, BinanceRules
from subcore.sim.binance.coin import bounds
from subcore.sim.binance.requests import parse_stream
from subcore.venues import venue

MARKETS = ["BTCUSDT", "ETHUSDT", "ETHBTC"]
ALL = ["btcusdt@trade", "btcusdt@aggTrade", "btcusdt@bookTicker", "btcusdt@depth5@100ms", "btcusdt@kline_1m"]
PING, PONG, CLOSE = 9, 10, 8


class BinancePlay(Play):
    """As Play, for this venue."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markets=["KRW-BTC"])
        rules = BinanceRules(**options.pop("rules", {}))
        durations = BinanceDurations(**options.pop("durations", {}))
        self.exchange: Any = BinanceExchange(
            **{"markets": MARKETS, "rules": rules, "durations": durations} | options
        )

    def call(self, conn: int, method: str, params: list[Any] | None = None, ident: Any = 1) -> list[Any]:
        """Send a request a while after the last; what is said beside data in the next half second."""
        self.pass_time(1)
        said = {"method": method, "id": ident} | ({} if params is None else {"params": params})
        self.send(conn, said)
        return [frame for frame in frames(self.pass_time(0.5), conn) if "stream" not in frame]


def names(outputs: list[Any]) -> Counter[str]:
    return Counter(frame["stream"] for frame in frames(outputs) if "stream" in frame)


def test_requests_are_acknowledged_each_with_its_id() -> None:
    play = BinancePlay()
    conn = play.connect(path="/stream")
    assert play.call(conn, "SUBSCRIBE", ALL, 7) == [{"result": None, "id": 7}]
    assert play.call(conn, "SUBSCRIBE", ALL[:1], "again") == [{"result": None, "id": "again"}]
    assert play.call(conn, "LIST_SUBSCRIPTIONS", None, 8) == [{"result": ALL, "id": 8}]
    assert play.call(conn, "UNSUBSCRIBE", [*ALL[1:], "never@trade"], 9) == [{"result": None, "id": 9}]
    assert play.call(conn, "LIST_SUBSCRIPTIONS", [], None) == [{"result": ALL[:1], "id": None}]
    assert not play.exchange.violations


def test_every_stream_speaks_and_a_dropped_one_falls_silent() -> None:
    play = BinancePlay(rate=20.0)
    conn = play.connect(path="/stream")
    play.call(conn, "SUBSCRIBE", ALL)
    assert set(names(play.pass_time(10))) == set(ALL)
    play.call(conn, "UNSUBSCRIBE", ALL[:2])
    assert set(names(play.pass_time(10))) == set(ALL[2:])


def test_unknown_names_are_acknowledged_listed_and_silent() -> None:
    play = BinancePlay(rate=20.0)
    conn = play.connect(path="/stream")
    wrong = [
        "BTCUSDT@trade",
        "btcusdt@depth7",
        "btcusdt@trade@100ms",
        "nosuch@trade",
        "btcusdt",
        "btcusdt@kline_7m",
    ]
    assert play.call(conn, "SUBSCRIBE", wrong) == [{"result": None, "id": 1}]
    assert play.call(conn, "LIST_SUBSCRIPTIONS") == [{"result": wrong, "id": 1}]
    assert not names(play.pass_time(30))


@pytest.mark.parametrize(
    ("payload", "code", "ident"),
    [
        (b"{", 3, None),
        (b"[" * 5000, 3, None),
        (b"[]", 2, None),
        (b'{"id":5}', 2, 5),
        (b'{"method":"subscribe","params":["a@trade"],"id":5}', 2, 5),
        (b'{"method":"SUBSCRIBE","id":5}', 2, 5),
        (b'{"method":"SUBSCRIBE","params":[],"id":5}', 2, 5),
        (b'{"method":"SUBSCRIBE","params":[1],"id":5}', 2, 5),
        (b'{"method":"SUBSCRIBE","params":["a@trade"],"id":-1}', 2, None),
        (b'{"method":"SUBSCRIBE","params":["a@trade"],"id":true}', 2, None),
        (b'{"method":"SUBSCRIBE","params":["a@trade"],"id":"' + b"x" * 37 + b'"}', 2, None),
        (b'{"method":"SUBSCRIBE","params":["a@trade"],"x":1,"id":5}', 0, 5),
        (b'{"method":"SET_PROPERTY","params":["combined",1],"id":5}', 1, 5),
        (b'{"method":"GET_PROPERTY","params":["x"],"id":5}', 0, 5),
    ],
)
def test_malformed_requests_get_an_error_and_the_connection_lives(
    payload: bytes, code: int, ident: Any
) -> None:
    for is_wrapped in (True, False):
        play = BinancePlay(rules={"wrapped_errors": is_wrapped})
        conn = play.connect(path="/stream")
        play.send(conn, payload)
        (said,) = frames(play.pass_time(1))
        assert (said["error"] if is_wrapped else said)["code"] == code
        assert said["id"] == ident
        assert conn in play.exchange.connections


def test_the_combined_property_switches_the_wrapper() -> None:
    play = BinancePlay(rate=20.0)
    conn = play.connect(path="/ws")
    assert play.call(conn, "GET_PROPERTY", ["combined"]) == [{"result": False, "id": 1}]
    play.call(conn, "SUBSCRIBE", ["btcusdt@bookTicker"])
    assert {frame["s"] for frame in frames(play.pass_time(10))} == {"BTCUSDT"}
    play.call(conn, "SET_PROPERTY", ["combined", True])
    assert names(play.pass_time(10))


def test_the_sixth_arrival_in_a_second_ends_the_connection_pings_and_pongs_counted() -> None:
    for opcodes in ([1] * 6, [PING] * 6, [PONG] * 6, [1, PING, PONG, 1, PING, PONG]):
        play = BinancePlay()
        conn = play.connect(path="/stream")
        for opcode in opcodes[:5]:
            play.send(conn, {"method": "LIST_SUBSCRIPTIONS", "id": 1} if opcode == 1 else b"", opcode)
        play.pass_time(0.5)
        assert not play.exchange.violations
        play.send(conn, b"", opcodes[5])
        (end,) = ends(play.pass_time(0.1))
        assert (end.kind, end.code) == ("close", 1008)
        assert [(v.rule, v.count, v.limit) for v in play.exchange.violations] == [("message", 6, 5)]


def test_a_window_has_no_phase() -> None:
    """Five at its end and one after: a count that starts anew each second would let it pass."""
    play = BinancePlay()
    conn = play.connect(path="/stream")
    play.pass_time(0.9)
    for _ in range(5):
        play.send(conn, b"", PONG)
    play.pass_time(0.2)
    play.send(conn, b"", PONG)
    assert ends(play.pass_time(0.1))


def test_one_stream_too_many_is_an_error_and_the_end() -> None:
    play = BinancePlay(rules={"streams": 5})
    conn = play.connect(path="/stream")
    play.call(conn, "SUBSCRIBE", ALL)
    assert play.call(conn, "SUBSCRIBE", ALL) == [{"result": None, "id": 1}], "what is there takes no room"
    play.pass_time(1)
    play.send(conn, {"method": "SUBSCRIBE", "params": ["ethusdt@trade"], "id": 2})
    outputs = play.pass_time(1)
    errors = [frame for frame in frames(outputs) if "error" in frame]
    assert errors == [{"error": {"code": 4, "msg": "Too many subscriptions"}, "id": 2}]
    assert [end.code for end in ends(outputs)] == [1008]


def test_a_request_with_too_many_names_is_lost_without_a_word() -> None:
    play = BinancePlay()
    conn = play.connect(path="/stream")
    assert play.call(conn, "SUBSCRIBE", [f"x{n}@trade" for n in range(437)]) == []
    assert play.call(conn, "LIST_SUBSCRIPTIONS") == [{"result": [], "id": 1}]


def test_the_server_pings_and_ends_who_does_not_answer_with_the_same_payload() -> None:
    play = BinancePlay()
    good, mute, wrong = (play.connect(path="/stream") for _ in range(3))
    gone = {}
    for _ in range(100):
        for output in play.pass_time(1):
            if output.kind == "ping" and output.conn != mute:
                play.send(output.conn, output.payload if output.conn == good else b"x", PONG)
            elif output.kind == "drop":
                gone[output.conn] = at(output)
    assert gone == {mute: 80.0, wrong: 80.0}
    assert list(play.exchange.connections) == [good]
    assert play.exchange.stats.idle_drops == 2


def test_a_connection_lives_for_a_day() -> None:
    play = BinancePlay(durations={"max_age": 30.0})
    conn = play.connect(path="/stream")
    assert not ends(play.pass_time(29.9))
    (end,) = ends(play.pass_time(0.2))
    assert (end.conn, end.kind) == (conn, "close")


def test_connects_of_one_address_are_counted() -> None:
    play = BinancePlay(rules={"connects": 3})
    for _ in range(3):
        play.connect(path="/stream")
    refused = play.try_connect(path="/stream")
    assert isinstance(refused, Refusal)
    assert refused.status == 429
    assert int(refused.headers["Retry-After"]) == 300
    assert isinstance(play.try_connect(path="/stream", ip="10.0.0.2"), int)
    elsewhere = play.try_connect(path="/elsewhere", ip="10.0.0.2")
    assert isinstance(elsewhere, Refusal)
    assert elsewhere.status == 404


def test_faults_bite_here_too() -> None:
    play = BinancePlay(rate=20.0)
    conn = play.connect(path="/stream")
    play.call(conn, "SUBSCRIBE", ALL)
    play.exchange.inject(Fault("silent", channel="trade", symbol="BTCUSDT", seconds=9), play.ns())
    assert "btcusdt@trade" not in names(play.pass_time(5))
    play.exchange.inject(Fault("error", symbol="ETHUSDT", name="invalid stream", seconds=5), play.ns())
    (said,) = play.call(conn, "SUBSCRIBE", ["ethusdt@trade"])
    assert said["error"]["msg"] == "Invalid request: invalid stream"
    play.exchange.inject(Fault("fragments", count=3, seconds=5), play.ns())
    opcodes = {output.opcode for output in play.pass_time(4) if output.kind == "frame"}
    assert opcodes == {0, 1}
    play.exchange.inject(Fault("delist", symbol="BTCUSDT"), play.ns())
    assert not names(play.pass_time(5))
    status, _, body = play.exchange.get(play.ns(), "/api/v3/exchangeInfo?x=1")
    assert status == 200
    assert venue("binance").parse_markets(body) == {"ETHUSDT", "ETHBTC"}  # type: ignore[misc]
    play.exchange.inject(Fault("drop_rst"), play.ns())
    assert [end.kind for end in ends(play.pass_time(1))] == ["reset"]


def test_the_same_seed_gives_the_same_bytes() -> None:
    def run() -> list[Any]:
        play = BinancePlay(seed=7, rate=5.0)
        play.call(play.connect(path="/stream"), "SUBSCRIBE", ALL)
        return play.pass_time(20)

    assert run() == run()


def test_what_markets_send_is_true_to_itself_and_decodes_to_what_json_reads() -> None:
    play = BinancePlay(rate=50.0)
    conn = play.connect(path="/stream")
    play.call(conn, "SUBSCRIBE", [*ALL, "btcusdt@kline_1s", "btcusdt@depth20"])
    binance, trades, aggregated, closed = venue("binance"), [], [], []
    for output in play.pass_time(90):
        if output.kind != "frame":
            continue
        said = json.loads(output.payload)
        kind, data = said["stream"].split("@")[1], said["data"]
        event: Any = subcore.decode(binance, output.payload)
        assert event.symbol == "BTCUSDT"
        if kind == "trade":
            trades.append((data["t"], data["p"], data["q"]))
            assert (event.price, event.side.name) == (float(data["p"]), "SELL" if data["m"] else "BUY")
        elif kind == "aggTrade":
            aggregated.append((data["a"], data["f"], data["l"], data["p"], data["q"]))
        elif kind.startswith("depth"):
            assert len(event.bids) == len(event.asks) == int(kind.removeprefix("depth"))
            assert event.bids[0].price < event.asks[0].price
            assert [level.price for level in event.asks] == sorted(level.price for level in event.asks)
        elif kind == "kline_1s" and data["k"]["x"]:
            closed.append(event)
    ids = [ident for ident, _, _ in trades]
    assert len(ids) > 100
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    numbers = [number for number, *_ in aggregated]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    for _, first, last, price, size in aggregated:
        parts = [(p, float(q)) for ident, p, q in trades if first <= ident <= last]
        assert {p for p, _ in parts} == {price}
        assert sum(q for _, q in parts) == pytest.approx(float(size))
    starts = [candle.start_time_ns for candle in closed]
    assert len(starts) > 60
    assert starts == sorted(set(starts))
    assert sum(candle.trade_count for candle in closed) <= len(ids) + 5


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("1m", "2026-09-21 14:13:00", "2026-09-21 14:14:00"),
        ("12h", "2026-09-21 12:00:00", "2026-09-22 00:00:00"),
        ("1w", "2026-09-21 00:00:00", "2026-09-28 00:00:00"),
        ("1M", "2026-09-01 00:00:00", "2026-10-01 00:00:00"),
    ],
)
def test_where_candles_begin(interval: str, start: str, end: str) -> None:
    said = [round(datetime.fromisoformat(t).replace(tzinfo=UTC).timestamp() * 1000) for t in (start, end)]
    assert bounds(interval, START // 10**6) == (said[0], said[1] - 1)
    assert START == 1_790_000_000 * SECOND


def test_names_of_streams() -> None:
    stream = parse_stream("btcusdt@depth5@100ms")
    assert stream is not None
    assert (stream.code, stream.type, stream.kind, stream.is_fast) == (
        "BTCUSDT",
        "depth5",
        "depth5@100ms",
        True,
    )
    assert parse_stream("btcusdt@kline_1M") != parse_stream("btcusdt@kline_1m")
    assert parse_stream("btcusdt@kline_1H") is None


def test_wrong_options_are_named() -> None:
    with pytest.raises(ValueError, match="rate must be positive"):
        BinanceExchange(rate=0)
    with pytest.raises(ValueError, match="does not end in USDT or BTC"):
        BinanceExchange(markets=["BTCEUR"])
    assert len(BinanceExchange().markets) > 500
