"""Bytes to an event: the scanner and `subcore.decode` against JSON libraries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
from bare.build import load

import subcore

from .core import new_scanner
from .frames import KINDS, STYLES, frames, home_markets
from .measure import Contest, Effort, Row, Sample, Target, calibrated
from .structs import decoder

__all__ = ["contests"]

OF_MSGSPEC = {"ticker": 0.30, "trade": 0.35, "candle.1m": 0.35, "orderbook.15": 0.30, "orderbook.30": 0.30}
OF_ORJSON = {"ticker": 0.22}
NAMES = {"orderbook.15": "book of 15 levels", "orderbook.30": "book of 30 levels"}


def contests() -> Iterator[Contest]:
    for kind in KINDS:
        for style in STYLES:
            yield _contest(kind, style)


def _contest(kind: str, style: str) -> Contest:
    rows = [
        Row("against msgspec, typed Struct", "subcore", "msgspec", Target(OF_MSGSPEC[kind])),
        Row("against orjson", "subcore", "orjson", Target(OF_ORJSON[kind]) if kind in OF_ORJSON else None),
        Row("against json", "subcore", "json"),
        Row(
            "subcore.decode from Python, against the core alone",
            "subcore.decode",
            "subcore",
            Target(60, "excess"),
        ),
    ]
    made = frames(kind, style)
    size = sum(map(len, made)) // len(made)
    return Contest(
        f"decode a {NAMES.get(kind, kind)}, {style}, {size} bytes",
        rows,
        lambda effort: _open(kind, style, effort),
    )


def _open(kind: str, style: str, effort: Effort) -> Mapping[str, Sample]:
    made = list(frames(kind, style))
    scanner, loop = new_scanner([market.code for market in home_markets()]), load("decode_loop").decode

    def each(parse: Callable[[bytes], Any]) -> Sample:
        def once(repeats: int) -> None:
            for _ in range(repeats):
                for frame in made:
                    parse(frame)

        return calibrated(once, len(made), effort)

    def decode_all(repeats: int) -> None:
        decode = subcore.decode
        for _ in range(repeats):
            for frame in made:
                decode("upbit", frame)

    return {
        "subcore": calibrated(lambda repeats: loop(scanner, made, repeats), len(made), effort),
        "subcore.decode": calibrated(decode_all, len(made), effort),
        "msgspec": each(decoder(kind, style).decode),
        "orjson": each(orjson.loads),
        "json": each(json.loads),
    }
