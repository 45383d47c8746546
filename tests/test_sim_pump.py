"""How the server keeps up: what one step of its pump brings, how far it lies behind, how it ends a connection."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable

import pytest

from sim_running import FAST, Running, open_client
from subcore.sim import SECOND, peer
from subcore.sim.server import SimServer
from ws_client import HandshakeFailed, get

START = 1_790_000_000 * SECOND
MEGABYTE = 1 << 20


class Paced:
    """A server on a clock moved by hand, its exchange asked for books of all markets by a client without a socket."""

    def __init__(self, **options: float) -> None:
        self.now = START
        self.server = SimServer(clock=lambda: self.now, **options)

    def ask(self) -> None:
        exchange = self.server.exchange
        conn = exchange.connect(self.now)
        items = [
            {"ticket": "t"},
            {"type": "orderbook", "codes": list(exchange.markets), "is_only_realtime": True},
        ]
        exchange.receive(conn, 1, json.dumps(items).encode(), self.now)  # type: ignore[arg-type]

    async def steps(self, seconds: float) -> list[tuple[int, int]]:
        """Let the clock jump: (bytes brought, nanoseconds behind) of each step until the traffic has caught up."""
        self.now += round(seconds * SECOND)
        self.server.wake()
        found: list[tuple[int, int]] = []
        before = self.server.exchange.stats.bytes
        async with asyncio.timeout(30):
            while not found or self.server.behind_ns:
                await asyncio.sleep(0)
                if (self.server.behind_ns, self.server.exchange.stats.bytes) != (
                    found and found[-1][1],
                    before,
                ):
                    found.append((self.server.exchange.stats.bytes - before, self.server.behind_ns))
                    before = self.server.exchange.stats.bytes
        return found


async def test_the_server_tells_how_far_its_traffic_lies_behind() -> None:
    paced = Paced(rate=5.0)
    async with paced.server:
        assert paced.server.behind_ns == 0
        paced.ask()
        await paced.steps(0.5)
        behind = [behind for _, behind in await paced.steps(1.0)]
    assert 0.9 * SECOND < behind[0] <= 1.0 * SECOND
    assert behind == sorted(behind, reverse=True)
    assert len(behind) >= 1.0 / 0.020 - 1, "no step is longer than 20 ms of traffic"
    assert behind[-1] == 0


async def test_a_flood_comes_in_steps_of_about_a_megabyte() -> None:
    """At 100 times the traffic 20 ms hold 4 MB: what one step brings shrinks to what a client's buffer may hold."""
    paced = Paced(rate=200.0, variety=2)
    async with paced.server:
        paced.ask()
        await paced.steps(0.3)
        steps = [brought for brought, _ in await paced.steps(0.2)]
    assert sum(steps) > 10 * MEGABYTE
    assert max(steps) < 2 * MEGABYTE
    settled = steps[:-1]
    assert sum(settled) / len(settled) > MEGABYTE / 2


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No end of a connection comes from the grace: a test that waits for it fails."""
    monkeypatch.setattr(peer, "_CLOSE_GRACE", 60.0)


def test_the_connection_ends_with_the_answer_to_the_client_close(
    serve: Callable[..., Running], patient: None
) -> None:
    running = serve(durations=FAST)
    with open_client(running) as client:
        client.send((1000).to_bytes(2, "big"), 8)
        assert client.wait_end() == "close 1000"
        assert client.sock.recv(1) == b""


def test_the_connection_ends_when_the_client_has_answered_the_close(
    serve: Callable[..., Running], patient: None
) -> None:
    running = serve(durations=FAST)
    with open_client(running) as client:
        client.send(b"nonsense")
        assert client.wait_end() == "close 1000"
        client.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        client.sock.settimeout(5)
        client.send((1000).to_bytes(2, "big"), 8)
        assert client.sock.recv(1) == b""


FROM = "X-Forwarded-For"


def test_a_client_is_known_by_the_first_address_it_was_forwarded_for(serve: Callable[..., Running]) -> None:
    running = serve()

    def connect(address: str) -> None:
        open_client(running, headers={FROM: address}).sock.close()

    for proxy in range(5):
        connect(f"10.0.0.1, 192.168.0.{proxy}")
    with pytest.raises(HandshakeFailed) as refused:
        connect(" 10.0.0.1 ,192.168.0.9")
    assert refused.value.status == 429
    connect("10.0.0.2, 10.0.0.1")
    connect("")
    assert [violation.ip for violation in running.server.violations] == ["10.0.0.1"]


def test_rest_requests_are_counted_by_that_address_too(serve: Callable[..., Running]) -> None:
    running = serve()
    url = running.server.rest_url + "/v1/market/all"
    most = running.server.exchange.rules.rest_requests
    for number in itertools.count(1):
        if get(url, {FROM: f"10.0.0.1, 192.168.0.{number}"})[0] == 429:
            break
        assert number <= most
    assert number == most + 1
    assert get(url, {FROM: "10.0.0.2"})[0] == 200
    assert get(url)[0] == 200
    assert [violation.ip for violation in running.server.violations] == ["10.0.0.1"]
