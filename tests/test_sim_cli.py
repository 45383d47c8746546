"""`subcore sim` as a user meets it: in a process of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from subcore.cli import main, sim
from subcore.sim import TEST_ACCESS_KEY, TEST_SECRET_KEY, Durations, Fault
from subcore.sim.binance import BinanceExchange
from subcore.sim.server import SimServer
from ws_client import Client


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from subcore.cli import main; main()", "sim", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_serves_and_ends_with_a_summary_on_ctrl_c() -> None:
    process = start("--json", "--fault", "mute_pong", "--speedup", "20")
    assert process.stdout is not None
    with process:
        url = json.loads(process.stdout.readline())["url"]
        with Client(url) as client:
            client.ask("ticker", ["KRW-BTC"])
            assert client.json()["code"] == "KRW-BTC"
            client.send(b"", 9)
            client.frames_for(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    summary = json.loads(out)
    assert process.returncode == 0
    assert not err
    assert (summary["connects"], summary["messages"], summary["violations"]) == (1, 1, 0)
    assert summary["frames"] >= 1
    assert summary["faults"] == {"mute_pong": 1}


def test_plain_output_names_url_and_totals() -> None:
    result = CliRunner().invoke(main, ["sim", "--seconds", "0.1"])
    assert result.exit_code == 0
    first, *rest = result.output.splitlines()
    assert first.startswith("ws://127.0.0.1:")
    assert [line.split()[0] for line in rest] == ["connections", "messages", "violations", "frames"]


def test_the_help_names_the_keys_of_the_private_route() -> None:
    said = " ".join(CliRunner().invoke(main, ["sim", "--help"]).output.split())
    assert TEST_ACCESS_KEY in said
    assert TEST_SECRET_KEY in said


def test_every_option_reaches_the_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[SimServer] = []

    class Seen(SimServer):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(sim, "SimServer", Seen)
    arguments = [
        "--host",
        "localhost",
        "--seed",
        "7",
        "--rate",
        "2.5",
        "--speedup",
        "10",
        "--over-limit",
        "close",
        "--fault",
        "lag:lag=2@5",
    ]
    assert CliRunner().invoke(main, ["sim", "--seconds", "0.1", *arguments]).exit_code == 0
    (server,) = made
    exchange = server.exchange
    assert (server.host, exchange.seed, exchange.rate) == ("localhost", 7, 2.5)
    assert exchange.rules.over_limit == "close"
    assert exchange.durations.idle == Durations().idle / 10
    assert exchange._planned == [(5.0, Fault("lag", lag=2.0))]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fault", "nope"], "no fault named 'nope'"),
        (["--fault", "hang:conn=1"], "'conn=1'"),
        (["--fault", "lag:lag=1,lag=2"], "lag twice"),
        (["--port", "99999"], "99999"),
        (["--rate", "0"], "rate"),
        (["--speedup", "-1"], "speedup"),
        (["--over-limit", "shout"], "shout"),
        (["--venue", "kraken"], "kraken"),
        (["--venue", "binance", "--over-limit", "error"], "close or ignore"),
    ],
)
def test_bad_input_gives_one_clear_line(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(main, ["sim", "--seconds", "0.1", *arguments])
    assert result.exit_code == 2
    assert says in result.output.splitlines()[-1]


def test_the_other_venue_is_served_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[SimServer] = []
    monkeypatch.setattr(sim, "SimServer", lambda *a, **o: made.append(SimServer(*a, **o)) or made[-1])
    arguments = ["sim", "--venue", "binance", "--seconds", "0.1", "--speedup", "10", "--rate", "2", "--json"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0
    start = json.loads(result.output.splitlines()[0])
    assert start["url"].endswith("/stream")
    assert start["markets"] > 500
    exchange: Any = made[0].exchange
    assert isinstance(exchange, BinanceExchange)
    assert exchange.rules.over_limit == "close"
    assert exchange.durations.ping_every == 2.0
    assert CliRunner().invoke(main, [*arguments, "--over-limit", "ignore"]).exit_code == 0
    assert made[1].exchange.rules.over_limit == "ignore"  # type: ignore[attr-defined]


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["sim", "--port", str(port)])
    assert result.exit_code == 1
    assert result.output == f"Error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_help_lists_the_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert "sim " in result.output
    assert CliRunner().invoke(main, ["nope"]).exit_code == 2
