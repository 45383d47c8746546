"""Where `subcore top` reads figures: a manager's page (`http://HOST:PORT/`), or a file of JSON lines.

Both speak the one schema of `subcore.figures.as_json`. Nothing that comes is trusted: it is bounded, and may have any
shape.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .top_text import number

__all__ = ["FileSource", "HttpSource", "Seen", "Source", "SourceError", "source_of"]

TIMEOUT_S = 5.0
MOST_BYTES = 256 * 1024 * 1024
STEP = 1 << 16
TOPIC_COLUMNS = (
    "channel",
    "symbol",
    "depth",
    "grouping",
    "holders",
    "priority",
    "state",
    "data",
    "link",
    "gaps",
    "rate_10s",
    "last_delay_ns",
    "last_receive_time_ns",
)


class SourceError(Exception):
    """It cannot be read; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read at once. `topics`: {column: values}. None: the source does not have it, or was not asked.

    `old_s`: seconds since a file's line was written; whoever wrote it may be gone.
    """

    stats: dict[str, Any] = field(default_factory=dict)
    topics: dict[str, list[Any]] | None = None
    issues: list[Any] | None = None
    restores: list[Any] | None = None
    load: dict[str, Any] | None = None
    old_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "stats": self.stats,
            "topics": self.topics,
            "issues": self.issues,
            "restores": self.restores,
            "load": self.load,
        }


class Source(Protocol):
    """What `top` asks, in a thread of its own."""

    name: str
    has_topics: bool

    def read(self, *, topics: bool) -> Seen:
        """SourceError where there is nothing to be had."""
        ...


class HttpSource:
    """The JSON that a manager's page is made of."""

    has_topics = True

    def __init__(self, url: str, token: str | None) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
        except ValueError as error:
            raise SourceError(f"{url} is no address ({error}): give http://HOST:PORT/") from None
        if not parts.netloc:
            raise SourceError(f"{url} names no host: give http://HOST:PORT/")
        self.name = f"{parts.scheme}://{parts.netloc}/"
        # No other place may be shown the token, and no proxy is asked for what is on this machine.
        handlers: list[Any] = [_NoRedirect()]
        if parts.hostname in ("localhost", "127.0.0.1", "::1"):
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def read(self, *, topics: bool) -> Seen:
        """See Source."""
        stats = self._get("stats.json")
        if not isinstance(stats, dict):
            raise SourceError(f"{self.name}stats.json holds no figures: is that a manager's page?")
        columns = ",".join(TOPIC_COLUMNS)
        return Seen(
            stats,
            _as(dict, self._get(f"topics.json?columns={columns}", optional=True)) if topics else None,
            _as(list, self._get("issues.json", optional=True)),
            _as(list, self._get("restores.json", optional=True)),
            _as(dict, self._get("load.json", optional=True)),
        )

    def _get(self, path: str, *, optional: bool = False) -> Any:
        try:
            request = urllib.request.Request(self.name + path, headers=self._headers)
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return _parse(answer.read(MOST_BYTES + 1), self.name + path)
        except urllib.error.HTTPError as error:
            with error:
                if optional:
                    return None
                if error.code in (401, 403):
                    raise SourceError(f"{self.name} asks for its token: give it with --token") from None
                raise SourceError(f"{self.name}{path}: {error.code} {error.reason}") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise SourceError(
                f"{self.name} does not answer ({reason}): is manager.serve_dashboard() running there?"
            ) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


class FileSource:
    """The last whole line of a file of JSON lines, as `JsonLines` writes it."""

    has_topics = False

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def read(self, *, topics: bool) -> Seen:
        """See Source."""
        try:
            is_file = self._path.is_file()
            line = last_line(self._path) if is_file else b""
        except (OSError, ValueError) as error:
            raise SourceError(f"{self.name} cannot be read: {getattr(error, 'strerror', error)}") from None
        if not is_file:
            raise SourceError(f"there is no file {self.name}; the address of a page begins with http://")
        if not line:
            raise SourceError(f"{self.name} has no whole line yet")
        stats = _parse(line, self.name)
        if not isinstance(stats, dict):
            raise SourceError(
                f"the last line of {self.name} holds no figures: give a file that JsonLines wrote"
            )
        written = number(stats.get("time_ns"))
        return Seen(stats, old_s=max(0.0, (time.time_ns() - written) / 1e9) if written else 0.0)


def last_line(path: Path) -> bytes:
    """Without its end; what is behind the last line break is being written still. Reads at most MOST_BYTES."""
    with path.open("rb") as file:
        at = file.seek(0, 2)
        parts: list[bytes] = []
        breaks = 0
        while at > 0 and breaks < 2 and len(parts) * STEP < MOST_BYTES:
            at -= (size := min(at, STEP))
            file.seek(at)
            parts.append(file.read(size))
            breaks += parts[-1].count(b"\n")
    tail = b"".join(reversed(parts))
    return tail[: tail.rfind(b"\n") + 1].rstrip(b"\n").rpartition(b"\n")[2]


def source_of(text: str, token: str | None) -> Source:
    """Of an address or a path."""
    if text.lower().startswith(("http://", "https://")):
        return HttpSource(text, token)
    return FileSource(Path(text))


def _parse(data: bytes, name: str) -> Any:
    if len(data) > MOST_BYTES:
        raise SourceError(f"{name} gives more than {MOST_BYTES >> 20} MiB: that is no manager's page")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise SourceError(
            f"{name} holds no JSON: give a manager's page, or a file that JsonLines wrote"
        ) from None


def _as(kind: type[Any], value: Any) -> Any:
    return value if isinstance(value, kind) else None
