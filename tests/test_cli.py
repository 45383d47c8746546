"""The commands, as a user types them, in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from subcore import decode
from subcore.cli.demo import most_within
from subcore.recording import FrameReader
from subcore.sim.server import SimServer

TRADE = (
    b'{"type":"trade","code":"KRW-BTC","timestamp":1788000000000,"trade_price":5,"trade_volume":0.1,'
    b'"ask_bid":"BID","sequential_id":17880000000000001,"stream_type":"REALTIME"}'
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "subcore.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_lists_the_commands() -> None:
    out = run("--help").stdout
    for name in ("demo", "sim", "watch"):
        assert name in out


def test_demo_json() -> None:
    done = run("demo", "--seconds", "1", "--seed", "4", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["four_messages"] == 1
    assert report["components"] == 124
    assert report["streams_open"] == report["streams"] > 1000
    assert report["violations"] == report["bad_frames"] == report["handler_errors"] == 0
    assert report["messages"] <= 5
    assert report["frames"] > 0


def test_demo_cuts_the_link_and_everything_comes_back() -> None:
    done = run("demo", "--seconds", "1", "--json")
    report = json.loads(done.stdout)
    (restore,) = report["restores"]
    assert 0 < restore["seconds"] < 10
    assert [each["priority"] for each in restore["classes"]] == ["CRITICAL", "HIGH", "NORMAL", "LOW"]
    for each in restore["classes"]:
        assert each["lost"] == each["asked"] == each["proven"] > each["refused"] == 0
    assert sum(each["lost"] for each in restore["classes"]) == report["streams"]


def test_demo_shows_what_becomes_of_components_that_misbehave() -> None:
    done = run("demo", "--seconds", "0.5", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    steps = {each["does"]: each["steps"] for each in report["rogues"]}
    assert len(steps) == 10
    whole = ["slow", "quarantined", "removed"]
    ends = {
        "crashed": ["removed"],
        "cancelled": ["removed"],
        "thrown away": ["removed"],
        "hung": whole,
        "raised on every call": whole,
        "read nothing": whole,
        "had promised": ["quarantined", "removed"],
        "nobody ever read": whole,
        "took longer": ["slow"],
        "made and closed others": [],
    }
    for does, end in ends.items():
        (told,) = [list(each) for name, each in steps.items() if does in name]
        assert told == end, does
    assert report["bystanders_lost"] == report["bystanders_closed"] == report["handler_errors"] == 0
    assert report["components"] == 124
    assert report["blocking"]["has_stack"]
    assert 0 < report["blocking"]["named_s"] < report["blocking"]["seconds"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("watch", "krw-btc", "--url", "ws://127.0.0.1:9"), "krw-btc"),
        (("watch", "KRW-BTC", "--venue", "nowhere"), "nowhere"),
        (("watch", "KRW-BTC", "--channel", "nope", "--url", "ws://127.0.0.1:9"), "nope"),
        (("watch", "KRW-BTC", "--url", "http://x"), "http://x"),
        (("demo", "--seconds", "-1"), "seconds"),
        (("replay", "/nowhere.jsonl", "--venue", "upbit"), "nowhere"),
        (("replay", __file__, "--venue", "nowhere"), "nowhere"),
        (("nope",), "nope"),
    ],
)
def test_bad_input_is_one_clear_line(arguments: tuple[str, ...], text: str) -> None:
    done = run(*arguments)
    assert done.returncode != 0
    assert text in done.stderr
    assert "Traceback" not in done.stderr


async def test_watch_prints_and_records(tmp_path: Path) -> None:
    import asyncio

    file = tmp_path / "seen.jsonl.gz"
    async with SimServer(seed=5, rate=20.0) as server:
        arguments = ("watch", "KRW-BTC", "-c", "ticker", "-c", "trade", "--url", server.url, "--json")
        done = await asyncio.to_thread(run, *arguments, "--seconds", "2", "--record", str(file))
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["symbol"] for event in events} == {"KRW-BTC"}
    assert {event["channel"] for event in events} == {"ticker", "trade"}
    frames = list(FrameReader(file))
    assert all(receive_ns > 0 for receive_ns, _ in frames)
    recorded = [decode("upbit", frame, receive_time_ns=receive_ns) for receive_ns, frame in frames]
    # what came while the command was ending is recorded, not shown
    shown = [(event["channel"], event["exchange_time_ns"]) for event in events]
    assert shown == [(event.channel, event.exchange_time_ns) for event in recorded[: len(shown)]]
    assert json.loads(done.stderr.splitlines()[-1])["events"] == len(events)


def test_replay_counts_and_writes_events(tmp_path: Path) -> None:
    source, out = tmp_path / "x.jsonl", tmp_path / "events.jsonl"
    source.write_bytes(TRADE + b'\n{"status":"UP"}\nnonsense\n' + TRADE.replace(b"0.1", b"01") + b"\n")
    done = run("replay", str(source), "--venue", "upbit", "--events", str(out), "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["frames"] == 4
    assert summary["events_by_channel"] == {"trade": 1}
    assert summary["controls"] == {"Alive": 1}
    assert summary["errors_by_reason"] == {"bad_json": 1, "number_syntax": 1}
    (event,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert (event["symbol"], event["price"], event["id"]) == ("KRW-BTC", 5.0, 17880000000000001)
    assert "frame 3" in run("replay", str(source), "--venue", "upbit").stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_replay_onto_a_full_disk_says_so(tmp_path: Path) -> None:
    source = tmp_path / "x.jsonl"
    source.write_bytes(TRADE + b"\n")
    done = run("replay", str(source), "--venue", "upbit", "--events", "/dev/full")
    assert done.returncode == 1
    assert "/dev/full" in done.stderr
    assert "Traceback" not in done.stderr


def test_replay_never_overwrites_the_recording(tmp_path: Path) -> None:
    source = tmp_path / "x.jsonl"
    source.write_bytes(TRADE + b"\n")
    done = run("replay", str(source), "--venue", "upbit", "--events", str(tmp_path / "." / "x.jsonl"))
    assert done.returncode == 1
    assert "recording itself" in done.stderr
    assert source.read_bytes() == TRADE + b"\n"


def test_most_within_counts_any_stretch() -> None:
    assert most_within([], 1.0) == 0
    assert most_within([0.0, 0.5, 0.9, 1.0, 1.4, 3.0], 1.0) == 4
