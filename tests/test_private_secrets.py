"""Over sockets: a login with PyJWT, and no secret in anything that the library writes, says, keeps or raises."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import gzip
import itertools
import logging
import pickle
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from manager_rig import KEPT, make, until
from private_keys import PRIVATE, insides
from subcore.errors import LinkError, SubcoreError, UsageError
from subcore.link import HandshakeRefused
from subcore.logins import Login, LoginRefused
from subcore.manager import SubscriptionManager
from subcore.sim import Exchange, Fault
from subcore.sim.durations import Durations
from subcore.sim.server import SimServer
from subcore.testing import VirtualClock
from subcore.types import Status, StreamState
from subcore.venues import upbit_auth, venue
from subcore.venues.upbit_auth import jwt_credentials

ACCESS, SECRET = "access-Xk29fLq8", "secret-Pz71mWv4-0123456789"


class Spy:
    """Credentials that remember what they gave, to look for it."""

    def __init__(self, *keys: str, **options: Any) -> None:
        self._make = jwt_credentials(*keys, **options)
        self.account = "mine"
        self.given: list[str] = []

    async def __call__(self) -> str:
        self.given.append(await self._make())
        return self.given[-1]

    def parts(self) -> set[str]:
        """What must not be seen: the keys, every token, and its parts that no other token shares."""
        return {ACCESS, SECRET, *(part for t in self.given for part in (t, *t.split(".")[1:]))}


def quiet_server(**options: Any) -> SimServer:
    return SimServer(
        seed=3, durations=Durations().divided(20), keys={ACCESS: SECRET}, **{"rate": 5.0, **options}
    )


@pytest.fixture(autouse=True)
def everything_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


@pytest.mark.parametrize("algorithm", ["HS512", "HS256"])
async def test_the_helper_makes_tokens_that_the_venue_takes(algorithm: str) -> None:
    credentials = jwt_credentials(ACCESS, SECRET, algorithm=algorithm)
    exchange = Exchange(keys={ACCESS: SECRET})
    for second in range(3):
        headers = {"Authorization": f"Bearer {await credentials()}"}
        assert isinstance(exchange.connect(second * 10**9, headers=headers, path=PRIVATE), int)
    token = await credentials()
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    key = SECRET.encode().ljust(64, b"\0")
    assert set(jwt.decode(token, key, [algorithm])) == {"access_key", "nonce"}


def test_the_helper_shows_no_key_and_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = jwt_credentials(ACCESS, SECRET, account="mine")
    assert repr(credentials) == "<JwtCredentials of account 'mine'>"
    assert {name: getattr(credentials, name) for name in credentials.__slots__ if "__" not in name} == {
        "account": "mine"
    }
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not to be pickled"):
            copied(credentials)
    for wrong in (("", SECRET), (ACCESS, ""), (ACCESS, None)):
        with pytest.raises(UsageError, match="must be a text") as raised:
            jwt_credentials(*wrong)  # type: ignore[arg-type]
        assert SECRET not in str(raised.value)
    with pytest.raises(UsageError, match="HS512, HS256"):
        jwt_credentials(ACCESS, SECRET, algorithm="none")

    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(upbit_auth.importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"pip install 'subcore\[auth\]'"):
        jwt_credentials(ACCESS, SECRET)


async def test_no_secret_is_seen_anywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Live, cut, refused, garbled and closed; then every text there is to be had is searched."""
    asyncio.get_running_loop().set_debug(True)
    spy, said, told = Spy(ACCESS, SECRET), [], []  # type: tuple[Spy, list[str], list[Status]]
    path, recording = tmp_path / "intent.subcore", tmp_path / "frames.jsonl.gz"
    async with quiet_server(order_rate=4.0) as server:
        async with SubscriptionManager(
            "upbit", url=server.url.removesuffix("/websocket/v1"), credentials=spy, snapshot_path=path, seed=1
        ) as manager:
            manager.record(recording)
            mine = make(manager, "mine", on_status=told.append)
            mine.subscribe("myOrder", "*", raw=True)
            mine.subscribe("myAsset", "*")
            mine.subscribe("ticker", "KRW-BTC")
            await mine.live(10.0)
            events = [await anext(mine) for _ in range(10)]
            said += [repr(e) + repr(e.to_dict()) + repr(e.raw) for e in events]
            server.exchange.inject(Fault("garbage", count=5), server.clock())
            server.wake()
            await until(lambda: len(manager.bad_frames()) >= 3)
            server.exchange.heal(server.clock())
            server.exchange.accounts.revoke(ACCESS)
            server.exchange.inject(Fault("drop_rst"), server.clock())
            server.wake()
            await until(lambda: any("refused the login" in status.reason for status in told))
            said += [manager.explain(c, "*") for c in ("myOrder", "myAsset")]
            with pytest.raises(SubcoreError) as raised:
                await mine.live(0.01)
            said += [str(raised.value), repr(raised.value)]
            said += [
                repr(o) for o in (manager, mine, mine.stats(), manager.stats(), manager.bad_frames(), told)
            ]
            said += [repr(manager.topics()), repr(manager.restores), *map(str, manager.restores)]
            said += [repr(manager.snapshot()), bytes(manager.snapshot()).decode("latin-1")]
            hub = manager._hub
            for inside in (hub, hub.runtime, hub.engine, hub.engine._ctx, *hub.runtime.links.values()):
                said += [repr(inside), repr(insides(inside))]
            said += [repr(asyncio.all_tasks()), repr(insides(hub.runtime._connect))]
        said += [repr(await manager.close())]
    KEPT.clear()
    assert len(spy.given) >= 2
    written = [path.read_bytes(), gzip.decompress(recording.read_bytes())]
    assert b"myOrder" in written[0]
    assert b"myOrder" in written[1]
    logged = caplog.text + repr([vars(record) for record in caplog.records])
    assert "refused the login" in logged
    for text in (*said, *(w.decode("latin-1") for w in written), logged):
        assert [secret for secret in spy.parts() if secret in text] == []


async def test_exceptions_out_of_a_connect_hold_no_token() -> None:
    token = "eyJhbGciOi.eyJhY2Nlc3.c2lnbmF0dXJl"

    def login(error: Exception) -> Login:
        async def connect(url: str, headers: Any, listener: Any) -> Any:
            assert headers == {"Authorization": f"Bearer {token}"}
            raise error

        async def credentials() -> str:
            return token

        return Login(venue("upbit"), connect, credentials, VirtualClock())

    for error, kind in (
        (LinkError(f"bad reply to Bearer {token}"), LinkError),
        (OSError(f"cannot send {token}"), LinkError),
        (OSError("no route to host"), OSError),
        (ValueError(f"invalid header {token}"), LinkError),
        (HandshakeRefused(401), LoginRefused),
        (HandshakeRefused(503), HandshakeRefused),
    ):
        with pytest.raises(kind) as raised:
            await login(error)("wss://api.upbit.com/websocket/v1/private", {}, None)  # type: ignore[arg-type]
        seen: BaseException | None = raised.value
        assert type(seen) is kind
        assert token not in str(seen) + repr(seen)
        assert seen.__cause__ is None


async def test_a_venue_that_cannot_write_its_headers_shows_no_token() -> None:
    def headers(route: Any, grant: Any) -> Any:
        if grant:
            raise ValueError(f"no header can hold {grant}")
        return {}

    async def connect(url: str, headers: Any, listener: Any) -> Any:
        raise AssertionError("there is nothing to connect with")

    login = Login(replace(venue("upbit"), headers=headers), connect, lambda: "eyJhbGciOi", VirtualClock())
    with pytest.raises(LinkError, match="ValueError") as raised:
        await login("wss://api.upbit.com/websocket/v1/private", {}, None)  # type: ignore[arg-type]
    assert "eyJhbGciOi" not in str(raised.value)


async def test_the_public_route_gets_no_token_and_asks_for_none() -> None:
    asked: list[Any] = []

    async def connect(url: str, headers: Any, listener: Any) -> Any:
        asked.append(headers)
        raise LinkError("enough")

    def credentials() -> str:
        raise AssertionError("nobody may ask")

    login = Login(venue("upbit"), connect, credentials, VirtualClock())
    with pytest.raises(LinkError, match="enough"):
        await login("wss://api.upbit.com/websocket/v1", {}, None)  # type: ignore[arg-type]
    assert asked == [{}]


async def test_a_plain_callable_runs_in_a_thread_and_may_hang_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subcore.logins.DEADLINE_S", 0.05)
    going, calls = threading.Event(), []  # type: tuple[threading.Event, list[int]]
    maker = jwt_credentials(ACCESS, SECRET)

    def credentials() -> Any:
        calls.append(threading.get_ident())
        going.wait()
        return maker()  # and what it gives may be awaited

    async with quiet_server(order_rate=0.0) as server:
        async with SubscriptionManager("upbit", url=server.url, credentials=credentials, seed=1) as manager:
            told: list[Status] = []
            mine, chart = make(manager, "mine", on_status=told.append), make(manager, "chart")
            mine.subscribe("myOrder", "*")
            chart.subscribe("ticker", "KRW-BTC")
            await chart.live(10.0)
            await until(lambda: told)
            assert "gave no token within" in told[0].reason
            attempts = manager._hub.engine.stats.connects
            await until(lambda: manager._hub.engine.stats.connects > attempts + 1)
            assert len(calls) == 1, "never more than one thread hangs"
            going.set()
            await until(lambda: manager.topic("myOrder", "*").state is StreamState.OPEN)
            assert threading.get_ident() not in calls
        assert not server.violations
    KEPT.clear()


def logged_in(credentials: Any) -> Callable[[], Coroutine[Any, Any, str]]:
    """A connect of one `Login`, which gives what went into its handshake."""

    async def connect(url: str, headers: Any, listener: Any) -> Any:
        return headers["Authorization"]

    login = Login(venue("upbit"), connect, credentials, VirtualClock())
    return lambda: login("wss://api.upbit.com/websocket/v1/private", {}, None)  # type: ignore[arg-type,return-value]


async def test_who_connects_while_another_waits_for_the_thread_waits_for_a_token_of_its_own() -> None:
    came, going, numbers = threading.Event(), threading.Event(), itertools.count(1)

    def credentials() -> str:
        came.set()
        going.wait(10.0)
        return f"token{next(numbers)}"

    connect = logged_in(credentials)
    first = asyncio.ensure_future(connect())
    await until(came.is_set)
    others = [asyncio.ensure_future(connect()) for _ in range(2)]
    await asyncio.sleep(0)
    assert [t.name for t in threading.enumerate()].count("subcore-login") == 1
    going.set()
    assert sorted(await asyncio.gather(first, *others)) == [f"Bearer token{n}" for n in (1, 2, 3)]


async def test_a_system_without_threads_fails_that_connect_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = logged_in(lambda: "token")

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(LinkError, match="the system gives no thread"):
            await connect()
    assert await connect() == "Bearer token"


@pytest.mark.parametrize("error", [SystemExit(3), StopIteration("token"), KeyboardInterrupt("token")])
async def test_whatever_a_plain_callable_raises_fails_that_connect_alone(error: BaseException) -> None:
    errors = [error]

    def credentials() -> str:
        if errors:
            raise errors.pop()
        return "token"

    connect = logged_in(credentials)
    with pytest.raises(LinkError, match="the credentials callable raised") as raised:
        await connect()
    assert "token" not in str(raised.value)
    assert await connect() == "Bearer token"


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("raises", [True, False])
async def test_what_asyncio_logs_of_a_login_holds_neither_token_nor_exception(
    plain: bool, raises: bool
) -> None:
    """In debug mode it logs what took long, with the result of a task or the arguments of a call: so it is asked how
    each future of a login would look."""
    secret, shown = "hunter2", list[str]()
    loop = asyncio.get_running_loop()

    def credentials() -> str:
        if raises:
            raise ValueError(secret)
        return secret

    async def waited_for() -> str:
        return credentials()

    def make_task(_: Any, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=loop, **options)
        task.add_done_callback(lambda done: shown.append(repr(done)))
        return task

    def make_future() -> asyncio.Future[Any]:
        future = asyncio.Future[Any](loop=loop)
        future.add_done_callback(lambda done: shown.append(repr(done)))
        return future

    connect = logged_in(credentials if plain else waited_for)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "create_future", make_future)
        loop.set_task_factory(make_task)
        try:
            with contextlib.suppress(LinkError):
                assert await connect() == f"Bearer {secret}"
        finally:
            loop.set_task_factory(None)
    assert any("subcore-login" in text for text in shown)
    assert secret not in "".join(shown)


@pytest.mark.parametrize("plain", [True, False])
async def test_a_token_is_not_kept_after_its_connect(plain: bool) -> None:
    given: list[str] = []

    def credentials() -> str:
        given.append(f"token{len(given)}")
        return given[-1]

    async def waited_for() -> str:
        return credentials()

    async def connect(url: str, headers: Any, listener: Any) -> Any:
        return None

    login = Login(venue("upbit"), connect, credentials if plain else waited_for, VirtualClock())
    await login("wss://api.upbit.com/websocket/v1/private", {}, None)  # type: ignore[arg-type]
    gc.collect()
    holders = [one for one in gc.get_objects() if any(part is given[0] for part in gc.get_referents(one))]
    assert holders == [given]


async def test_async_calls_that_will_not_end_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subcore.logins.DEADLINE_S", 0.02)
    calls, end = [], asyncio.Event()

    async def credentials() -> str:
        calls.append(1)
        while not end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await end.wait()
        return "token"

    connect = logged_in(credentials)
    for _ in range(7):
        with pytest.raises(LinkError, match=r"no token within|hangs"):
            await connect()
    assert len(calls) == 4
    end.set()
    assert await connect() == "Bearer token"


async def test_two_links_over_sockets_and_a_fresh_token_after_each_loss() -> None:
    spy = Spy(ACCESS, SECRET)
    async with quiet_server(order_rate=2.0) as server:
        async with SubscriptionManager("upbit", url=server.url, credentials=spy, seed=1) as manager:
            mine = make(manager, "mine")
            mine.subscribe("myOrder", "*", lambda event: None)
            mine.subscribe("myAsset", "*", lambda event: None)
            mine.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], lambda event: None)
            for loss in range(3):
                await mine.live(10.0)
                connections = server.exchange.connections.values()
                assert sorted(c.path for c in connections) == ["/websocket/v1", PRIVATE]
                assert len(spy.given) == len(set(spy.given)) == loss + 1
                server.exchange.inject(Fault("drop_rst"), server.clock())
                server.wake()
                await until(lambda: manager.topic("myAsset", "*").state is not StreamState.OPEN)
        assert not server.violations
    KEPT.clear()
