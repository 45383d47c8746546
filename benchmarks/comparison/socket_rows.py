"""From the socket to a callback that does nothing: CPU time of the client process a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .clients import CLIENTS, Client, sample
from .library_clients import ccxt_books, ccxt_tickers, cryptofeed_books, cryptofeed_trades, plain_manager
from .measure import Contest, Effort, Row, Sample, Target
from .sender import Order, Sender
from .skips import available

__all__ = ["contests"]

SLOW_SHARE = 20  # a library that takes 100 us a frame needs fewer of them


class Stage:
    """One sender for one contest."""

    def __init__(self) -> None:
        self._sender: Sender | None = None

    def open(self) -> None:
        self._sender = Sender()

    def close(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def sample(self, client: Client, kind: str, style: str, count: int, *, waits: bool = False) -> Sample:
        """Connects `client`, sends it `count` frames; CPU nanoseconds a frame."""

        def once() -> float:
            assert self._sender is not None
            self._sender.order(Order(kind, style, count, waits))
            return sample(client, self._sender.url, count)

        return once


def contests() -> Iterator[Contest]:
    yield _tickers()


def _contest(name: str, rows: list[Row], samples: Callable[[Stage, Effort], dict[str, Sample]]) -> Contest:
    stage = Stage()

    def open_stage(effort: Effort) -> Mapping[str, Sample]:
        stage.open()
        return samples(stage, effort)

    return Contest(name, rows, open_stage, stage.close)
