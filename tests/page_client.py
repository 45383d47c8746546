"""A client of the dashboard for tests: plain asyncio streams, written apart from the server's own code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

SOON = 10.0


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class PageClient:
    """One connection. `async with PageClient(url) as client: await client.get("/stats.json")`"""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = str(parts.hostname), int(parts.port or 80)

    async def __aenter__(self) -> PageClient:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=1 << 24)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.writer.close()

    async def get(self, target: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Reply:
        lines = {"Host": f"{self.host}:{self.port}", **(headers or {})}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return await self.send(f"{method} {target} HTTP/1.1\r\n{text}\r\n".encode(), method)

    async def send(self, data: bytes, method: str = "GET") -> Reply:
        self.writer.write(data)
        return await self.reply(method)

    async def reply(self, method: str = "GET") -> Reply:
        async with asyncio.timeout(SOON):
            line, *fields = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            headers: dict[str, str] = {}
            for field in fields:
                name, _, value = field.partition(": ")
                assert name.lower() not in headers, f"two headers {name}"
                headers[name.lower()] = value
            length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
            return Reply(int(line.split()[1]), headers, await self.reader.readexactly(length))

    async def event(self) -> Any:
        """The next event of a stream that was asked for."""
        async with asyncio.timeout(SOON):
            said = await self.reader.readuntil(b"\n\n")
        assert said.startswith(b"data: ")
        return json.loads(said[6:])

    async def ended(self) -> bytes:
        """What still came until the server closed."""
        async with asyncio.timeout(SOON):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


async def get(url: str, target: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Reply:
    async with PageClient(url) as client:
        return await client.get(target, headers, method)
