"""Whether all that is CRITICAL flows, as `/readyz` says it. Reads columns; O(streams) in numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _columns
from ..types import DataState, Priority, StreamState

if TYPE_CHECKING:
    from ..hub import Hub

__all__ = ["readiness"]

NAMED_AT_MOST = 10


def readiness(hub: Hub, *, running: bool) -> dict[str, Any]:
    """`ready`: the manager runs, and each CRITICAL stream is OPEN with data that are not SUSPECT.

    A refused one counts as missing: somebody relies on it and does not get it. With none at all, what runs is ready.
    """
    with hub.intent.whole:
        streams = _columns.live_streams(hub.ledger)
        critical = streams[_columns.wanted_columns(hub.ledger, streams)[3] == Priority.CRITICAL]
    columns = hub.engine.streams
    states = np.full(len(critical), StreamState.WAITING, np.uint8)  # until the engine has heard of it
    data = np.zeros(len(critical), np.uint8)
    known = critical < min(len(columns.state), len(columns.data))
    states[known], data[known] = columns.state[critical[known]], columns.data[critical[known]]
    suspect = (states == StreamState.OPEN) & (data == DataState.SUSPECT)
    missing = critical[(states != StreamState.OPEN) | suspect]
    return {
        "ready": running and not len(missing),
        "running": running,
        "critical": {
            "wanted": len(critical),
            "flowing": len(critical) - len(missing),
            "suspect": int(np.count_nonzero(suspect)),
            **{
                state.name.lower(): int(np.count_nonzero(states == state))
                for state in (
                    StreamState.WAITING,
                    StreamState.SENT,
                    StreamState.RECOVERING,
                    StreamState.REFUSED,
                )
            },
        },
        "missing": _names(hub, missing[:NAMED_AT_MOST]),
    }


def _names(hub: Hub, streams: Any) -> list[str]:
    if not len(streams):
        return []
    columns = hub.intent.columns(streams)
    names = [hub.venue.channels[index].name for index in columns.channels.tolist()]
    return [f"{channel}:{symbol}" for channel, symbol in zip(names, columns.symbols, strict=True)]
