"""From the socket to a callback that does nothing: CPU time of the client process a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .clients import CLIENTS, Client, sample
from .library_clients import ccxt_books, ccxt_tickers, cryptofeed_books, cryptofeed_trades, plain_manager
from .measure import Contest, Effort, Row, Sample, Target
from .sender import Order, Sender
from .skips import available
from .subcore_client import HAS_MANAGER, subcore_core, subcore_manager

__all__ = ["contests"]

SLOW_SHARE = 10  # a library that takes 100 us a frame is given a tenth of the frames


class Stage:
    """One sender, for as long as a contest lasts."""

    def __init__(self) -> None:
        self._sender: Sender | None = None

    def open(self) -> None:
        self._sender = Sender()

    def close(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def sample(self, client: Client, kind: str, style: str, count: int, *, waits: bool = True) -> Sample:
        """Connects `client`, sends it `count` frames; CPU nanoseconds a frame."""

        def once() -> float:
            assert self._sender is not None
            self._sender.order(Order(kind, style, count, waits))
            return sample(client, self._sender.url, count)

        return once


def contests() -> Iterator[Contest]:
    yield _tickers()
    if not HAS_MANAGER:
        return
    for library, channel, style, client, most in (
        ("cryptofeed", "trade", "SIMPLE", cryptofeed_trades, 1 / 12),
        ("cryptofeed", "orderbook", "SIMPLE", cryptofeed_books, 1 / 40),
        ("ccxt", "ticker", "DEFAULT", ccxt_tickers, 1 / 40),
        ("ccxt", "orderbook", "DEFAULT", ccxt_books, 1 / 40),
    ):
        if available(library):
            yield _whole_library(library, channel, style, client, most)


def _tickers() -> Contest:
    subjects = {"core": subcore_core("ticker")} | (
        {"manager": subcore_manager("ticker")} if HAS_MANAGER else {}
    )
    others = [name for name in ("aiohttp", "websockets") if available(name)]
    rows = [
        row
        for name in subjects
        for row in (
            Row(
                f"{name}, against a bare Cython counting listener", name, "bare Cython listener", Target(4.5)
            ),
            Row(f"{name}, against picows + orjson + 4 look-ups", name, "picows + orjson", Target(0.28)),
            Row(f"{name}, against picows, payload untouched", name, "picows, payload untouched"),
            Row(f"{name}, against the plain manager", name, "plain manager"),
            *(
                Row(f"{name}, against {other} + orjson + 4 look-ups", name, f"{other} + orjson")
                for other in others
            ),
        )
    ]

    def samples(stage: Stage, effort: Effort) -> dict[str, Sample]:
        clients = CLIENTS | {"plain manager": plain_manager} | subjects
        wanted = {name for row in rows for name in (row.ours, row.reference)}
        return {
            name: stage.sample(
                client, "ticker", "DEFAULT", effort.socket_frames, waits=name in ("plain manager", "manager")
            )
            for name, client in clients.items()
            if name in wanted
        }

    return _contest("socket to a no-op callback, DEFAULT tickers of 943 bytes in bursts", rows, samples)


def _whole_library(library: str, channel: str, style: str, client: Client, most: float) -> Contest:
    kind = "orderbook.30" if channel == "orderbook" else channel

    def samples(stage: Stage, effort: Effort) -> dict[str, Sample]:
        return {
            "manager": stage.sample(subcore_manager(channel), kind, style, effort.socket_frames // 2),
            library: stage.sample(client, kind, style, max(500, effort.socket_frames // SLOW_SHARE)),
        }

    name = f"socket to a no-op callback, {style} {channel} frames, against {library}"
    return _contest(name, [Row(f"whole library, {channel}", "manager", library, Target(most))], samples)


def _contest(name: str, rows: list[Row], samples: Callable[[Stage, Effort], dict[str, Sample]]) -> Contest:
    stage = Stage()

    def open_stage(effort: Effort) -> Mapping[str, Sample]:
        stage.open()
        return samples(stage, effort)

    return Contest(name, rows, open_stage, stage.close)
