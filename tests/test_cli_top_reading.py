"""Where `subcore top` reads: a page and a file give the same, and what cannot be read says what to do."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from manager_rig import KEPT, make, until
from subcore.cli import main
from subcore.cli.top_source import (
    TOPIC_COLUMNS,
    FileSource,
    HttpSource,
    SourceError,
    last_line,
    source_of,
)
from subcore.component import Component
from subcore.dashboard import Dashboard
from subcore.exporters.json_lines import JsonLines
from subcore.manager import SubscriptionManager
from subcore.topic_figures import TOPIC_STATS
from top_screen import RECORDED, figures_file, shown

__all__ = ["figures_file"]  # a fixture


def test_figures_of_a_process_that_is_gone_are_called_old(tmp_path: Path) -> None:
    path = tmp_path / "f"
    for age_s, told in ((0, False), (50, False), (-3600, False), (90, True), (7300, True)):
        stats = RECORDED["stats"] | {"time_ns": time.time_ns() - age_s * 10**9}
        path.write_text(json.dumps(stats) + "\n")
        figures = FileSource(path).read(topics=False)
        assert shown(figures)[1].startswith("! figures are ") == told, age_s
    assert shown(figures)[1].startswith("! figures are 2 h old: nothing was written since")
    assert "figures are 3 h old: gone" in shown(figures, trouble="gone", age_s=3600.0)[1]
    path.write_text("{}\n")
    assert FileSource(path).read(topics=False).old_s == 0, "it has no time"


def test_only_columns_that_there_are_are_asked_for() -> None:
    assert set(TOPIC_COLUMNS) <= set(TOPIC_STATS.names or ())


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", b""),
        (b"torn", b""),
        (b"one\n", b"one"),
        (b"one\ntwo\n", b"two"),
        (b"one\ntwo\ntorn", b"two"),
        (b"x" * 70_000 + b"\n" + b"y" * 200_000 + b"\n" + b"z" * 70_000, b"y" * 200_000),
    ],
)
def test_the_last_whole_line(tmp_path: Path, data: bytes, line: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(data)
    assert last_line(path) == line


def test_what_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("hello\n")
    (tmp_path / "list").write_text("[1]\n")
    (tmp_path / "empty").write_text("")
    for name, words in (
        ("none", "begins with http://"),
        ("other", "holds no JSON"),
        ("list", "holds no figures"),
        ("empty", "no whole line yet"),
        ("", "begins with http://"),
    ):
        with pytest.raises(SourceError, match=words):
            FileSource(tmp_path / name).read(topics=False)
        done = CliRunner().invoke(main, ["top", str(tmp_path / name), "--once"])
        assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
    done = CliRunner().invoke(main, ["top", "http://127.0.0.1:9/", "--json"])
    assert done.exit_code == 1
    assert "serve_dashboard() running there?" in done.output
    done = CliRunner().invoke(main, ["top", str(tmp_path / "other")])
    assert "no terminal: add --once" in done.output
    with pytest.raises(SourceError, match="names no host"):
        source_of("http://", None)
    for address in (
        "http://[::1:80/",
        "http://127.0.0.1:8 0/",
        "http://127.0.0.1:port/",
        "HTTP://127.0.0.1:9/",
    ):
        done = CliRunner().invoke(main, ["top", address, "--once"])
        assert isinstance(done.exception, SystemExit), (address, done.exception)
        assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
        assert "is no address" in done.output or "running there?" in done.output


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer (SSH-2.0"),
        (b"HTTP/1.1 500 \x1b]0;mine\x07\x1b[31mboo\r\nContent-Length: 0\r\n\r\n", "500 ·]0;mine··[31mboo"),
    ],
)
def test_whatever_answers_a_sentence_says_so_and_is_only_text(said: bytes, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as client:
                client.recv(65536)
                client.sendall(said)

        threading.Thread(target=answer, daemon=True).start()
        done = CliRunner().invoke(main, ["top", f"http://127.0.0.1:{listener.getsockname()[1]}/", "--once"])
    assert isinstance(done.exception, SystemExit), done.exception
    assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
    assert words in done.output
    assert "\x1b" not in done.output


@pytest.fixture
async def desk(manager: SubscriptionManager) -> Component:
    component = make(manager, "desk")
    component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], lambda event: None)
    await component.live(timeout=10.0)
    return component


@pytest.fixture
async def dashboard(manager: SubscriptionManager, desk: Component) -> Dashboard:
    return await manager.serve_dashboard(token="a token of some length")


async def test_a_page_and_a_file_are_read_alike(
    manager: SubscriptionManager, dashboard: Dashboard, tmp_path: Path
) -> None:
    figures = await asyncio.to_thread(HttpSource(dashboard.url, "a token of some length").read, topics=True)
    assert figures.stats["components"]["desk"]["interests"] == 2
    assert figures.topics is not None
    assert sorted(figures.topics["symbol"]) == ["KRW-BTC", "KRW-ETH"]
    assert (figures.issues, figures.restores) == ([], [])
    lines = JsonLines(manager, tmp_path / "f")
    await until(lambda: lines.lines)
    held = FileSource(tmp_path / "f").read(topics=True)
    assert held.stats.keys() == figures.stats.keys()
    for each in (figures, held):
        assert "desk" in "\n".join(shown(each))
    with pytest.raises(SourceError, match="asks for its token: give it with --token"):
        await asyncio.to_thread(HttpSource(dashboard.url, None).read, topics=True)


def test_a_token_is_shown_to_no_other_place() -> None:
    source = HttpSource("http://127.0.0.1:9/", "secret")
    handlers = [type(handler).__name__ for handler in source._opener.handlers]
    assert "_NoRedirect" in handlers
    assert "HTTPRedirectHandler" not in handlers
    assert "ProxyHandler" not in handlers


def test_once_and_json_go_anywhere(figures_file: Path) -> None:
    once = CliRunner().invoke(main, ["top", str(figures_file), "--once"], env={"COLUMNS": "100"})
    assert once.exit_code == 0, once.output
    assert "\x1b" not in once.output
    for name in RECORDED["stats"]["components"]:
        assert name in once.output
    said = CliRunner().invoke(main, ["top", str(figures_file), "--json"])
    assert json.loads(said.output) == {
        "stats": RECORDED["stats"],
        "topics": None,
        "issues": None,
        "restores": None,
        "load": None,
    }
    assert KEPT == []
