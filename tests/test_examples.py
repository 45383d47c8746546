"""Every example runs, against the embedded exchange."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from conftest import ROOT
from subcore.sim.binance import BinanceExchange
from subcore.sim.server import SimServer

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_examples_and_each_is_short() -> None:
    assert len(EXAMPLES) >= 3
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
    assert capsys.readouterr().out.strip()
