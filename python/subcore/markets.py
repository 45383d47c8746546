"""Which symbols a venue lists: over REST in a thread of our own, kept on disk between runs.

The list is a help, never a condition: while it cannot be had, spelling rules alone decide and one warning says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import msgspec

from .resolver import run_in_daemon

log = logging.getLogger("subcore.markets")

FETCH_DEADLINE_S = 3.0
MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_SYMBOLS = 65_536

Markets = Iterable[str] | Callable[[], Iterable[str] | Awaitable[Iterable[str]]]
Parse = Callable[[bytes], Iterable[str]]


def fetch_over_rest(url: str, parse: Parse) -> Iterable[str]:
    """GET `url` and parse it. Blocks at most about `FETCH_DEADLINE_S` a socket step; raises OSError or ValueError."""
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
    """The known symbols of one manager: `known` is None as long as only spelling rules apply.

    `source` is what the user gave: symbols, a (possibly async) callable, or None for the venue's own REST list at
    `url`. Not thread-safe: belongs to the loop's thread.
    """

    def __init__(
        self, venue: str, *, source: Markets | None, url: str | None, parse: Parse | None, cache: bool = True
    ) -> None:
        self._venue = venue
        self._source = source
        self._url = url
        self._parse = parse
        self._cache = cache_file(venue) if cache and source is None and url is not None else None
        self._warned = False
        self.known: frozenset[str] | None = None

    @property
    def available(self) -> bool:
        """True where there is anything to ask."""
        return self._source is not None or (self._url is not None and self._parse is not None)

    def load_cached(self) -> frozenset[str] | None:
        """The list kept by an earlier run, or None; a damaged file counts as none."""
        if self._cache is None:
            return None
        try:
            raw = self._cache.read_bytes()[: MAX_BODY_BYTES + 1]
            symbols = msgspec.json.decode(raw, type=list[str])
        except (OSError, msgspec.MsgspecError, ValueError):
            return None
        self.known = frozenset(symbols[:MAX_SYMBOLS])
        return self.known

    async def refresh(self) -> frozenset[str] | None:
        """Ask anew; the set now in force. Never raises for a source that cannot be reached. Cancel-safe."""
        if not self.available:
            return self.known
        try:
            symbols = await asyncio.wait_for(self._ask(), FETCH_DEADLINE_S + 1.0)
        except (OSError, ValueError, TimeoutError, msgspec.MsgspecError) as error:
            self._warn_once(error)
            return self.known
        self.known = frozenset(symbols)
        self._warned = False
        self._keep(sorted(self.known))
        return self.known

    async def _ask(self) -> Iterable[str]:
        if self._source is None:
            url, parse = self._url, self._parse
            if url is None or parse is None:
                raise ValueError("the venue names no list of markets")
            return await run_in_daemon("subcore-markets", lambda: fetch_over_rest(url, parse))
        answer = self._source() if callable(self._source) else self._source
        if inspect.isawaitable(answer):
            answer = await answer
        symbols = [str(symbol) for symbol in answer]
        if len(symbols) > MAX_SYMBOLS:
            raise ValueError(f"{len(symbols)} symbols given, at most {MAX_SYMBOLS} are supported")
        return symbols

    def _warn_once(self, error: BaseException) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "market list of %s unavailable (%s): unknown symbols are judged by spelling alone",
                self._venue,
                error,
            )

    def _keep(self, symbols: list[str]) -> None:
        if self._cache is None:
            return
        with contextlib.suppress(OSError):
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._cache.parent, prefix=self._cache.name)
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(symbols))
            os.replace(name, self._cache)
