"""Carrying out questions about what is newest: pages of the venue, a user's function, refusals, hostile answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from manager_rig import make, until
from subcore import newest, pages
from subcore.clock import SystemClock
from subcore.engine import asking
from subcore.engine.actions import AskLatest
from subcore.engine.clock import SECOND
from subcore.engine.context import Settings
from subcore.engine.events import LatestKnown
from subcore.engine.pacing import LimitRegistry
from subcore.latest import Latest
from subcore.manager import SubscriptionManager
from subcore.newest import Newest, Refused, RestPages, UserCall
from subcore.sim.exchange import Exchange
from subcore.sim.faults import Fault
from subcore.sim.server import SimServer
from subcore.testing import PlainLedger, VirtualClock
from subcore.types import DataState, Topic
from subcore.venue import Venue
from subcore.venues import venue

UPBIT = venue("upbit")
assert UPBIT.latest is not None
LATEST: Latest = UPBIT.latest


@pytest.fixture(autouse=True)
def limits_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks and windows are the process's; each test has its own process, so to say."""
    registry = LimitRegistry()
    monkeypatch.setattr(newest, "PROCESS_LIMITS", registry)
    make_pacer = newest.Pacer
    monkeypatch.setattr(newest, "Pacer", lambda limits, host: make_pacer(limits, host, registry))


class Rig:
    """A Newest over `source`, asked by hand."""

    def __init__(self, source: Any, clock: Any = None) -> None:
        self.clock = clock or SystemClock()
        self.told: dict[int, int] = {}
        self.serials: dict[int, int] = {}
        self.newest = Newest(source, self.clock, self._tell)
        self.ledger = PlainLedger(UPBIT)

    def _tell(self, event: LatestKnown) -> None:
        self.told.update(zip(event.streams.tolist(), event.newest_ns.tolist(), strict=True))
        self.serials.update(zip(event.streams.tolist(), event.serials.tolist(), strict=True))

    async def ask(self, *topics: Topic) -> dict[int, int]:
        """Ask about these; what was told."""
        streams = np.array([self.ledger.subscribe("a", topic) for topic in topics], np.int32)
        self.told.clear()
        if self.newest.take(AskLatest(streams, streams + np.int64(500)), self.ledger.columns(streams)):
            await self.newest.work()
        return dict(self.told)


class Pages(RestPages):
    """The venue's pages, answered by the test: a body, a status, or what it raises."""

    def __init__(self, answer: Callable[[str], Any], clock: Any = None) -> None:
        super().__init__(replace(LATEST, limits=()), clock or SystemClock())
        self.asked: list[str] = []
        self._answer = answer

    async def _get(self, path: str) -> bytes:
        self.asked.append(path)
        said = self._answer(path)
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, bytes) else json.dumps(said).encode()


def ticker(*codes: str) -> list[Topic]:
    return [Topic("ticker", code) for code in codes]


async def test_what_the_pages_tell_reaches_the_streams_they_are_about() -> None:
    def answer(path: str) -> Any:
        if path.startswith("/v1/ticker"):
            assert path == "/v1/ticker?markets=KRW-BTC,KRW-ETH"
            eth = {"market": "KRW-ETH", "trade_timestamp": 7, "timestamp": 99}
            return [eth, {"market": "KRW-BTC", "trade_timestamp": 5}]
        assert path == "/v1/orderbook?markets=KRW-BTC&count=1"
        return [{"market": "KRW-BTC", "timestamp": 11}]

    rig = Rig(Pages(answer))
    others = Topic("trade", "KRW-BTC"), Topic("orderbook", "KRW-BTC"), Topic("candle.1m", "KRW-ETH")
    told = await rig.ask(*ticker("KRW-BTC", "KRW-ETH"), *others)
    ms = 1_000_000
    assert told == {0: 5 * ms, 1: 7 * ms, 2: 5 * ms, 3: 11 * ms, 4: 7 * ms}
    assert rig.serials == {stream: 500 + stream for stream in range(5)}


HOSTILE = (
    b"", b"nul", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"error":{"name":404}}', b"[1,null,[],\"x\"]",
    b'[{"market":5,"trade_timestamp":1},{"market":"KRW-BTC"}]',
    b'[{"market":"KRW-BTC","trade_timestamp":-1}]', b'[{"market":"KRW-BTC","trade_timestamp":1e400}]',
    b'[{"market":"KRW-BTC","trade_timestamp":' + b"9" * 4000 + b"}]",
    b'[{"market":"KRW-BTC","trade_timestamp":"5"}]', b'[{"market":"KRW-BTC","trade_timestamp":true}]',
)  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_answers_tell_nothing(body: bytes) -> None:
    rig = Rig(Pages(lambda path: body))
    assert set((await rig.ask(*ticker("KRW-BTC"))).values()) <= {0}


async def test_a_market_the_venue_does_not_know_is_found_and_left_out() -> None:
    codes = [f"KRW-N{i}" for i in range(40)]

    def answer(path: str) -> Any:
        asked = path.partition("markets=")[2].split(",")
        if "KRW-N13" in asked:
            return Refused(404, None)
        return [{"market": code, "trade_timestamp": 5} for code in asked]

    pages = Pages(answer)
    rig = Rig(pages)
    for _ in range(8):
        told = await rig.ask(*ticker(*codes))
    assert sorted(told) == [i for i in range(40) if i != 13]
    assert len(pages.asked) < 40
    pages.asked.clear()
    assert len(await rig.ask(*ticker(*codes))) == 39
    assert len(pages.asked) <= 2, "as many in one request as ever"


async def test_failures_make_the_next_questions_wait_ever_longer(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    answers: list[Any] = [OSError("no route")] * 4
    pages = Pages(lambda path: answers.pop(0) if answers else [], clock)
    rig = Rig(pages, clock)
    waits, began = [], clock.now
    with caplog.at_level(logging.INFO, "subcore.newest"):
        while answers:
            asked = len(pages.asked)
            await rig.ask(*ticker("KRW-BTC"))
            if len(pages.asked) > asked:
                waits.append((clock.now - began) / SECOND)
                began = clock.now
            clock.advance_to(clock.now + SECOND // 10)
        clock.advance_to(clock.now + 10 * SECOND)
        await rig.ask(*ticker("KRW-BTC"))
    assert waits == [0.0, 1.0, 2.0, 4.0]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@pytest.mark.parametrize(
    ("refused", "seconds"),
    [
        (Refused(429, None), 10.0),
        (Refused(429, 33.0), 33.0),
        (Refused(418, None), 120.0),
        (Refused(418, 600.0), 600.0),
    ],
)
async def test_a_refusal_blocks_the_host_for_the_whole_process(refused: Refused, seconds: float) -> None:
    clock = VirtualClock()
    first = Rig(Pages(lambda path: refused, clock), clock)
    pages = Pages(lambda path: [], clock)
    other = Rig(pages, clock)
    await first.ask(*ticker("KRW-BTC"))
    began = clock.now
    for part in (0.0, 0.2, 0.4, 0.5):
        clock.advance_to(began + round(part * seconds * SECOND))
        await other.ask(*ticker("KRW-BTC"))
        assert pages.asked == [], part
        other.newest._not_before = 0  # it was told nothing itself
    clock.advance_to(began + round(seconds * SECOND))
    await other.ask(*ticker("KRW-BTC"))
    assert len(pages.asked) == 1


async def test_a_users_function_is_asked_instead() -> None:
    asked: list[Topic] = []

    def plain(topics: Sequence[Topic]) -> Mapping[Topic, int]:
        asked.extend(topics)
        return {Topic("ticker", "KRW-ETH"): 12, Topic("ticker", "KRW-XXX"): 13}

    async def awaited(topics: Sequence[Topic]) -> Mapping[Topic, int]:
        return plain(topics)

    for call in (plain, awaited):
        asked.clear()
        rig = Rig(UserCall(call, UPBIT))
        grouped = Topic("orderbook", "KRW-BTC", grouping=1000.0)
        assert await rig.ask(*ticker("KRW-BTC", "KRW-ETH"), grouped) == {0: 0, 1: 12, 2: 0}
        assert asked[2] == grouped


BTC = Topic("ticker", "KRW-BTC")


@pytest.mark.parametrize("given", [None, 5, {BTC: "soon"}, {BTC: 1 << 70}, KeyError("x")])
async def test_what_a_users_function_does_wrong_is_a_failure(
    given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def call(topics: Sequence[Topic]) -> Any:
        if isinstance(given, Exception):
            raise given
        return given

    rig = Rig(UserCall(call, UPBIT))
    assert await rig.ask(*ticker("KRW-BTC")) == {}
    assert "cannot be asked" in caplog.text
    assert await rig.ask(*ticker("KRW-BTC")) == {}


@pytest.mark.parametrize("kind", ["plain", "stubborn"])
async def test_a_users_function_that_hangs_is_not_called_again_before_it_ends(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing waits for it beyond its deadline, no thread or task is added to the one that hangs."""
    monkeypatch.setattr(newest, "DEADLINE_S", 0.05)
    asked: list[int] = []
    going, loop_going = threading.Event(), asyncio.Event()

    def plain(topics: Sequence[Topic]) -> Mapping[Topic, int]:
        asked.append(1)
        assert going.wait(10.0)
        return {BTC: 12}

    async def stubborn(topics: Sequence[Topic]) -> Mapping[Topic, int]:
        asked.append(1)
        while not loop_going.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await loop_going.wait()
        return {BTC: 12}

    clock = VirtualClock()
    source = UserCall(plain if kind == "plain" else stubborn, UPBIT)
    rig = Rig(source, clock)
    for _ in range(3):
        assert await rig.ask(BTC) == {}
        clock.advance_to(clock.now + 100 * SECOND)
    assert len(asked) == 1
    going.set()
    loop_going.set()
    await until(lambda: not source.under_way)
    assert await rig.ask(BTC) == {0: 12}


# Over real sockets


def at_rest(url: str, rest_url: str) -> Venue:
    """Upbit at the embedded exchange, its REST too."""
    return replace(UPBIT.at(url), latest=replace(LATEST, url=rest_url))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds are tenths."""
    settings = Settings(frozen=SECOND, ask_gap=SECOND // 10, tick=SECOND // 40)
    monkeypatch.setattr("subcore.engine.engine.Settings", lambda: settings)
    for name in ("LEAD", "LATE", "LINK_LEAD", "LINK_LATE", "LINK_UNKNOWN", "UNKNOWN"):
        monkeypatch.setattr(asking, name, getattr(asking, name) // 10)


@pytest.mark.usefixtures("soon")
async def test_a_frozen_stream_is_found_over_sockets_and_comes_back() -> None:
    async with SimServer(Exchange(3, markets=["KRW-BTC", "KRW-ETH"], rate=8.0)) as server:
        async with SubscriptionManager(at_rest(server.url, server.rest_url), seed=1) as manager:
            books = make(manager, "books")
            books.subscribe("orderbook", ["KRW-BTC", "KRW-ETH"])
            await books.live(10)
            told = manager._hub.meter
            await until(lambda: told.heard(np.array([0], np.int32))[0][0] > 30)
            server.exchange.inject(Fault("silent", channel="orderbook", symbol="KRW-BTC"), server.clock())
            row = manager._hub.engine.row
            await until(lambda: row(0).data is DataState.SUSPECT)
            await until(lambda: row(0).data is DataState.GOOD)
            stats = manager._hub.engine.stats
            assert stats.reasks == 1
            assert stats.losses == 0
        assert not server.violations


async def test_one_connection_is_kept_and_a_lost_one_is_opened_again() -> None:
    async with SimServer(Exchange(3, markets=["KRW-BTC"], rate=1.0)) as server:
        pages = RestPages(replace(LATEST, url=server.rest_url, limits=()), SystemClock())
        rig = Rig(pages)
        for _ in range(3):
            told = await rig.ask(*ticker("KRW-BTC"))
            assert told[0] > 0
        rig.newest.close()
    assert await rig.ask(*ticker("KRW-BTC")) == {}


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[", b"garbage\r\n\r\n"]
)
async def test_a_server_that_breaks_off_is_a_failure(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        over.set()

    over = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    rig = Rig(RestPages(replace(LATEST, url=f"http://127.0.0.1:{port}", limits=()), SystemClock()))
    assert await rig.ask(*ticker("KRW-BTC")) == {}
    assert "cannot be asked" in caplog.text
    await over.wait()
    server.close()


STEP_S = 40.0
# What http.client makes of a reply that ends the connection: it lets go of the socket before it is read
ENDLESS = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n["


@pytest.mark.parametrize("begun", [b"", ENDLESS], ids=["silent", "endless"])
async def test_a_hanging_page_ends_with_its_manager(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(pages, "STEP_S", STEP_S)
    hangs = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begun)
        await writer.drain()
        hangs.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        over.set()

    over = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    rig = Rig(RestPages(replace(LATEST, url=f"http://127.0.0.1:{port}", limits=()), SystemClock()))
    task = asyncio.create_task(rig.ask(*ticker("KRW-BTC")))
    await hangs.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(STEP_S / 2):
        await over.wait()
    server.close()


def test_where_it_is_asked() -> None:
    async def call(topics: Sequence[Topic]) -> Mapping[Topic, int]:
        return {}

    def source(given: str | Venue, **options: Any) -> Any:
        found = SubscriptionManager(given, **options)._hub.enquiries.newest
        return None if found is None else type(found.source)

    assert source("upbit") is RestPages
    assert source("upbit", latest=False) is None
    assert source("upbit", url="ws://127.0.0.1:9") is None
    assert source("upbit", connect=lambda *a: None) is None
    assert source("binance") is None
    assert source("binance", latest=call) is UserCall
    assert source("upbit", url="ws://127.0.0.1:9", latest=call) is UserCall


async def test_where_everything_is_refused_asking_is_given_up_for_longer_each_time() -> None:
    """One market that the venue does not know is looked for; but not for ever."""
    clock = VirtualClock()
    pages = Pages(lambda path: newest.Refused(404, None), clock)
    rig = Rig(pages, clock)
    for _ in range(50):
        await rig.ask(*ticker(*(f"KRW-N{i}" for i in range(40))))
        clock.advance_to(clock.now + SECOND // 10)
    assert rig.newest._failures > 0
    assert len(pages.asked) <= newest.REFUSED_AT_MOST + 5


async def test_what_the_engine_raises_is_not_blamed_on_the_source() -> None:
    def tell(event: LatestKnown) -> None:
        raise RuntimeError("a bug of ours")

    rig = Rig(Pages(lambda path: [{"market": "KRW-BTC", "trade_timestamp": 5}]))
    rig.newest._tell = tell
    with pytest.raises(RuntimeError, match="a bug of ours"):
        await rig.ask(*ticker("KRW-BTC"))
    assert rig.newest._failures == 0


async def test_a_ban_holds_for_links_and_pages_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """418: the address is banned. 429 is about the pages alone."""
    for status, of_links in ((418, True), (429, False)):
        registry = LimitRegistry()
        monkeypatch.setattr(newest, "PROCESS_LIMITS", registry)
        rig = Rig(Pages(lambda path, status=status: newest.Refused(status, 30.0)))
        await rig.ask(*ticker("KRW-BTC"))
        blocked = registry.blocked_until(UPBIT.host)
        assert (blocked is not None and blocked > SystemClock().monotonic_ns()) is of_links
        assert of_links or registry.blocked_until(LATEST.url) is not None


async def test_a_manager_that_closes_ends_its_connection_to_the_pages() -> None:
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
        await reader.read()
        writer.close()
        over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    manager = SubscriptionManager("upbit", markets=["KRW-BTC"])
    source = RestPages(replace(LATEST, url=f"http://127.0.0.1:{port}", limits=()), SystemClock())
    manager._hub.enquiries.newest.source = source  # type: ignore[union-attr]
    await source._get("/")
    await manager.close()
    async with asyncio.timeout(5.0):
        await over.wait()
    assert over.is_set()
    assert source._pages._connection is None
    server.close()
