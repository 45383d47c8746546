"""Every example runs, against the embedded exchange."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from conftest import ROOT
from subcore.sim.binance import BinanceExchange
from subcore.sim.server import SimServer

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# What each shows by its words, as patterns that must be found in this order.
TELLS = {
    "async_handler": (r"0 lost", r"written in the end"),
    "batches_and_status": (r"status OPEN", r"books, the last Orderbook"),
    "four_components": (r"7 interests, 6 streams, 1 message",),
    "heartbeat": (r"broken is QUARANTINED", r"broken is REAPED", r"left: good"),
    "late_joiner": (r"the last known price", r"a new price"),
    "latest": (r"left out: \d+ lost: 0",),
    "max_rate": (r"newer prices took the place of", r"display gets at most 2 events a second"),
    "merge": (r"binance +BTCUSDT", r"upbit +KRW-BTC"),
    "priorities": (r"CRITICAL trade:KRW-BTC", r"HIGH +orderbook", r"NORMAL +ticker:KRW-BTC", r"LOW +ticker"),
    "private_orders": (r"OPEN: myOrder:\*, myAsset:\*", r"live: open", r"(wait|trade) [\d.]+ of [\d.]+"),
    "queue_overflow": (r"drop_oldest LOSS", r"drop_newest LOSS", r"close is over"),
    "restart": (
        *(r"kept: .* 2 components, 3 interests", r"high +2 +2 +2 +0", r"normal +1 +1 +1 +0"),
        *(r"2 restored topics were not confirmed", r"still wanted: ticker:KRW-BTC\n"),
    ),
    "ring": (r"trades, the last of", r"overrun: 0"),
    "standby": (
        *(r"trade:KRW-BTC on link \d and \d", r"trade:KRW-ETH on link \d and \d"),
        *(r"ticker:KRW-BTC on link \d and None", r"3 trades;", r"one link is enough again"),
    ),
    "ticker_loop": (r"(KRW-\w+ [\d.]+ \d+\n){3}",),
}


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_examples_and_each_is_short() -> None:
    assert {path.stem for path in EXAMPLES} == TELLS.keys()
    assert {
        path.name: len(path.read_text().splitlines())
        for path in EXAMPLES
        if len(path.read_text().splitlines()) >= 60
    } == {}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
async def test_example_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with (
        SimServer(seed=5, rate=20.0) as server,
        SimServer(BinanceExchange(seed=5, rate=20.0)) as other,
    ):
        module = load(path)
        async with asyncio.timeout(60):
            more = (other.url,) if path.stem == "merge" else ()
            await module.main(server.url, 0.2 if path.stem == "four_components" else 3, *more)
        assert not server.violations
        assert not other.violations
    assert re.search(".*".join(TELLS[path.stem]), capsys.readouterr().out, re.DOTALL)
