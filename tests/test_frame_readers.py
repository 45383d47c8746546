"""The driver reads frames as its venue writes them, and says so where it does not know how."""

from __future__ import annotations

import dataclasses

import pytest

import subcore
from subcore.sim.exchange import Exchange
from subcore.testing import EngineDriver, FrameKey
from subcore.testing.frames import frame_reader
from subcore.venues import venue

UPBIT = b'{"type":"trade","code":"KRW-BTC","timestamp":5,"stream_type":"SNAPSHOT"}'
BINANCE = b'{"stream":"btcusdt@trade","data":{"e":"trade"}}'


@pytest.mark.parametrize("name", ["upbit", "upbit-sg"])
def test_every_house_of_upbit_is_read_as_upbit(name: str) -> None:
    assert frame_reader(name)(UPBIT) == [FrameKey("trade", "KRW-BTC", 0.0, True, 5_000_000)]
    assert frame_reader(name)(BINANCE) == []


def test_binance_is_read_as_binance() -> None:
    assert frame_reader("binance")(BINANCE) == [FrameKey("trade", "BTCUSDT", 0.0, False)]
    assert frame_reader("binance")(UPBIT) == []


def test_another_venue_has_to_bring_its_own() -> None:
    made = dataclasses.replace(venue("upbit"), name="elsewhere")
    with pytest.raises(
        subcore.UsageError, match="no reader of elsewhere frames is known: give one as read_fr"
    ):
        EngineDriver(made, Exchange(1))
    driver = EngineDriver(made, Exchange(1), read_frame=frame_reader("upbit"))
    assert driver.venue is made
