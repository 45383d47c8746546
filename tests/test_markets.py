"""The list of markets helps when it can be had and harms nobody when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manager_rig import make
from subcore.errors import SubscribeError, UsageError
from subcore.manager import SubscriptionManager
from subcore.markets import MarketList, cache_file, fetch_over_rest
from subcore.types import StreamState
from virtual_manager import World


def parse(body: bytes) -> list[str]:
    return [item["market"] for item in json.loads(body)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


async def serve(body: bytes, status: str = "200 OK") -> tuple[asyncio.Server, str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        )
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/market/all"


def over_rest(url: str) -> MarketList:
    return MarketList("test-venue", source=None, url=url, parse=parse)


async def test_fetched_kept_and_loaded_again() -> None:
    server, url = await serve(b'[{"market":"KRW-BTC"},{"market":"KRW-ETH"}]')
    async with server:
        assert await over_rest(url).refresh() == {"KRW-BTC", "KRW-ETH"}
    assert over_rest(url).load_cached() == {"KRW-BTC", "KRW-ETH"}


@pytest.mark.parametrize(("body", "status"), [(b"not json", "200 OK"), (b"[]x", "200 OK"), (b"", "503 No")])
async def test_a_venue_that_answers_nonsense_is_one_warning(
    body: bytes, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    server, url = await serve(body, status)
    markets = over_rest(url)
    with caplog.at_level(logging.WARNING):
        async with server:
            assert await markets.refresh() is None
            assert await markets.refresh() is None
    assert len(caplog.records) == 1
    assert not cache_file("test-venue").exists()


async def test_a_failed_refresh_is_told_as_such_and_keeps_the_file() -> None:
    server, url = await serve(b'[{"market":"KRW-BTC"}]')
    markets = over_rest(url)
    async with server:
        await markets.refresh()
    assert await markets.refresh() is None
    assert over_rest(url).load_cached() == {"KRW-BTC"}


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage here\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\n[{"market":',
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n[1,2,3]",
    ],
    ids=["no HTTP", "cut", "deep", "other JSON"],
)
async def test_nothing_that_a_server_says_is_raised(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(say, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert await over_rest(url).refresh() is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "judged by spelling alone" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        KeyError("data"),
        RecursionError(),
        asyncio.CancelledError(),
        [],
        "KRW-BTC",
        7,
        None,
        ["KRW-BTC", 2],
        [b"KRW-BTC"],
        [""] * 65_537,
    ],
)
async def test_a_callable_that_gives_no_list_is_one_warning(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    def source() -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    markets = MarketList("v", source=source, url=None, parse=None)
    assert await markets.refresh() is None
    assert await markets.refresh() is None
    assert len(caplog.records) == 1
    assert "markets=" in caplog.text


@pytest.mark.parametrize("symbols", [[1, 2], ["KRW-BTC", None], [["KRW-BTC", "KRW-ETH"]]])
def test_a_list_of_what_is_no_text_is_refused_where_it_is_given(symbols: Any) -> None:
    with pytest.raises(UsageError, match=r"markets=.*a symbol is a text, not (int|NoneType|list)"):
        SubscriptionManager("upbit", markets=symbols)


def test_a_callable_that_gives_numbers_refuses_nobody(caplog: pytest.LogCaptureFixture) -> None:
    world = World(markets=["KRW-BTC"])

    async def main(world: World) -> None:
        async with world.manager(markets=lambda: [1, 2]) as manager:
            desk = make(manager, "desk")
            desk.subscribe("ticker", "KRW-BTC")
            await desk.live(10.0)
            await asyncio.sleep(60.0)
            assert manager.topic("ticker", "KRW-BTC").retries == 0

    world.run(main)
    (told,) = [record.getMessage() for record in caplog.records if record.name == "subcore.markets"]
    assert "a symbol is a text, not int (1)" in told


async def test_symbols_that_can_be_read_once_are_read_once() -> None:
    markets = MarketList("v", source=(symbol for symbol in "AB"), url=None, parse=None)
    assert await markets.refresh() == await markets.refresh() == {"A", "B"}


async def test_who_asks_meanwhile_gets_an_answer_of_its_own() -> None:
    turns = iter((["A"], ["A", "B"]))

    async def source() -> list[str]:
        symbols = next(turns)
        await asyncio.sleep(0)
        return symbols

    markets = MarketList("v", source=source, url=None, parse=None)
    assert await asyncio.gather(markets.refresh(), markets.refresh()) == [{"A"}, {"A", "B"}]


async def test_a_source_that_hangs_is_asked_no_more_until_it_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where it will not be cancelled; else each question would leave a task or a thread behind."""
    monkeypatch.setattr("subcore.markets.FETCH_DEADLINE_S", -0.95)  # 50 ms
    asked, end = [], asyncio.Event()

    async def source() -> list[str]:
        asked.append(1)
        while not end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await end.wait()
        return ["A"]

    markets = MarketList("v", source=source, url=None, parse=None)
    assert [await markets.refresh() for _ in range(3)] == [None] * 3
    assert len(asked) == 1
    end.set()
    assert await markets.refresh() == {"A"}


async def test_a_full_disk_leaves_no_file_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("subcore.markets.os.replace", full)
    server, url = await serve(b'[{"market":"KRW-BTC"}]')
    async with server:
        assert await over_rest(url).refresh() == {"KRW-BTC"}
    assert list(cache_file("test-venue").parent.iterdir()) == []


async def test_the_file_is_written_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    replace = os.replace

    def noted(*paths: Any) -> None:
        threads.append(threading.current_thread().name)
        replace(*paths)

    monkeypatch.setattr("subcore.markets.os.replace", noted)
    server, url = await serve(b'[{"market":"KRW-BTC"}]')
    async with server:
        assert await over_rest(url).refresh() == {"KRW-BTC"}
    assert threads == ["subcore-markets"]


def _explained(markets: Any, meanwhile: Callable[[], None]) -> str:
    """Of a market that the first list does not name, half a minute after it was asked for."""

    async def main(world: World) -> str:
        async with world.manager(markets=markets) as manager:
            component = make(manager, "a")
            component.subscribe("ticker", "KRW-BTC")
            await component.live(10)
            meanwhile()
            component.subscribe("ticker", "KRW-ETH")
            await asyncio.sleep(30)
            assert [task.get_name() for task in asyncio.all_tasks()].count("subcore-markets") == 1
            return manager.explain("ticker", "KRW-ETH")

    explained: str = World().run(main)
    return explained


@pytest.mark.parametrize("error", [OSError("REST is down"), KeyError("data")], ids=["down", "no list"])
def test_a_market_that_is_new_goes_out_while_no_list_can_be_had(error: Exception) -> None:
    down: list[Exception] = []

    def markets() -> list[str]:
        if down:
            raise down[0]
        return ["KRW-BTC"]

    assert "proven by data" in _explained(markets, lambda: down.append(error))


def test_a_market_that_the_newest_list_does_not_name_is_refused() -> None:
    assert "not listed" in _explained(["KRW-BTC"], lambda: None)


@pytest.mark.parametrize(("given", "within"), [(True, 0.3), (False, 11.0)], ids=["a list", "a callable"])
def test_who_asks_again_for_a_market_that_is_not_given_is_refused_at_once(given: bool, within: float) -> None:
    """There is nothing to ask anew; a callable is spared, and what it says then counts."""
    symbols = ["KRW-BTC", "KRW-ETH"]

    async def main(world: World) -> list[float]:
        took = []
        async with world.manager(markets=symbols if given else lambda: symbols) as manager:
            component = make(manager, "a")
            component.subscribe("ticker", ["KRW-BTC", "KRW-XRP"])
            with pytest.raises(SubscribeError, match="not listed"):
                await component.live(10)
            snapshot = manager.snapshot()
            for back in (False, False, True):
                await asyncio.sleep(1)
                began = world.ns()
                if back:
                    component.close()
                    report = await manager.restore(snapshot)
                    assert [one.state for one in report.streams] == [StreamState.OPEN, StreamState.REFUSED]
                else:
                    component.subscribe("ticker", "KRW-XRP")
                    with pytest.raises(SubscribeError, match="not listed"):
                        await component.live(15)
                took.append((world.ns() - began) / 1e9)
        return took

    took: list[float] = World().run(main)
    assert max(took) < within
    assert given or min(took) > 8.0


async def test_a_huge_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subcore.markets.MAX_BODY_BYTES", 10)
    server, url = await serve(b'["KRW-BTC","KRW-ETH"]')
    async with server:
        with pytest.raises(ValueError, match="over 10 bytes"):
            await asyncio.to_thread(fetch_over_rest, url, parse)


async def test_sources_of_the_user() -> None:
    async def later() -> list[str]:
        return ["B"]

    for source, expected in ((["A"], {"A"}), (lambda: ["A", "A"], {"A"}), (later, {"B"})):
        assert await MarketList("v", source=source, url=None, parse=None).refresh() == expected  # type: ignore[arg-type]


async def test_nothing_to_ask() -> None:
    markets = MarketList("v", source=None, url=None, parse=None)
    assert not markets.available
    assert await markets.refresh() is None


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b"\x00\xff", b"[1,2]"])
def test_a_damaged_cache_counts_as_none(damage: bytes) -> None:
    path = cache_file("test-venue")
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    assert over_rest("http://x").load_cached() is None
