"""Private topics in a whole manager, in virtual time: asked for, delivered, logged in for, and what fails."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from manager_rig import make
from private_keys import PRIVATE, token
from subcore import Asset, Order
from subcore.errors import UnknownSymbolError, UnsupportedError, UsageError
from subcore.manager import SubscriptionManager
from subcore.sim import Fault
from subcore.types import Evidence, Status, StatusKind, StreamState, Topic
from virtual_manager import World


async def good() -> str:
    return token()


def kinds(told: list[Status]) -> list[StatusKind]:
    return [status.kind for status in told]


def test_without_credentials_the_error_says_what_to_do_and_nothing_changes() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            mine = make(manager, "mine")
            for channel in ("myOrder", "myAsset"):
                with pytest.raises(UnsupportedError, match=r"needs a login.*credentials="):
                    mine.subscribe(channel, "*")
            assert mine.topics == ()
            await asyncio.sleep(5.0)
            assert world.exchange.stats.connects == 0

    World().run(main)


def test_credentials_are_a_callable_and_for_venues_that_ask_for_one() -> None:
    with pytest.raises(UsageError, match="callable that gives"):
        SubscriptionManager("upbit", credentials="eyJ...")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="leave credentials= out"):
        SubscriptionManager("binance", credentials=good)


def test_what_can_be_asked_for() -> None:
    async def main(world: World) -> None:
        async with world.manager(credentials=good) as manager:
            mine = make(manager, "mine")
            with pytest.raises(UnsupportedError, match=r"whole account.*'\*'"):
                mine.subscribe("myAsset", "KRW")
            mine.subscribe("myAsset", "*")
            with pytest.raises(UnsupportedError, match="whole account"):
                mine.subscribe("myAsset", ["*", "KRW-BTC"])
            with pytest.raises(UnknownSymbolError, match="KRW-BTC"):
                mine.subscribe("myOrder", "krw-btc")
            mine.subscribe("myOrder", ["KRW-BTC", "*"])
            for nothing in ("", "*"):
                with pytest.raises(UnknownSymbolError):
                    mine.subscribe("ticker", nothing)
                with pytest.raises(UnknownSymbolError):
                    mine.subscribe("ticker", ["KRW-BTC", nothing])
            assert set(mine.topics) == {
                Topic("myAsset", ""),
                Topic("myOrder", ""),
                Topic("myOrder", "KRW-BTC"),
            }
            assert manager.topic("myAsset", "*").topic == Topic("myAsset", "")
            mine.unsubscribe("myOrder", "*")
            assert set(mine.topics) == {Topic("myAsset", ""), Topic("myOrder", "KRW-BTC")}
            mine.replace("myOrder", "*")
            assert set(mine.topics) == {Topic("myAsset", ""), Topic("myOrder", "")}
            with pytest.raises(UnknownSymbolError), manager.transaction():
                mine.subscribe("ticker", "")

    World().run(main)


def test_a_silent_account_is_live_by_the_listing() -> None:
    async def main(world: World) -> None:
        async with world.manager(credentials=good) as manager:
            told: list[Status] = []
            mine = make(manager, "mine", on_status=told.append)
            mine.subscribe("myOrder", "*")
            mine.subscribe("myAsset", "*")
            await mine.live(5.0)
            info = manager.topic("myOrder", "*")
            assert [str(one.topic) for one in manager.topics()] == ["myOrder:*", "myAsset:*"]
            assert [str(topic) for status in told for topic in status.topics] == ["myOrder:*", "myAsset:*"]
            assert (info.state, info.evidence & Evidence.LISTED) == (StreamState.OPEN, Evidence.LISTED)
            assert "the venue's own list" in manager.explain("myAsset", "*")

    World(order_rate=0.0).run(main)


def test_each_order_reaches_everyone_who_asked_for_it_once() -> None:
    """ "*" and one market are two streams on one wire: neither costs the other an event."""

    async def main(world: World) -> None:
        async with world.manager(credentials=good) as manager:
            all_, one, money = ([], [], [])  # type: tuple[list[Any], list[Any], list[Any]]
            everything, btc, assets = (make(manager, name) for name in ("everything", "btc", "assets"))
            everything.subscribe("myOrder", "*", all_.append)
            btc.subscribe("myOrder", "KRW-BTC", one.append)
            assets.subscribe("myAsset", "*", money.append)
            await asyncio.sleep(60.0)
            (connection,) = world.exchange.connections.values()
            assert {(w.type, w.code) for w in connection.streams} == {("myOrder", ""), ("myAsset", "")}
            assert len(all_) + len(money) == manager.stats().frames
            assert [o.order_id for o in all_ if o.symbol == "KRW-BTC"] == [o.order_id for o in one]
            assert 10 < len(one) < len(all_)
            assert {type(e) for e in all_} == {Order}
            assert {type(e) for e in money} == {Asset}
            everything.close()
            await asyncio.sleep(10.0)
            assert {(w.type, w.code) for w in connection.streams} == {("myOrder", "KRW-BTC"), ("myAsset", "")}
            before = len(one)
            await asyncio.sleep(60.0)
            assert len(one) > before

    World(order_rate=8.0).run(main)


def test_public_and_private_are_two_links_and_one_lost_leaves_the_other() -> None:
    tokens: list[str] = []

    async def credentials() -> str:
        tokens.append(token())
        return tokens[-1]

    async def main(world: World) -> None:
        async with world.manager(credentials=credentials) as manager:
            told: list[Status] = []
            mine, chart = make(manager, "mine", on_status=told.append), make(manager, "chart")
            mine.subscribe("myOrder", "*", lambda event: None)
            chart.subscribe("ticker", "KRW-BTC", lambda event: None)
            await mine.live(5.0)
            await chart.live(5.0)
            assert sorted(c.path for c in world.exchange.connections.values()) == ["/websocket/v1", PRIVATE]
            for lost in range(1, 4):
                private = next(c for c in world.exchange.connections.values() if c.path == PRIVATE)
                world.exchange.inject(Fault("drop_rst", conn=private.id), world.ns())
                world.pump()
                await asyncio.sleep(40.0)
                await mine.live(40.0)
                assert manager.topic("ticker", "KRW-BTC").state is StreamState.OPEN
                assert len(tokens) == len(set(tokens)) == 1 + lost
            assert len(manager.restores) == 3
            links = manager._hub.engine.links.values()
            assert [link.attempts for link in links] == [0, 0], "silent as it is, it has shown that it serves"
            assert StatusKind.RECOVERED in kinds(told)

    World(order_rate=0.0).run(main)


def failing(how: str) -> Any:
    async def raises() -> str:
        raise ValueError("the secret is hunter2")

    async def hangs() -> str:
        await asyncio.sleep(3600.0)
        return token()

    async def stubborn() -> str:
        while True:
            try:
                await asyncio.sleep(100.0)
                return token()
            except asyncio.CancelledError:
                pass

    async def late() -> str:
        try:
            await asyncio.sleep(100.0)
        except asyncio.CancelledError:
            raise ValueError("hunter2") from None
        return token()

    async def cancelled() -> str:
        raise asyncio.CancelledError

    async def number() -> Any:
        return 7

    async def torn() -> str:
        return "hunter2\r\nOrigin: x"

    async def nothing() -> str:
        return ""

    async def endless() -> str:
        return "hunter2" * 10_000

    async def odd() -> str:
        return Odd("hunter2\n")

    return locals()[how]


class Odd(str):
    """A text of a class of its own, whose methods say what it holds."""

    def isascii(self) -> bool:
        raise ValueError("it is hunter2")

    __len__ = __bool__ = isprintable = isascii  # type: ignore[assignment]


REASONS = {
    "raises": "the credentials callable raised ValueError",
    "hangs": "gave no token within 10 s",
    "stubborn": "gave no token within 10 s",
    "late": "gave no token within 10 s",
    "cancelled": "the credentials callable raised CancelledError",
    "number": "gave no token, but something else (int)",
    "torn": "gave no token, but a text with characters that no header takes",
    "nothing": "gave no token, but an empty text",
    "endless": "gave no token, but a text of 70,000 characters: at most 8,192 are sent",
    "odd": "gave no token, but a text with characters that no header takes",
}


@pytest.mark.parametrize("how", list(REASONS))
def test_credentials_that_fail_fail_that_connect_alone(how: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main(world: World) -> None:
        calls: list[float] = []
        now = asyncio.get_running_loop().time

        async def credentials() -> str:
            calls.append(now())
            if calls[-1] > 200.0:
                return token()
            answer: str = await failing(how)()
            return answer

        async with world.manager(credentials=credentials) as manager:
            told: list[Status] = []
            mine, chart = make(manager, "mine", on_status=told.append), make(manager, "chart")
            mine.subscribe("myOrder", "*")
            chart.subscribe("ticker", "KRW-BTC", lambda event: None)
            await chart.live(5.0)
            await asyncio.sleep(190.0)
            assert manager.topic("myOrder", "*").state is StreamState.WAITING
            assert kinds(told) == [StatusKind.WAITING]
            assert REASONS[how] in told[0].reason
            assert 4 < len(calls) < 40, "it backs off"
            await mine.live(60.0)
            assert manager.topic("ticker", "KRW-BTC").state is StreamState.OPEN
        gc.collect()  # exceptions that nobody looked at are logged now
        assert REASONS[how] in caplog.text
        assert "hunter2" not in caplog.text + "".join(s.reason for s in told)

    World(order_rate=0.0).run(main)


@pytest.mark.parametrize("standby", [False, True])
@pytest.mark.parametrize("how", ["raises", "hangs", "number"])
def test_credentials_that_fail_after_a_loss_are_told_once_each_time(how: str, standby: bool) -> None:
    """What the venue did is told already; that the program's own function keeps it from coming back is another cause,
    also where the first attempt failed of the network."""

    async def main(world: World) -> None:
        failed = False

        async def credentials() -> str:
            answer: str = await failing(how)() if failed else token()
            return answer

        async with world.manager(credentials=credentials) as manager:
            told: list[Status] = []
            mine = make(manager, "mine", on_status=told.append)
            mine.subscribe("myAsset", "*", standby=standby)
            await mine.live(30.0)
            for first in (None, "refuse"):
                told.clear()
                await asyncio.sleep(60.0)
                failed = first is None
                if first is not None:
                    world.exchange.inject(Fault(first, seconds=1.0), world.ns())
                world.exchange.inject(Fault("drop_rst"), world.ns())
                world.pump()
                await asyncio.sleep(0.5)
                failed = True
                await asyncio.sleep(120.0)
                said = [status.reason for status in told if status.kind is StatusKind.WAITING]
                assert len(said) == 1
                assert REASONS[how] in said[0]
                assert told[-1].topics == (Topic("myAsset", ""),)
                failed = False
                await mine.live(60.0)
                await asyncio.sleep(10.0)
                assert kinds(told)[-2:] == [StatusKind.OPEN, StatusKind.RECOVERED]

    World(order_rate=0.0).run(main)


@pytest.mark.parametrize("how", ["hangs", "stubborn"])
def test_close_does_not_wait_for_credentials(how: str) -> None:
    async def main(world: World) -> None:
        async with world.manager(credentials=failing(how)) as manager:
            make(manager, "mine").subscribe("myOrder", "*")
            await asyncio.sleep(1.0)
            began = asyncio.get_running_loop().time()
            report = await manager.close(timeout=2.0)
            assert asyncio.get_running_loop().time() - began < 2.0
            assert report.unfinished == ()
        for task in asyncio.all_tasks():
            if task.get_name() == "subcore-login":  # the user's own code, which will not end
                await asyncio.sleep(200.0)
                assert task.done()

    World(order_rate=0.0).run(main)


def test_refused_logins_are_told_and_tried_again_with_fresh_tokens() -> None:
    tokens: list[str] = []

    async def main(world: World) -> None:
        async def credentials() -> str:
            wrong = asyncio.get_running_loop().time() < 100.0
            tokens.append(token(secret="wrong") if wrong else token())
            return tokens[-1]

        async with world.manager(credentials=credentials) as manager:
            told: list[Status] = []
            mine = make(manager, "mine", on_status=told.append)
            mine.subscribe("myOrder", "*")
            await asyncio.sleep(90.0)
            assert kinds(told) == [StatusKind.WAITING, StatusKind.ERROR]
            assert told[0].topics == told[1].topics == (Topic("myOrder", ""),)
            assert "refused the login (HTTP status 401)" in told[0].reason
            assert "check the keys" in told[1].reason
            assert len(tokens) == len(set(tokens)) <= 6
            await mine.live(60.0)
            assert kinds(told)[-1] is StatusKind.OPEN

    World(order_rate=0.0).run(main)


def test_a_slow_login_waits_for_room_of_its_own() -> None:
    """Twelve managers ask for tokens that all come at once, 5 s later: their connects are spread all the same."""

    async def main(world: World) -> None:
        ready = asyncio.get_running_loop().time() + 5.0

        async def credentials() -> str:
            await asyncio.sleep(max(0.0, ready - asyncio.get_running_loop().time()))
            return token()

        managers = [world.manager(credentials=credentials) for _ in range(12)]
        for manager in managers:
            await manager.start()
            make(manager, "mine").subscribe("myOrder", "*")
            await asyncio.sleep(0.3)
        await asyncio.sleep(30.0)
        assert len(world.exchange.connections) == 12
        assert list(world.exchange.violations) == []
        for manager in managers:
            await manager.close()

    World(order_rate=0.0).run(main)


def test_a_restart_without_credentials_says_what_it_cannot_restore(caplog: pytest.LogCaptureFixture) -> None:
    async def main(world: World) -> None:
        async with world.manager(credentials=good) as manager:
            mine = make(manager, "mine")
            mine.subscribe("myOrder", "*")
            mine.subscribe("ticker", "KRW-BTC")
            snapshot = manager.snapshot()
        async with world.manager() as second:
            report = await second.restore(snapshot, adopt=True)
            assert report.done
            assert [info.topic for info in second.topics()] == [Topic("ticker", "KRW-BTC")]
        assert "credentials=" in caplog.text

    World(order_rate=0.0).run(main)
