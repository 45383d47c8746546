"""Ties one connection of the core's listener to its link and the runtime."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from ._listener import FeedListener

if TYPE_CHECKING:
    from ._feed import Feed
    from .link import Link
    from .runtime import Runtime


def make_listener(feed: Feed, link: Link, generation: int, runtime: Runtime) -> FeedListener:
    """A listener for the connection of `generation`; what an older one still says reaches nobody."""

    def fault(code: int, reason: str) -> None:
        link.disconnect(generation, reason, code)

    return FeedListener(
        feed,
        link.number,
        on_close=lambda code, reason: link.received_close(generation, code, reason),
        on_fault=fault,
        on_disconnected=lambda reason: link.lost(
            generation, reason or "the connection ended without a close frame"
        ),
        on_pong=lambda rtt_ns: runtime.pong(link.number, generation, rtt_ns),
        on_fatal=raise_in_loop,
    )


def raise_in_loop(error: BaseException) -> None:
    """Let KeyboardInterrupt or SystemExit of a handler end the loop, from outside the transport's callback."""

    def again() -> NoReturn:
        raise error

    asyncio.get_running_loop().call_soon(again)
