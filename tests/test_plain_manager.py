"""The yardstick must itself be right: what the plain manager sends, counts, delivers and forgets."""

from __future__ import annotations

import asyncio
import gc
import json

import pytest
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

pytest.importorskip("orjson", reason="the plain manager needs orjson: install the extra [dev]")

from subcore.scenarios.plain_manager import PlainManager, Topic, run


class Recorder:
    """A component that keeps what it got, and asks again after a reconnect if it was told to."""

    def __init__(
        self, manager: PlainManager, wants: dict[str, list[str]], *, asks_again: bool = True
    ) -> None:
        self.got: list[Topic] = []
        self._manager = manager
        self._wants = wants
        self._asks_again = asks_again

    def ask(self) -> None:
        for channel, symbols in self._wants.items():
            self._manager.subscribe(self, channel, symbols)

    def on_data(self, channel: str, symbol: str, data: dict[str, object]) -> None:
        self.got.append((channel, symbol))

    def on_reconnect(self) -> None:
        if self._asks_again:
            self.ask()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def manager(clock: Clock) -> PlainManager:
    return PlainManager(clock=clock)


@pytest.fixture
def sent(manager: PlainManager) -> list[bytes]:
    messages: list[bytes] = []
    manager.connected(messages.append)
    return messages


def sets_in(message: bytes) -> dict[str, set[str]]:
    ticket, *types, style = json.loads(message)
    assert ticket["ticket"]
    assert style == {"format": "DEFAULT"}
    return {one["type"]: set(one["codes"]) for one in types}


def frame(channel: str, symbol: str) -> bytes:
    return json.dumps({"type": channel, "code": symbol, "trade_price": 1.5}).encode()


def scenario_one(manager: PlainManager) -> list[Recorder]:
    return [
        Recorder(manager, {"ticker": ["KRW-BTC", "KRW-ETH"]}),
        Recorder(manager, {"orderbook": ["KRW-BTC"], "candle.1m": ["KRW-BTC"]}),
        Recorder(manager, {"ticker": ["KRW-BTC", "KRW-ADA", "KRW-DOT"]}),
        Recorder(manager, {"trade": ["KRW-BTC"]}),
    ]


def test_each_change_is_sent_at_once_and_whole(manager: PlainManager, sent: list[bytes]) -> None:
    for component in (components := scenario_one(manager)):
        component.ask()
    assert [len(sets_in(message)) for message in sent] == [1, 2, 3, 3, 4]
    assert sets_in(sent[-1]) == {
        "ticker": {"KRW-BTC", "KRW-ETH", "KRW-ADA", "KRW-DOT"}, "orderbook": {"KRW-BTC"},
        "candle.1m": {"KRW-BTC"}, "trade": {"KRW-BTC"},
    }  # fmt: skip
    assert manager.sent == len(sent)
    assert len(components) == 4


def test_what_changes_nothing_on_the_wire_is_not_sent(manager: PlainManager, sent: list[bytes]) -> None:
    first = Recorder(manager, {})
    second = Recorder(manager, {})
    manager.subscribe(first, "ticker", ["KRW-BTC"])
    manager.subscribe(second, "ticker", ["KRW-BTC"])
    manager.unsubscribe(first, "ticker", ["KRW-BTC", "KRW-XRP"])
    manager.unsubscribe(first, "trade", ["KRW-BTC"])
    assert len(sent) == 1
    manager.subscribe(second, "trade", ["KRW-BTC"])
    manager.unsubscribe(second, "ticker", ["KRW-BTC"])
    assert sets_in(sent[-1]) == {"trade": {"KRW-BTC"}}
    manager.unsubscribe(second, "trade", ["KRW-BTC"])
    assert len(sent) == 3
    assert manager.topics() == []


def test_frames_are_counted_and_reach_each_holder_once(
    manager: PlainManager, sent: list[bytes], clock: Clock
) -> None:
    both, one = Recorder(manager, {}), Recorder(manager, {})
    manager.subscribe(both, "ticker", ["KRW-BTC", "KRW-ETH"])
    manager.subscribe(both, "ticker", ["KRW-BTC"])
    manager.subscribe(one, "ticker", ["KRW-BTC"])
    clock.now = 3.0
    manager.on_frame(frame("ticker", "KRW-BTC"))
    manager.on_frame(memoryview(frame("ticker", "KRW-ETH")))
    manager.on_frame(frame("ticker", "KRW-BTC"))
    manager.on_frame(frame("ticker", "KRW-XRP"))
    assert both.got == [("ticker", "KRW-BTC"), ("ticker", "KRW-ETH"), ("ticker", "KRW-BTC")]
    assert one.got == [("ticker", "KRW-BTC")] * 2
    stats = manager.stats["ticker", "KRW-BTC"]
    assert (stats.messages, stats.bytes, stats.last_time) == (2, 2 * len(frame("ticker", "KRW-BTC")), 3.0)
    assert set(manager.stats) == {("ticker", "KRW-BTC"), ("ticker", "KRW-ETH")}


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"[1]", b'{"error":{"name":"X"}}', b'{"type":[],"code":{}}', b"\xff"]
)
def test_other_frames_are_errors_and_harm_nothing(manager: PlainManager, payload: bytes) -> None:
    manager.on_frame(payload)
    manager.on_frame(b'{"status":"UP"}')
    assert manager.errors == 1


def test_one_who_raises_does_not_harm_the_others(manager: PlainManager, sent: list[bytes]) -> None:
    class Broken(Recorder):
        def on_data(self, channel: str, symbol: str, data: dict[str, object]) -> None:
            raise ValueError("broken")

    components = [Broken(manager, {}), Recorder(manager, {}), Broken(manager, {})]
    for component in components:
        manager.subscribe(component, "trade", ["KRW-BTC"])
    manager.on_frame(frame("trade", "KRW-BTC"))
    assert components[1].got == [("trade", "KRW-BTC")]
    assert manager.errors == 2


def test_restoring_is_left_to_the_components(manager: PlainManager, sent: list[bytes]) -> None:
    caring = Recorder(manager, {"ticker": ["KRW-BTC"], "trade": ["KRW-BTC"]})
    careless = Recorder(manager, {"orderbook": ["KRW-ETH"]}, asks_again=False)
    caring.ask()
    careless.ask()
    manager.disconnected()
    after: list[bytes] = []
    manager.connected(after.append)
    assert [sets_in(message) for message in after] == [
        {"ticker": {"KRW-BTC"}},
        {"ticker": {"KRW-BTC"}, "trade": {"KRW-BTC"}},
    ]


def test_changes_before_the_first_connect_go_out_with_it_in_one_message(manager: PlainManager) -> None:
    for component in (components := scenario_one(manager)):
        component.ask()
    messages: list[bytes] = []
    manager.connected(messages.append)
    assert len(messages) == 1
    assert len(sets_in(messages[0])) == 4
    assert len(components) == 4


def test_quiet_and_orphaned_topics_are_found_at_the_ten_minute_check(
    manager: PlainManager, sent: list[bytes], clock: Clock
) -> None:
    component, leaving = Recorder(manager, {}), Recorder(manager, {})
    manager.subscribe(component, "ticker", ["KRW-BTC", "KRW-ETH"])
    manager.subscribe(leaving, "trade", ["KRW-BTC"])
    clock.now = 300.0
    manager.on_frame(frame("ticker", "KRW-BTC"))
    assert manager.check_stale() == []
    assert len(sent) == 2
    del leaving
    gc.collect()
    clock.now = 600.0
    assert manager.check_stale() == [("ticker", "KRW-ETH")]
    assert sets_in(sent[-1]) == {"ticker": {"KRW-BTC", "KRW-ETH"}}
    assert ("trade", "KRW-BTC") not in manager.stats


async def test_on_a_socket_it_connects_again_and_puts_fragments_together() -> None:
    requests: asyncio.Queue[bytes] = asyncio.Queue()
    whole = frame("ticker", "KRW-BTC")

    class Server(WSListener):
        def on_ws_frame(self, transport: WSTransport, received: WSFrame) -> None:
            if received.msg_type != WSMsgType.TEXT:
                return
            requests.put_nowait(received.get_payload_as_bytes())
            transport.send(WSMsgType.BINARY, whole[:9], False)
            transport.send(WSMsgType.CONTINUATION, whole[9:])
            transport.send(WSMsgType.BINARY, whole)
            transport.send_close()
            transport.disconnect()

    def accept(request: WSUpgradeRequest) -> Server:
        return Server()

    server = await ws_create_server(accept, "127.0.0.1", 0)
    manager = PlainManager()
    component = Recorder(manager, {"ticker": ["KRW-BTC"]})
    component.ask()
    port = server.sockets[0].getsockname()[1]
    running = asyncio.create_task(run(manager, f"ws://127.0.0.1:{port}/", retry_seconds=0.0))
    try:
        assert sets_in(await requests.get()) == sets_in(await requests.get()) == {"ticker": {"KRW-BTC"}}
        assert len(component.got) >= 2
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        server.close()
        await server.wait_closed()
