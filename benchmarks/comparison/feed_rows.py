"""From bytes in memory to a no-op callback, over few streams and over very many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
from bare.build import load

from .core import new_feed, subscribe
from .frames import frames, renamed
from .measure import Contest, Effort, Row, Sample, Target, calibrated

__all__ = ["contests"]

FEW, MANY = 10, 50_000
FRAMES = 20_000
TEMPLATES = 16  # 16 KB: as hot as a receive buffer


def contests() -> Iterator[Contest]:
    yield Contest(
        "bytes to a no-op callback, 50,000 streams against 10, the same bytes",
        [
            Row("markets as active as in life (Zipf)", "many, Zipf", "few, Zipf", Target(1.15)),
            Row("every market as active as any other", "many, uniform", "few, uniform", Target(1.40)),
        ],
        _open,
    )


def _ignore(event: object) -> None:
    """A callback that does nothing."""


def _draws(streams: int, *, zipf: bool) -> npt.NDArray[np.int32]:
    """Which stream each frame is of: the k-th busiest with a weight of 1/k, or all alike."""
    rng = np.random.default_rng(3)
    weights = 1.0 / np.arange(1, streams + 1) if zipf else np.ones(streams)
    return rng.permutation(streams)[rng.choice(streams, FRAMES, p=weights / weights.sum())].astype(np.int32)


def _open(effort: Effort) -> Mapping[str, Sample]:
    loop = load("feed_loop").feed_all
    templates = [bytearray(renamed(frame, "KRW-00000")) for frame in frames("ticker", "DEFAULT")[:TEMPLATES]]
    offset = templates[0].index(b"KRW-") + len("KRW-")

    def fed(streams: int, *, zipf: bool) -> Sample:
        symbols = [f"KRW-{number:05d}" for number in range(streams)]
        feed = new_feed(symbols)
        subscribe(feed, "ticker", symbols, _ignore)
        numbers = _draws(streams, zipf=zipf)
        sample = calibrated(lambda rounds: loop(feed, templates, offset, numbers, rounds), FRAMES, effort)
        if feed.events != feed.frames or feed.unknown_streams:
            raise RuntimeError(f"frames did not reach their streams: {feed.counters()}")
        return sample

    return {
        f"{size}, {law}": fed(streams, zipf=law == "Zipf")
        for size, streams in (("few", FEW), ("many", MANY))
        for law in ("Zipf", "uniform")
    }
