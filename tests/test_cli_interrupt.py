"""Ctrl-C ends each command with its summary, never with a traceback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from sim_running import Running

TRADE = (
    b'{"type":"trade","code":"KRW-BTC","timestamp":1788000000000,"trade_price":5,"trade_volume":0.1,'
    b'"ask_bid":"BID","sequential_id":17880000000000001,"stream_type":"REALTIME"}'
)


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "subcore.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_watch(serve: Callable[..., Running]) -> None:
    url = serve(seed=5, rate=20.0).server.url
    with start("watch", "KRW-BTC", "-c", "ticker", "--url", url, "--json") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert first["symbol"] == "KRW-BTC"
    assert "Traceback" not in err
    assert json.loads(err.splitlines()[-1])["events"] == 1 + len(out.splitlines())


def test_replay(tmp_path: Path) -> None:
    file = tmp_path / "frames.jsonl"
    file.write_bytes((TRADE + b"\n") * 400_000)
    with start("replay", str(file), "--venue", "upbit", "--events", "-", "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["price"] == 5.0
        process.send_signal(signal.SIGINT)  # it is held up by its output, which nobody reads yet
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err
    summary = json.loads(err.splitlines()[-1])
    assert 0 < summary["frames"] < 400_000
    assert summary["errors_by_reason"] == {}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see that the demo has begun")
def test_demo() -> None:
    with start("demo", "--seconds", "60", "--json") as process:
        asyncio.run(_begun(process.pid))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode in (0, 130)
    assert "Traceback" not in err
    assert json.loads(out)["violations"] == 0


def test_demo_with_its_page() -> None:
    """It prints its address first, then what is done to it, and goes on until it is stopped."""
    with start("demo", "--web") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        lines = iter(process.stdout.readline, "")
        assert any("at work" in line for line in lines)
        with urllib.request.urlopen(f"{url}stats.json", timeout=10) as reply:
            assert len(json.load(reply)["components"]) == 124
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_demo_with_its_page_for_some_seconds() -> None:
    with start("demo", "--web", "--seconds", "0.5") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.startswith("http://127.0.0.1:")


async def _begun(pid: int) -> None:
    """Until the process is connected to its own exchange."""
    async with asyncio.timeout(20):
        while not any(line.split()[3] == "01" for line in _tcp(pid)):
            await asyncio.sleep(0.05)


def _tcp(pid: int) -> list[str]:
    """The lines of the process's own connections, as Linux tells them."""
    mine = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith("socket:["):
            mine.add(target[8:-1])
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return [line for line in lines if line.split()[9] in mine]
