"""Bytes to an event beside what orjson makes of the same bytes; read the ratio of the two, not the seconds."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

import subcore

sys.path.insert(0, str(Path(__file__).resolve().parent))  # asv imports this file by itself

from bare.build import load
from comparison.core import new_scanner
from comparison.frames import STYLES, frames, home_markets

COUNT = 256


class Scan:
    """A unit is 256 frames of 32 markets: to a struct, and an event made and dropped."""

    params = (("ticker", "trade", "orderbook.30"), STYLES)
    param_names = ("kind", "format")

    def setup(self, kind: str, style: str) -> None:
        self.decode = load("decode_loop").decode
        self.scanner = new_scanner([market.code for market in home_markets()])
        self.frames = list(frames(kind, style, COUNT))
        self.decode(self.scanner, self.frames, 1)  # the order of keys is learnt

    def time_scanner(self, kind: str, style: str) -> None:
        self.decode(self.scanner, self.frames, 1)

    def time_decode(self, kind: str, style: str) -> None:
        for frame in self.frames:
            subcore.decode("upbit", frame)

    def time_orjson(self, kind: str, style: str) -> None:
        for frame in self.frames:
            orjson.loads(frame)


class Refuse:
    """A unit is 256 frames that end in a named state: refusing may not cost more than accepting."""

    params = ("cut in half", "last byte wrong", "zeros")
    param_names = ("frame",)

    def setup(self, frame: str) -> None:
        change = {
            "cut in half": lambda whole: whole[: len(whole) // 2],
            "last byte wrong": lambda whole: whole[:-1] + b"]",
            "zeros": lambda whole: bytes(len(whole)),
        }[frame]
        self.scanner = new_scanner([market.code for market in home_markets()])
        self.frames = [change(whole) for whole in frames("ticker", "DEFAULT", COUNT)]
        if any(state == "ok" for each in self.frames for state, _ in self.scanner.scan(each)):
            raise RuntimeError("a broken frame was accepted")

    def time_scan(self, frame: str) -> None:
        for each in self.frames:
            self.scanner.scan(each)
