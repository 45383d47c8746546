"""A listener fed by hand: what it handed on and what it told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from picows.picows import WSMsgType, _make_test_ws_frame

from subcore._listener import FeedListener
from subcore._receiver import Receiver

TEXT, BINARY, CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION
PING, PONG, CLOSE = WSMsgType.PING, WSMsgType.PONG, WSMsgType.CLOSE


class Log(Receiver):
    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.times: list[tuple[int, int]] = []
        self.act: Callable[[], object] | None = None

    def on_message(self, link: int, payload: bytes, receive_time_ns: int, now_ns: int) -> None:
        self.messages.append(payload)
        self.times.append((receive_time_ns, now_ns))
        if self.act is not None:
            self.act()


class Count(Receiver):
    """Counts messages; `done` is set at the last of so many."""

    def __init__(self, count: int) -> None:
        self.seen = 0
        self.done = asyncio.Event()
        self._count = count

    def on_message(self, link: int, payload: bytes, receive_time_ns: int, now_ns: int) -> None:
        self.seen += 1
        if self.seen == self._count:
            self.done.set()


class Bench:
    """A listener, what it handed on and what it told."""

    def __init__(self, **limits: int) -> None:
        self.log = Log()
        self.told: list[tuple] = []
        self.listener = FeedListener(
            self.log,
            3,
            on_connected=lambda: self.told.append(("connected",)),
            on_disconnected=lambda reason: self.told.append(("disconnected", reason)),
            on_close=lambda code, reason: self.told.append(("close", code, reason)),
            on_fault=lambda code, reason: self.told.append(("fault", code, reason)),
            on_pong=lambda rtt_ns: self.told.append(("pong", rtt_ns)),
            on_fatal=lambda error: self.told.append(("fatal", type(error))),
            **limits,
        )

    def feed(self, opcode: WSMsgType, payload: bytes = b"", *, fin: bool = True, rsv1: bool = False) -> None:
        self.listener.on_ws_frame(None, _make_test_ws_frame(opcode, payload, fin, rsv1))  # type: ignore[arg-type]

    @property
    def fault_code(self) -> int | None:
        return next((item[1] for item in self.told if item[0] == "fault"), None)
