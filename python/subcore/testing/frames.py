"""What a data frame is about, read the slow and obvious way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from subcore.errors import UsageError

__all__ = ["FrameKey", "frame_reader", "read_binance_frame", "read_upbit_frame"]


class FrameKey(NamedTuple):
    """What a data frame is about."""

    channel: str
    symbol: str
    grouping: float
    is_snapshot: bool
    time_ns: int = 0


def read_upbit_frame(payload: bytes) -> list[FrameKey]:
    """Keys of a data frame, read with the json module; [] = not data."""
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        return []
    keys = []
    for one in said if isinstance(said, list) else [said]:
        if not isinstance(one, dict) or ("stream_type" not in one and "st" not in one):
            return []
        kind = one.get("stream_type", one.get("st"))
        level = one.get("level", one.get("lv")) or 0
        if not isinstance(level, (int, float)):
            return []
        code = str(one.get("code", one.get("cd", "")))
        time = one.get("timestamp", one.get("tms"))
        time_ns = time * 1_000_000 if isinstance(time, int) else 0
        channel = str(one.get("type", one.get("ty")))
        keys.append(FrameKey(channel, code, float(level), kind == "SNAPSHOT", time_ns))
    return keys


def read_binance_frame(payload: bytes) -> list[FrameKey]:
    """Key of a combined stream's frame, read with the json module; [] = not data."""
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        return []
    name = said.get("stream") if isinstance(said, dict) else None
    if not isinstance(name, str):
        return []
    symbol, _, kind = name.partition("@")
    return [FrameKey(kind.partition("@")[0], symbol.upper(), 0.0, False)]


READERS = {"upbit": read_upbit_frame, "binance": read_binance_frame}


def frame_reader(venue: str) -> Callable[[bytes], list[FrameKey]]:
    """How the frames of a venue of this name are read; `upbit-sg` is written as `upbit` is. UsageError: not known."""
    found = READERS.get(venue.partition("-")[0])
    if found is None:
        raise UsageError(f"no reader of {venue} frames is known: give one as read_frame=")
    return found
