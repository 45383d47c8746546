"""The venue's habits over a real socket, seen by an independent client (ws_client). Most times are divided by 20."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable

import pytest

from sim_running import FAST, Running, open_client, parsed
from subcore.sim import Durations, Exchange, Fault
from subcore.sim.server import SimServer
from ws_client import Client, HandshakeFailed, get


def test_handshake_and_binary_frames(serve: Callable[..., Running]) -> None:
    with open_client(serve()) as client:
        assert client.headers["remaining-req"] == "group=websocket; min=300; sec=3"
        client.ask("ticker", ["KRW-BTC"])
        frame = client.frame()
        assert (frame.opcode, frame.fin) == (2, True)
        body = json.loads(frame.payload)
        assert (body["type"], body["code"], body["stream_type"]) == ("ticker", "KRW-BTC", "SNAPSHOT")


def test_all_markets_snapshot_once_in_two_bursts_then_flow(serve: Callable[..., Running]) -> None:
    running = serve(rate=3.0)
    with open_client(running) as client:
        codes = list(running.server.exchange.markets)
        sent = time.monotonic()
        client.ask("orderbook", codes)
        frames = client.frames_for(1.5)
        for _ in range(20):  # a busy machine may take longer; it may not lose or repeat any
            if (
                sum(b'"SNAPSHOT"' in f.payload for f in frames) >= len(codes)
                and len(frames) > len(codes) + 500
            ):
                break
            frames += client.frames_for(0.5)
    counts = Counter(b["code"] for b in parsed(frames) if b["stream_type"] == "SNAPSHOT")
    assert counts == Counter(codes)
    snapshots = [f.at - sent for f in frames if b'"SNAPSHOT"' in f.payload]
    assert snapshots[0] >= 0.175
    assert sum(t < 0.335 for t in snapshots) <= (len(codes) + 1) // 2
    assert len(frames) - len(snapshots) > 500


def test_replacement_leaves_at_most_two_late_frames(serve: Callable[..., Running]) -> None:
    with open_client(serve(durations=FAST, rate=5.0)) as client:
        client.ask("orderbook", ["KRW-BTC"])
        client.frames_for(0.3)
        client.ask("orderbook", ["KRW-ETH"])
        frames = client.frames_for(1.0)
        first_new = next(f.at for f in frames if b"KRW-ETH" in f.payload)
        assert sum(b"KRW-BTC" in f.payload and f.at > first_new for f in frames) <= 2
        assert not any(b"KRW-BTC" in f.payload for f in frames[len(frames) // 2 :])


def test_unknown_code_is_silent_and_an_error_closes_after_its_frame(serve: Callable[..., Running]) -> None:
    with open_client(serve()) as client:
        client.ask("trade", ["KRW-NOSUCH", "krw-btc"])
        assert client.frames_for(0.6) == []
        client.send([{"ticket": "t"}, {"type": "trade", "codes": []}])
        error = client.frame()
        assert json.loads(error.payload)["error"]["name"] == "INVALID_PARAM"
        close = client.frame()
        assert (close.opcode, close.payload) == (8, (1000).to_bytes(2, "big"))
        assert 0.12 <= close.at - error.at < 1.0
        client.send((1000).to_bytes(2, "big"), 8)
        assert client.wait_end() == "FIN"


def test_idle_drop_has_no_close_frame(serve: Callable[..., Running]) -> None:
    running = serve(durations=Durations().divided(100))
    with open_client(running) as client:
        started = time.monotonic()
        assert client.wait_end() == "FIN"
        assert time.monotonic() - started >= 0.59
    assert running.server.exchange.stats.idle_drops == 1


def test_pings_are_answered_and_text_ping_starts_status_frames(serve: Callable[..., Running]) -> None:
    with open_client(serve(durations=FAST)) as client:
        client.send(b"payload", 9)
        assert client.frame()[:2] == (10, b"payload")
        client.send(b"PING")
        assert [client.json() for _ in range(3)] == [{"status": "UP"}] * 3


def test_listing_in_simple_format(serve: Callable[..., Running]) -> None:
    with open_client(serve(durations=FAST)) as client:
        client.ask("ticker", ["KRW-BTC"])
        client.json()
        client.send([{"ticket": "who"}, {"method": "LIST_SUBSCRIPTIONS"}, {"format": "SIMPLE"}])
        bodies = parsed(client.frames_for(0.5))
        reply = next(b for b in bodies if "mthd" in b)
        assert reply == {
            "mthd": "LIST_SUBSCRIPTIONS",
            "rslt": [{"ty": "ticker", "cds": ["KRW-BTC"]}],
            "tckt": "who",
        }


def test_message_limit_is_judged_on_arrival(serve: Callable[..., Running]) -> None:
    running = serve()
    with open_client(running) as client:
        for _ in range(6):
            client.ask("ticker", ["KRW-BTC"])
        assert client.wait_end() == "close 1000"
    (violation,) = running.server.violations
    assert (violation.rule, violation.ip, violation.count) == ("message-short", "127.0.0.1", 6)


def test_connect_limit_and_origin_refuse_the_handshake(serve: Callable[..., Running]) -> None:
    running = serve()
    for _ in range(5):
        open_client(running).sock.close()
    with pytest.raises(HandshakeFailed) as refused:
        open_client(running)
    assert (refused.value.status, refused.value.headers["retry-after"]) == (429, "1")
    elsewhere = {"X-Forwarded-For": "10.1.1.1", "Origin": "https://example.com"}
    open_client(running, headers=elsewhere).sock.close()
    with pytest.raises(HandshakeFailed) as refused:
        open_client(running, headers=elsewhere)
    assert refused.value.headers["retry-after"] == "10"


def test_rest_market_list_on_the_same_port(serve: Callable[..., Running]) -> None:
    running = serve()
    status, body = get(running.server.rest_url + "/v1/market/all")
    rows = json.loads(body)
    assert (status, len(rows), set(rows[0])) == (200, 855, {"market", "korean_name", "english_name"})
    status, body = get(running.server.rest_url + "/v1/market/all?is_details=true")
    assert "caution" in json.loads(body)[0]["market_event"]
    running.inject(Fault("delist", symbol="KRW-BTC"))
    assert b'"KRW-BTC"' not in get(running.server.rest_url + "/v1/market/all")[1]
    statuses = [get(running.server.rest_url + "/v1/market/all")[0] for _ in range(9)]
    assert statuses[-1] == 429
    assert get(running.server.rest_url + "/elsewhere")[0] in (400, 404)


HOSTILE: list[tuple[str, Callable[[Client], None], str]] = [
    ("not json", lambda c: c.send(b"\x00\x01"), "close 1000"),
    ("invalid utf-8", lambda c: c.send(b'[{"ticket":"\xff"}]'), "close 1000"),
    ("a deep array", lambda c: c.send(b"[" * 500_000), "close 1000"),
    ("a wrong shape", lambda c: c.send({"a": [1, {"b": None}]}), "close 1000"),
    ("an orphan continuation", lambda c: c.send(b"x", 0), "close 1002"),
    ("a reserved bit", lambda c: c.send(b"x", 1, rsv=4), "close 1002"),
    ("a fragment inside a fragment", lambda c: [c.send(b"x", 1, fin=False), c.send(b"y", 1)], "close 1002"),  # type: ignore[arg-type,return-value]
    (
        "endless fragments",
        lambda c: [c.send(b"x" * 60_000, int(i == 0), fin=False) for i in range(20)],
        "close 1009",
    ),  # type: ignore[arg-type,return-value]
    ("a client close", lambda c: c.send((1001).to_bytes(2, "big"), 8), "close 1001"),
    ("a close of one byte", lambda c: c.send(b"\x03", 8), "close 1002"),
]


@pytest.mark.parametrize(("name", "act", "end"), HOSTILE, ids=[h[0] for h in HOSTILE])
def test_hostile_clients_end_and_harm_nobody(
    serve: Callable[..., Running], name: str, act: Callable[[Client], None], end: str
) -> None:
    running = serve(durations=FAST)
    with open_client(running) as innocent, open_client(running) as client:
        innocent.ask("orderbook", ["KRW-BTC"])
        innocent.json()
        act(client)
        assert client.wait_end() == end
        assert innocent.json()["code"] == "KRW-BTC"


def test_a_huge_frame_ends_the_connection(serve: Callable[..., Running]) -> None:
    running = serve(durations=FAST)
    with open_client(running) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.send(b"x" * (3 << 20))
        with contextlib.suppress(BrokenPipeError):
            assert client.wait_end() in ("close 1009", "close 1002", "FIN", "RST")
    with open_client(running) as client:
        client.ask("ticker", ["KRW-BTC"])
        assert client.json()["code"] == "KRW-BTC"


def test_fragmented_requests_are_made_whole(serve: Callable[..., Running]) -> None:
    with open_client(serve(durations=FAST)) as client:
        text = json.dumps([{"ticket": "t"}, {"type": "ticker", "codes": ["KRW-BTC"]}]).encode()
        client.send(text[:5], 1, fin=False)
        client.send(b"between", 9)
        client.send(text[5:20], 0, fin=False)
        client.send(text[20:], 0)
        assert client.frame().opcode == 10
        assert client.json()["code"] == "KRW-BTC"


@pytest.mark.parametrize(
    ("fault", "end"),
    [(Fault("drop_fin"), "FIN"), (Fault("drop_rst"), "RST"), (Fault("close"), "close 1001"),
     (Fault("close", code=1012), "close 1012")],
)  # fmt: skip
def test_drops(serve: Callable[..., Running], fault: Fault, end: str) -> None:
    running = serve(durations=FAST)
    with open_client(running) as client:
        running.inject(fault)
        assert client.wait_end() == end
    assert running.server.exchange.fault_counts[fault.kind] == 1


@pytest.mark.parametrize("kind", ["refuse", "cut"])
def test_connects_ended_before_or_inside_the_reply(serve: Callable[..., Running], kind: str) -> None:
    running = serve()
    running.inject(Fault(kind))
    with pytest.raises(EOFError):
        open_client(running)
    assert running.server.exchange.fault_counts[kind] == 1
    running.call(lambda: running.server.exchange.heal(running.server.clock()))
    open_client(running).sock.close()


def test_hanging_handshake(serve: Callable[..., Running]) -> None:
    running = serve()
    running.inject(Fault("hang", seconds=0.5))
    with pytest.raises(TimeoutError):
        open_client(running, timeout=0.6)
    assert running.server.exchange.fault_counts["hang"] == 1
    open_client(running).sock.close()


@pytest.mark.parametrize("status", [429, 418, 503])
def test_status_with_a_told_time(serve: Callable[..., Running], status: int) -> None:
    running = serve()
    running.inject(Fault("status", code=status, retry_after=3))
    with pytest.raises(HandshakeFailed) as refused:
        open_client(running)
    assert (refused.value.status, refused.value.headers["retry-after"]) == (status, "3")


def test_half_open_silence(serve: Callable[..., Running]) -> None:
    running = serve(durations=FAST, rate=5.0)
    with open_client(running) as client:
        client.ask("orderbook", ["KRW-BTC"])
        client.json()
        running.inject(Fault("half_open"))
        client.frames_for(0.1)
        client.send(b"", 9)
        assert client.frames_for(0.4) == []
    assert running.server.exchange.fault_counts["half_open"] > 1


def test_fragments_and_trickle_still_make_whole_messages(serve: Callable[..., Running]) -> None:
    running = serve(durations=FAST)
    with open_client(running) as client:
        running.inject(Fault("fragments", count=4))
        client.ask("orderbook", ["KRW-BTC"])
        parts = [client.frame() for _ in range(4)]
        assert [p.opcode for p in parts] == [2, 0, 0, 0]
        assert [p.fin for p in parts] == [False, False, False, True]
        assert json.loads(b"".join(p.payload for p in parts))["code"] == "KRW-BTC"
    running.call(lambda: running.server.exchange.heal(running.server.clock()))
    running.inject(Fault("trickle", lag=0.2))
    with open_client(running) as client:
        client.ask("orderbook", ["KRW-BTC"])
        client._take(1)
        begun = time.monotonic()
        client._buffer = b"\x82" + client._buffer
        assert client.json()["code"] == "KRW-BTC"
        assert time.monotonic() - begun > 0.15
    assert running.server.exchange.fault_counts["trickle"] >= 1


def test_garbage_is_sent_between_good_frames(serve: Callable[..., Running]) -> None:
    running = serve(durations=FAST, rate=5.0)
    running.inject(Fault("garbage", count=4))
    with open_client(running) as client:
        client.ask("orderbook", ["KRW-BTC"])
        frames = client.frames_for(1.0)
    bad = 0
    for frame in frames:
        try:
            bad += json.loads(frame.payload)["code"] != "KRW-BTC"
        except (ValueError, RecursionError, KeyError, TypeError):
            bad += 1
    assert running.server.exchange.fault_counts["garbage"] == 4
    assert 1 <= bad <= 4
    assert len(frames) - bad > 5


def test_a_client_that_never_reads_is_reset(serve: Callable[..., Running]) -> None:
    running = serve(write_limit=1 << 20, rate=40.0, durations=FAST)
    with open_client(running) as client:
        client.ask("orderbook", list(running.server.exchange.markets))
        end = time.monotonic() + 15
        while not running.server.slow_readers and time.monotonic() < end:
            time.sleep(0.05)
        assert running.server.slow_readers == 1


def test_scheduled_faults_happen_at_their_time(serve: Callable[..., Running]) -> None:
    running = serve(faults=[(0.4, Fault("drop_fin"))])
    with open_client(running) as client:
        assert client.wait_end() == "FIN"
    assert running.server.exchange.fault_counts["drop_fin"] == 1


async def test_an_exchange_or_options_but_not_both() -> None:
    with pytest.raises(TypeError, match="not both"):
        SimServer(Exchange(), seed=3)


async def test_close_twice_and_start_on_a_taken_port() -> None:
    async with SimServer() as server:
        with pytest.raises(OSError, match="address already in use"):
            await SimServer(port=server.port).start()
    await server.close()
