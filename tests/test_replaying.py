"""A recording in place of a connection drives the same components, completely and in order."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

import subcore
from subcore.errors import RecordingError, UsageError
from subcore.recording import FrameReader, Recorder
from subcore.sim.server import SimServer

TRADE = (
    '{{"type":"trade","code":"{code}","timestamp":{ms},"trade_price":{price},"trade_volume":0.1,"ask_bid":"BID",'
    '"sequential_id":{id},"stream_type":"REALTIME"}}'
)
BEGAN = 1_788_000_000_000


def recording(path: Path, count: int) -> None:
    recorder = Recorder(path)
    for i in range(count):
        frame = TRADE.format(
            code=("KRW-BTC", "KRW-ETH")[i % 2], ms=BEGAN + i, price=100 + i, id=BEGAN * 10 + i
        )
        recorder.write((BEGAN + i) * 1_000_000 + 5, frame.encode())
    recorder.close()


async def test_everything_arrives_in_order_even_through_a_small_queue(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    recording(path, 3000)
    async with subcore.SubscriptionManager("upbit", replay=path, speed=0) as manager:
        component = manager.component("reader", delivery=subcore.Queue(600))
        component.subscribe("trade", ["KRW-BTC", "KRW-ETH"])
        seen = [event async for event in component]
        assert component.closed
    assert [event.price for event in seen] == [100.0 + i for i in range(3000)]
    assert seen[7].receive_time_ns == (BEGAN + 7) * 1_000_000 + 5


@pytest.mark.parametrize("size", [1, 2, 3, 100, 300])
@pytest.mark.parametrize("handled", [False, True])
async def test_nothing_is_lost_whatever_a_queue_holds(tmp_path: Path, size: int, handled: bool) -> None:
    """A large queue beside it changes nothing, nor does a full one that nobody reads, once its component is paused."""
    path = tmp_path / "x.jsonl"
    recording(path, 1000)
    seen: list[Any] = []

    async def handle(event: Any) -> None:
        seen.append(event)
        await asyncio.sleep(0)

    async with subcore.SubscriptionManager("upbit", replay=path, speed=0) as manager:
        component = manager.component("reader", delivery=subcore.Queue(10_000 if handled else size))
        component.subscribe("trade", ["KRW-BTC", "KRW-ETH"])
        paused = manager.component("paused", delivery=subcore.Queue(1))
        paused.subscribe("trade", "KRW-BTC")
        if handled:
            other = manager.component("other")
            other.subscribe("trade", ["KRW-BTC", "KRW-ETH"], handle, delivery=subcore.Queue(size))
        read = []
        async for event in component:
            if not read:
                paused.pause()
            read.append(event)
        assert (component.stats().lost, len(await paused.batch())) == (0, 1)
    for events in (read, seen) if handled else (read,):
        assert [event.price for event in events] == [100.0 + i for i in range(1000)]


async def test_a_frame_that_brings_several_events_to_one_queue_loses_none(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    book = (
        '{{"type":"orderbook","code":"KRW-BTC","timestamp":{ms},"total_ask_size":1.0,"total_bid_size":1.0,'
        '"orderbook_units":[{{"ask_price":2.0,"bid_price":1.0,"ask_size":1.0,"bid_size":1.0}}],'
        '"stream_type":"REALTIME"}}'
    )
    lines = []
    for i in range(200):
        trades = [
            TRADE.format(code="KRW-BTC", ms=BEGAN + i, price=3 * i + k, id=BEGAN * 10 + 3 * i + k)
            for k in range(3)
        ]
        lines += [f"[{','.join(trades)}]", book.format(ms=BEGAN + i)]
    path.write_text("\n".join(lines))
    async with subcore.SubscriptionManager("upbit", replay=path, speed=0) as manager:
        component = manager.component("reader", delivery=subcore.Queue(3))
        component.subscribe("trade", "KRW-BTC")
        for depth in (1, 5, 15):
            component.subscribe("orderbook", "KRW-BTC", depth=depth)
        seen = [event async for event in component]
        assert component.stats().lost == 0
    assert [event.price for event in seen if event.channel == "trade"] == [float(i) for i in range(600)]
    assert len([event for event in seen if event.channel == "orderbook"]) == 600


@pytest.mark.parametrize("size", [3, 8192])
async def test_who_waits_for_proof_before_he_reads_gets_all(tmp_path: Path, size: int) -> None:
    """With the small one, the second market's first trade is behind what does not fit before he reads."""
    path = tmp_path / "x.jsonl"
    lines = [
        TRADE.format(code="KRW-ETH" if i > 20 else "KRW-BTC", ms=BEGAN + i, price=i, id=BEGAN * 10 + i)
        for i in range(100)
    ]
    path.write_text("\n".join(lines))
    async with subcore.SubscriptionManager("upbit", replay=path, speed=0) as manager:
        component = manager.component("reader", delivery=subcore.Queue(size))
        component.subscribe("trade", ["KRW-BTC", "KRW-ETH"])
        await component.live(10.0)
        seen = [event async for event in component]
        assert component.stats().lost == 0
    assert [event.price for event in seen] == [float(i) for i in range(100)]


async def test_recorded_time_is_kept_at_the_speed_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    recording(path, 400)
    loop = asyncio.get_running_loop()
    async with subcore.SubscriptionManager("upbit", replay=path, speed=2.0) as manager:
        component = manager.component("reader")
        component.subscribe("trade", ["KRW-BTC", "KRW-ETH"])
        await component.batch()
        began = loop.time()
        while await component.batch():
            pass
        assert loop.time() - began >= 0.15  # 0.4 s of recorded time at double speed; a floor, never a ceiling


async def test_what_was_recorded_live_replays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl.gz"
    live: list[Any] = []
    async with (
        SimServer(seed=9, rate=20.0) as server,
        subcore.SubscriptionManager("upbit", url=server.url) as manager,
    ):
        manager.record(path)
        component = manager.component("live")
        component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], live.append)
        component.subscribe("orderbook", "KRW-BTC", live.append, depth=5)
        await component.live(10.0)
        async with asyncio.timeout(10.0):
            while len(live) < 30:
                await asyncio.sleep(0.01)
        component.close()
    again: list[Any] = []
    async with subcore.SubscriptionManager("upbit", replay=path, speed=0) as manager:
        component = manager.component("again")
        component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], again.append)
        component.subscribe("orderbook", "KRW-BTC", again.append, depth=5)
        assert await component.batch() == []
    assert [event.to_dict() for event in again[: len(live)]] == [event.to_dict() for event in live]


async def test_recorded_frames_of_the_venue(recordings: Path) -> None:
    path = recordings / "upbit" / "rec_2021-04-05_simple_trade_orderbook.jsonl.gz"
    with gzip.open(path) as file:
        frames = [json.loads(line) for line in file]
    symbols = sorted({frame["cd"] for frame in frames})
    async with subcore.SubscriptionManager("upbit", replay=path, speed=0) as manager:
        component = manager.component("all")
        component.subscribe("trade", symbols)
        component.subscribe("orderbook", symbols)
        seen = [event async for event in component]
        stats = manager.stats()
    assert [(e.channel, e.symbol, e.exchange_time_ns) for e in seen] == [
        (f["ty"], f["cd"], f["tms"] * 1_000_000) for f in frames
    ]
    assert stats.frames == len(frames)
    assert stats.bad_frames == {}


async def test_bad_frames_are_counted_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"type":"trade"\nnot json\n{"type":"trade","code":"\xff"}\n')
    async with subcore.SubscriptionManager("upbit", replay=path, speed=0) as manager:
        component = manager.component("reader")
        component.subscribe("trade", "KRW-BTC")
        assert [event async for event in component] == []
        assert sum(manager.stats().bad_frames.values()) == 3
        assert [frame.head for frame in manager.bad_frames()][1] == b"not json"


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="nowhere"):
        subcore.SubscriptionManager("upbit", replay=tmp_path / "nowhere.jsonl")
    with pytest.raises(UsageError, match="speed"):
        subcore.SubscriptionManager("upbit", speed=-1)


async def test_a_handler_that_goes_may_close_another_component_as_the_replay_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    recording(path, 3)

    class Chain:
        """A handler that takes a component with it."""

        def __call__(self, event: Any) -> None:
            pass

        def __del__(self) -> None:
            second.close()

    async with subcore.SubscriptionManager("upbit", replay=path, speed=0) as manager:
        first, second, third = map(manager.component, ("first", "second", "third"))
        first.subscribe("trade", "KRW-BTC", Chain())
        third.subscribe("trade", "KRW-BTC")
        async with asyncio.timeout(10.0):
            assert [event.price async for event in third] == [100.0, 102.0]
        assert first.closed
        assert second.closed


@pytest.mark.parametrize("started", [False, True])
async def test_a_recording_that_nobody_asked_for_is_not_left_open(
    tmp_path: Path, started: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.jsonl"
    recording(path, 3)
    readers: list[FrameReader] = []

    class Noted(FrameReader):
        def __init__(self, path: str | Path) -> None:
            super().__init__(path)
            readers.append(self)

    monkeypatch.setattr("subcore.replaying.FrameReader", Noted)
    manager = subcore.SubscriptionManager("upbit", replay=path, speed=0)
    if started:
        await manager.start()
    await manager.close()
    assert [reader._file.closed for reader in readers] == [True]
