"""The plain manager: what a competent team writes first, and the yardstick of everything here.

picows, orjson and a dict of sets. It merges interests by channel and symbol, sends every change at once, counts
messages, bytes and the last time of each topic, holds components weakly, and looks every ten minutes for
topics that went quiet. After a reconnect it tells the components, and those that care subscribe again. It knows
no rate limit, no proof that a subscription works, no priority and no slow component: that is the point of it,
but nothing it does do is done badly.

`PlainManager` is pure (bytes, sends and times come in), so it also runs under a virtual clock; `run` puts it on a
socket.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import orjson
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

__all__ = ["Component", "PlainManager", "Topic", "TopicStats", "run"]

Topic = tuple[str, str]
"""(channel, symbol)"""

log = logging.getLogger("plain_manager")


class Component(Protocol):
    """What the manager calls. `on_reconnect` is where a component that wants its topics back asks again."""

    def on_data(self, channel: str, symbol: str, data: dict[str, Any]) -> None: ...

    def on_reconnect(self) -> None: ...


class TopicStats:
    """What is known of one topic."""

    __slots__ = ("bytes", "last_time", "messages")

    def __init__(self, now: float) -> None:
        self.messages = 0
        self.bytes = 0
        self.last_time = now


class PlainManager:
    """`clock` gives seconds. Belongs to one event loop's thread."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, stale_after: float = 600.0) -> None:
        self.interests: dict[str, dict[str, set[weakref.ref[Component]]]] = {}
        self.stats: dict[Topic, TopicStats] = {}
        self.stale_after = stale_after
        self.sent = 0
        self.errors = 0
        self._clock = clock
        self._send: Callable[[bytes], None] | None = None

    # -- wishes --

    def subscribe(self, component: Component, channel: str, symbols: Iterable[str]) -> None:
        """Adds interests; the venue is told at once if a topic is new."""
        holders, reference, now = (
            self.interests.setdefault(channel, {}),
            weakref.ref(component),
            self._clock(),
        )
        changed = False
        for symbol in symbols:
            held = holders.get(symbol)
            if held is None:
                holders[symbol] = {reference}
                self.stats[channel, symbol] = TopicStats(now)
                changed = True
            else:
                held.add(reference)
        if changed:
            self._send_all()

    def unsubscribe(self, component: Component, channel: str, symbols: Iterable[str]) -> None:
        """Removes interests; the venue is told at once if a topic's last holder went."""
        holders, reference = self.interests.get(channel, {}), weakref.ref(component)
        changed = False
        for symbol in symbols:
            held = holders.get(symbol)
            if held is not None:
                held.discard(reference)
                changed |= not held and self._forget(channel, symbol)
        if changed:
            self._send_all()

    def topics(self) -> list[Topic]:
        """Everything that somebody wants."""
        return [(channel, symbol) for channel, holders in self.interests.items() for symbol in holders]

    # -- link --

    def connected(self, send: Callable[[bytes], None]) -> None:
        """A link is up. What was subscribed before the first connect goes out; after a reconnect, what components
        ask for again."""
        is_first, self._send = not self.sent, send
        if is_first:
            self._send_all()
            return
        wanted = {
            reference
            for holders in self.interests.values()
            for held in holders.values()
            for reference in held
        }
        self.interests.clear()
        self.stats.clear()
        for reference in wanted:
            component = reference()
            if component is not None:
                self._call(component.on_reconnect)

    def disconnected(self) -> None:
        """The link is gone; changes wait for the next one."""
        self._send = None

    def on_frame(self, payload: bytes | memoryview) -> None:
        """Counts a frame and hands it to the topic's holders."""
        try:
            data = orjson.loads(payload)
            channel, symbol = data["type"], data["code"]
            stats = self.stats.get((channel, symbol))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            self._on_control(bytes(payload))
            return
        if stats is None:
            return  # a late frame of what nobody wants any more
        stats.messages += 1
        stats.bytes += len(payload)
        stats.last_time = self._clock()
        for reference in tuple(self.interests[channel][symbol]):
            component = reference()
            if component is not None:
                self._call(component.on_data, channel, symbol, data)

    def check_stale(self) -> list[Topic]:
        """Every ten minutes: drops topics whose components are all gone, asks anew where nothing came for so
        long. Returns the topics found quiet."""
        now = self._clock()
        dropped = False
        for channel, holders in list(self.interests.items()):
            for symbol, held in list(holders.items()):
                held.difference_update([reference for reference in held if reference() is None])
                dropped |= not held and self._forget(channel, symbol)
        stale = [topic for topic, stats in self.stats.items() if now - stats.last_time >= self.stale_after]
        if stale or dropped:
            self._send_all()
        for topic in stale:
            log.warning("%s %s: nothing for %.0f s, asked again", *topic, now - self.stats[topic].last_time)
        return stale

    # -- inside --

    def _forget(self, channel: str, symbol: str) -> bool:
        del self.interests[channel][symbol], self.stats[channel, symbol]
        if not self.interests[channel]:
            del self.interests[channel]
        return True

    def _send_all(self) -> None:
        """The venue replaces the whole set with each message, so each message holds everything. It has no message
        for nothing: the last topic stays on the wire, and its frames are passed over."""
        if self._send is None or not self.interests:
            return
        request: list[dict[str, Any]] = [{"ticket": str(uuid.uuid4())}]
        request += [{"type": channel, "codes": list(holders)} for channel, holders in self.interests.items()]
        request.append({"format": "DEFAULT"})
        self.sent += 1
        self._send(orjson.dumps(request))

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception:
            self.errors += 1
            log.exception("a component raised")

    def _on_control(self, payload: bytes) -> None:
        if b'"status"' not in payload:
            self.errors += 1
            log.error("not a data frame: %s", payload[:200])


class _Listener(WSListener):
    def __init__(self, manager: PlainManager) -> None:
        self._manager = manager
        self._parts: list[bytes] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._manager.connected(lambda payload: transport.send(WSMsgType.TEXT, payload))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type == WSMsgType.CONTINUATION or not frame.fin:
            self._on_part(frame)
        elif frame.msg_type in (WSMsgType.BINARY, WSMsgType.TEXT):
            self._manager.on_frame(frame.get_payload_as_memoryview())

    def _on_part(self, frame: WSFrame) -> None:
        self._parts.append(frame.get_payload_as_bytes())
        if frame.fin:
            whole, self._parts = b"".join(self._parts), []
            self._manager.on_frame(whole)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._manager.disconnected()


async def run(manager: PlainManager, url: str, *, retry_seconds: float = 5.0) -> None:
    """Keeps the manager connected until cancelled: pings each 20 s, connects again 5 s after a loss."""
    checks = asyncio.get_running_loop().create_task(_check_forever(manager))
    try:
        while True:
            try:
                transport, _ = await ws_connect(
                    lambda: _Listener(manager), url, enable_auto_ping=True, auto_ping_idle_timeout=20,
                    auto_ping_reply_timeout=10,
                )  # fmt: skip
            except (OSError, WSError) as error:
                log.warning("no connection to %s: %s", url, error)
            else:
                try:
                    await transport.wait_disconnected()
                finally:
                    transport.disconnect()
            await asyncio.sleep(retry_seconds)
    finally:
        checks.cancel()


async def _check_forever(manager: PlainManager) -> None:
    while True:
        await asyncio.sleep(manager.stale_after)
        manager.check_stale()
