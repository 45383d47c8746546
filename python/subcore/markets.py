"""Which symbols a venue lists: over REST in a thread of our own, which keeps them on disk between runs.

The list is a help, never a condition: while it cannot be had, spelling rules alone decide and one warning says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import logging
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from .errors import UsageError
from .resolver import run_in_daemon

log = logging.getLogger("subcore.markets")

FETCH_DEADLINE_S = 3.0
MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_SYMBOLS = 65_536

Markets = Iterable[str] | Callable[[], Iterable[str] | Awaitable[Iterable[str]]]
Parse = Callable[[bytes], Iterable[str]]


def fetch_over_rest(url: str, parse: Parse) -> Iterable[str]:
    """GET `url` and parse it. Blocks at most about `FETCH_DEADLINE_S` a socket step.

    Raises OSError, ValueError, and what else `http.client` and `parse` have for an answer that makes no sense.
    """
    request = urllib.request.Request(url, headers={"Accept": "application/json", "User-Agent": "subcore"})
    try:
        with urllib.request.urlopen(request, timeout=FETCH_DEADLINE_S) as reply:
            body = reply.read(MAX_BODY_BYTES + 1)
    except urllib.error.HTTPError as refused:
        refused.close()
        raise OSError(f"HTTP status {refused.code}") from None
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"the market list is over {MAX_BODY_BYTES} bytes")
    return parse(body)


def cache_file(venue: str) -> Path:
    """Where the list of `venue` is kept: below XDG_CACHE_HOME, else ~/.cache."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(root) / "subcore" / f"{venue}-markets.json"


class MarketList:
    """Asks for the known symbols of one manager.

    `source` is what the user gave: symbols (read once, here), a (possibly async) callable, or None for the venue's own
    REST list at `url`. Raises UsageError for what is no list of symbols. Not thread-safe: belongs to the loop's thread.
    """

    def __init__(
        self, venue: str, *, source: Markets | None, url: str | None, parse: Parse | None, cache: bool = True
    ) -> None:
        self._venue = venue
        self._source = source if source is None or callable(source) else _given(source)
        self._url = url
        self._parse = parse
        self._cache = cache_file(venue) if cache and source is None and url is not None else None
        self._under_way: asyncio.Future[Any] | None = None
        self._warned = False

    @property
    def is_given(self) -> bool:
        """True where it was given once and for all: asking for it anew troubles nobody, and brings nothing new."""
        return isinstance(self._source, tuple)

    @property
    def available(self) -> bool:
        """True where there is anything to ask."""
        return self._source is not None or (self._url is not None and self._parse is not None)

    def load_cached(self) -> frozenset[str] | None:
        """The list kept by an earlier run, or None; a damaged file counts as none."""
        if self._cache is None:
            return None
        try:
            with self._cache.open("rb") as file:
                raw = file.read(MAX_BODY_BYTES + 1)
            symbols = msgspec.json.decode(raw, type=list[str])
        except (OSError, msgspec.MsgspecError, ValueError):
            return None
        return frozenset(symbols[:MAX_SYMBOLS]) or None

    async def refresh(self) -> frozenset[str] | None:
        """Ask anew. None where no list can be had now: then nobody may be refused by an older one.

        Whatever a source raises is one warning until it works again. Ends within twice the deadline, also where the
        source hangs. Cancel-safe.
        """
        if not self.available:
            return None
        try:
            symbols = _read(await self._answer())
            if not symbols:
                raise ValueError("it names no symbol")
        except Exception as error:  # the source is the user's, and the answer whatever the network brings
            self._warn_once(error)
            return None
        self._warned = False
        return frozenset(symbols)

    async def _answer(self) -> Iterable[str]:
        """The answer to a question of our own, within the deadline. One question is under way at a time."""
        await self._earlier_ends()
        asked = self._under_way = self._ask()
        asked.add_done_callback(self._done)
        try:
            await asyncio.wait({asked}, timeout=FETCH_DEADLINE_S + 1.0)
        finally:
            if isinstance(asked, asyncio.Task):  # a thread cannot be stopped: it counts until it ends
                asked.cancel()
        if not asked.done():
            raise TimeoutError(f"no answer within {FETCH_DEADLINE_S + 1.0:g} s")
        if asked.cancelled():  # by the source alone: who waits here is not
            raise RuntimeError("the source raised CancelledError")
        answer: Iterable[str] = asked.result()
        return answer

    async def _earlier_ends(self) -> None:
        """Whoever asks while another does waits; behind one that hangs there shall not be ever more of them."""
        deadline = asyncio.get_running_loop().time() + FETCH_DEADLINE_S + 1.0
        while self._under_way is not None:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise TimeoutError("an earlier request for it hangs")
            await asyncio.wait({self._under_way}, timeout=left)

    def _done(self, asked: asyncio.Future[Any]) -> None:
        if self._under_way is asked:
            self._under_way = None
        if not asked.cancelled():
            asked.exception()  # nobody may wait any more: one that nobody looks at would be logged by asyncio

    def _ask(self) -> asyncio.Future[Any]:
        url, parse = self._url, self._parse
        if self._source is None and url is not None and parse is not None:
            return run_in_daemon("subcore-markets", lambda: self._fetch(url, parse))
        return asyncio.get_running_loop().create_task(self._ask_source(), name="subcore-markets-source")

    def _fetch(self, url: str, parse: Parse) -> tuple[str, ...]:
        """In a thread, the file as well: a disk that hangs costs the list, and holds up no loop."""
        symbols = _read(fetch_over_rest(url, parse))
        if symbols:
            self._keep(sorted(set(symbols)))
        return symbols

    async def _ask_source(self) -> Any:
        answer = self._source() if callable(self._source) else self._source
        return await answer if inspect.isawaitable(answer) else answer

    def _warn_once(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "the market list of %s cannot be had (%s): symbols are judged by spelling alone until it can; %s",
                self._venue,
                f"{type(error).__name__}: {error}"[:200],
                "check the network and the venue"
                if self._source is None
                else "check what was given as markets=",
            )

    def _keep(self, symbols: list[str]) -> None:
        if self._cache is None:
            return
        with contextlib.suppress(OSError, ValueError):
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._cache.parent, prefix=self._cache.name)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.encode(symbols))
                os.replace(name, self._cache)
            except (OSError, ValueError):
                os.unlink(name)  # each refresh would leave one on a disk that is full


def _given(symbols: Any) -> tuple[str, ...]:
    try:
        return _read(symbols)
    except (TypeError, ValueError) as error:
        raise UsageError(f"markets= takes symbols, a callable that gives some, or None: {error}") from error


def _read(symbols: Any) -> tuple[str, ...]:
    """What a source gave, once and for all. Raises TypeError or ValueError for what is no list of symbols."""
    if isinstance(symbols, (str, bytes)):
        raise TypeError(f"one text ({symbols[:20]!r}) where a list of symbols is meant")
    read = []
    for symbol in itertools.islice(symbols, MAX_SYMBOLS + 1):
        if not isinstance(symbol, str):  # its text would be listed, and every market there is refused
            raise TypeError(f"a symbol is a text, not {type(symbol).__name__} ({symbol!r})")
        read.append(str(symbol))
    if len(read) > MAX_SYMBOLS:
        raise ValueError(f"over {MAX_SYMBOLS} symbols given, which is all that is supported")
    return tuple(read)
