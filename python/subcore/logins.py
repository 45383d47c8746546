"""Logging in at each connect: what the engine, its history and every log never see.

The engine opens a link of a route that needs a login like any other. Here, between it and the socket, a fresh token is
asked for and put into the handshake; then it is forgotten. Belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .engine.clock import SECOND
from .engine.pacing import PROCESS_LIMITS, Pacer
from .errors import LinkError
from .link import Connect, HandshakeRefused, NoToken, Transport
from .resolver import run_in_daemon
from .venue import Counted, Route, Venue

if TYPE_CHECKING:
    from picows import WSListener

    from .clock import Clock

Credentials = Callable[[], str | Awaitable[str]]

DEADLINE_S = 10.0
SLOW_NS = SECOND // 10  # a token that took longer was not what the pacing of its connect reckoned with
MAX_TOKEN = 8192
MAX_HANGING = 4
DENIED = (401, 403)
HIDDEN = "(withheld)"


def account_of(credentials: Credentials | None) -> str:
    """A name for whose limits count; all that have none count together."""
    return str(getattr(credentials, "account", "") or "")


class LoginRefused(HandshakeRefused):
    """The venue answered the handshake with a status that means: not with this login."""

    def __str__(self) -> str:
        return f"the venue refused the login (HTTP status {self.status})"


@dataclass(slots=True, repr=False)
class _Said:
    """What the callable gave, or the kind of what it raised. asyncio may log any task or future with its result or its
    exception (in debug mode, those of a slow turn): these have only this, which shows nothing."""

    given: Any = None
    raised: str = ""


class Login:
    """A `Connect` that logs in where the route asks for it. Each call asks for a token of its own.

    Raises as the `Connect` it is made of, and NoToken where the callable raises or gives nothing in `DEADLINE_S`
    seconds. No text of an exception that comes out of it holds a token. Cancel-safe.
    """

    def __init__(self, venue: Venue, connect: Connect, credentials: Credentials, clock: Clock) -> None:
        self._venue = venue
        self._connect = connect
        self._credentials = credentials
        self._clock = clock
        self._routes = {venue.public_plan(route).url: route for route in venue.routes if route.grant}
        self._is_async = _is_async(credentials)
        self._thread: asyncio.Future[_Said] | None = None  # as long as the callable runs in one
        self._hanging: set[asyncio.Task[_Said]] = set()  # those given up that go on all the same

    async def __call__(self, url: str, headers: Mapping[str, str], listener: WSListener) -> Transport:
        """Connect to `url`, with a login where its route needs one."""
        route = self._routes.get(url)
        if route is None:
            return await self._connect(url, headers, listener)
        began = self._clock.monotonic_ns()
        token = await self._token()
        if self._clock.monotonic_ns() - began > SLOW_NS:
            await self._slot(route)
        try:
            plan = self._venue.connect_plan(route, {route.grant: token})
            return await self._connect(plan.url, {**headers, **plan.headers}, listener)
        except HandshakeRefused as refused:
            if refused.status in DENIED:
                raise LoginRefused(refused.status, refused.retry_after_s) from None
            raise
        except (LinkError, OSError, TimeoutError) as error:
            if token in str(error):
                raise LinkError(str(error).replace(token, HIDDEN)) from None
            raise
        except Exception as error:  # whatever it is, from the venue or the socket, it may quote the headers
            raise LinkError(
                f"{type(error).__name__} while connecting with a login; its text is {HIDDEN}"
            ) from None

    async def _token(self) -> str:
        """A fresh token. Beyond the deadline nobody waits for the callable, even if it will not be cancelled."""
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        await self._turn(deadline)
        task = asyncio.get_running_loop().create_task(self._ask(self._call()), name="subcore-login")
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait({task}, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
            if not task.done():
                raise NoToken(f"the credentials callable gave no token within {DEADLINE_S:g} s")
        finally:
            if not task.done():
                self._hanging.add(task)
                task.cancel()
        said = _said_by(task)
        if said.raised:
            raise NoToken(
                f"the credentials callable raised {said.raised} (its text is {HIDDEN}, it may hold a secret)"
            )
        given = said.given
        if not issubclass(type(given), str):
            kind = type(given).__name__
            raise NoToken(
                f"the credentials callable gave no token, but something else ({kind}): return a str"
            )
        token = str.__str__(
            given
        )  # of a class of its own no method is called: what it raised might be logged
        if wrong := _no_token(token):
            raise NoToken(f"the credentials callable gave no token, but {wrong}")
        return token

    async def _turn(self, deadline: float) -> None:
        """Wait until the callable may be called: neither a thread nor a task that will not end can be stopped, and
        there shall not be ever more of them.
        """
        while self._thread is not None or len(self._hanging) >= MAX_HANGING:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise NoToken("the credentials callable hangs: it has not returned since an earlier connect")
            waited = {*self._hanging, *([] if self._thread is None else [self._thread])}
            await asyncio.wait(waited, timeout=left, return_when=asyncio.FIRST_COMPLETED)

    def _call(self) -> asyncio.Future[_Said] | None:
        """Begin to call it in a thread, unless it is async. No turn of the loop between this and `_turn`."""
        if self._is_async:
            return None
        credentials = self._credentials
        self._thread = thread = run_in_daemon("subcore-login", lambda: _called(credentials))
        thread.add_done_callback(self._returned)
        if thread.done():  # no thread was to be had
            thread.result()
        return thread

    async def _ask(self, thread: asyncio.Future[_Said] | None) -> _Said:
        if thread is None:
            return await _awaited(_Said(self._made()))
        try:
            return await _awaited(await asyncio.shield(thread))
        except asyncio.CancelledError:
            thread.add_done_callback(_drop)  # nobody waits any more
            raise

    async def _made(self) -> Any:
        """Of one that is async: whatever it raises, at the call too, comes out where it is awaited."""
        answer: Any = self._credentials()
        return await answer

    def _returned(self, thread: asyncio.Future[_Said]) -> None:
        """The token is nobody's but the connect's that waits for it."""
        if self._thread is thread:
            self._thread = None
        _look_at(thread)

    def _ended(self, task: asyncio.Task[_Said]) -> None:
        self._hanging.discard(task)
        _look_at(task)

    async def _slot(self, route: Route) -> None:
        """The connect was paced for when the token was asked for; it goes out now, so it waits for room of its own."""
        pacer = Pacer(
            self._venue.limits_on(route.name), self._venue.host, PROCESS_LIMITS, account_of(self._credentials)
        )
        while not pacer.try_spend(Counted.CONNECT, now := self._clock.monotonic_ns()):
            await asyncio.sleep(max(0.001, (pacer.next_allowed(Counted.CONNECT, now) - now) / SECOND))

    def __repr__(self) -> str:
        return f"<Login of {self._venue.name}>"


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _no_token(given: str) -> str:
    """What it is instead, without a word of it; "" = a token. Else a header could say more than it should."""
    if not given:
        return "an empty text"
    if len(given) > MAX_TOKEN:
        return f"a text of {len(given):,} characters: at most {MAX_TOKEN:,} are sent"
    if not given.isascii() or not given.isprintable():
        return "a text with characters that no header takes: strip() line ends off it"
    return ""


def _look_at(future: asyncio.Future[Any]) -> None:
    """Nobody else may: an exception that is not looked at is logged with its text."""
    if not future.cancelled():
        future.exception()


def _drop(thread: asyncio.Future[_Said]) -> None:
    """The callable gave a coroutine after all: Python warns of one that is neither awaited nor closed."""
    if not thread.cancelled() and thread.exception() is None and inspect.iscoroutine(thread.result().given):
        thread.result().given.close()


def _said_by(task: asyncio.Task[_Said]) -> _Said:
    if task.cancelled():
        return _Said(raised="CancelledError")
    error = task.exception()
    return task.result() if error is None else _Said(raised=type(error).__name__)


def _called(credentials: Credentials) -> _Said:
    """In a thread: whatever it raises there is of that thread alone."""
    try:
        return _Said(credentials())
    except BaseException as error:
        return _Said(raised=type(error).__name__)


async def _awaited(said: _Said) -> _Said:
    """The same, once what was given is there. Who stops the program, or this task, is heard."""
    if not inspect.isawaitable(said.given):
        return said
    try:
        return _Said(await said.given)
    except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return _Said(raised=type(error).__name__)
