"""Every candle unit of the venue, from the embedded exchange's socket to a component's handler."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime

import pytest

import subcore
from manager_rig import make, until
from subcore.manager import SubscriptionManager

UNITS = {
    "candle.1s": 1,
    "candle.1m": 60,
    "candle.3m": 180,
    "candle.5m": 300,
    "candle.10m": 600,
    "candle.15m": 900,
    "candle.30m": 1800,
    "candle.60m": 3600,
    "candle.240m": 14400,
}
FIELDS = {"open": "op", "high": "hp", "low": "lp", "close": "tp", "volume": "catv", "turnover": "catp"}


def told(event: subcore.Candle) -> tuple[object, ...]:
    assert event.start_time_ns is not None
    return (
        event.channel,
        event.symbol,
        event.is_snapshot,
        event.exchange_time_ns,
        event.start_time_ns,
        *(getattr(event, name) for name in FIELDS),
    )


def written(raw: bytes) -> tuple[object, ...]:
    """The same by `json` and `datetime`; the venue's SIMPLE names, which the manager asks for."""
    body = json.loads(raw)
    start = datetime.fromisoformat(body["cdttmu"]).replace(tzinfo=UTC)
    return (
        body["ty"],
        body["cd"],
        body["st"] == "SNAPSHOT",
        body["tms"] * 1_000_000,
        int(start.timestamp()) * 1_000_000_000,
        *(float(body[key]) for key in FIELDS.values()),
    )


@pytest.mark.parametrize("together", [True, False], ids=["one component", "a component each"])
async def test_every_unit_reaches_its_handler(manager: SubscriptionManager, together: bool) -> None:
    got: dict[str, list[subcore.Candle]] = defaultdict(list)
    one = make(manager, "chart")
    for unit in UNITS:
        component = one if together else make(manager, unit)
        component.subscribe(unit, ["KRW-BTC", "KRW-ETH"], got[unit].append, raw=True)
    await until(lambda: all(sum(not event.is_snapshot for event in got[unit]) >= 3 for unit in UNITS))
    for unit, seconds in UNITS.items():
        assert {event.channel for event in got[unit]} == {unit}
        assert {event.symbol for event in got[unit]} == {"KRW-BTC", "KRW-ETH"}
        assert got[unit][0].is_snapshot
        for event in got[unit]:
            assert event.raw is not None
            assert told(event) == written(event.raw)
            assert event.start_time_ns is not None
            assert event.start_time_ns % (seconds * 1_000_000_000) == 0
    assert manager.stats().bad_frames == {}
    assert manager.stats().messages_sent == 1
