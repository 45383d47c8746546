"""The list of markets helps when it can be had and harms nobody when it cannot."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from subcore.markets import MarketList, cache_file, fetch_over_rest


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


async def test_a_failed_refresh_keeps_what_is_known() -> None:
    server, url = await serve(b'[{"market":"KRW-BTC"}]')
    markets = over_rest(url)
    async with server:
        await markets.refresh()
    assert await markets.refresh() == {"KRW-BTC"}


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


@pytest.mark.parametrize("damage", [b"", b"{}", b"\x00\xff", b"[1,2]"])
def test_a_damaged_cache_counts_as_none(damage: bytes) -> None:
    path = cache_file("test-venue")
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    assert over_rest("http://x").load_cached() is None
