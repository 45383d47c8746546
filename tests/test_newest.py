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

import pytest

from manager_rig import until
from newest_rig import LATEST, UPBIT, Rig, limits_of_this_test, ticker
from subcore import newest
from subcore.clock import SystemClock
from subcore.engine.clock import SECOND
from subcore.engine.events import LatestKnown
from subcore.engine.pacing import LimitRegistry
from subcore.manager import SubscriptionManager
from subcore.newest import Refused, RestPages, UserCall
from subcore.testing import VirtualClock
from subcore.types import Topic
from subcore.venue import Venue

__all__ = ["limits_of_this_test"]  # a fixture


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
