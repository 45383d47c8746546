"""`subcore top`: what it draws from recorded figures, whatever is in them; its keys; and a run on a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import fcntl
import json
import os
import pty
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from examples import examples
from manager_rig import KEPT, make, manager, server, until
from subcore.cli import main, top_loop
from subcore.cli.top import _watch
from subcore.cli.top_keys import keys_of
from subcore.cli.top_source import (
    TOPIC_COLUMNS,
    FileSource,
    HttpSource,
    Seen,
    SourceError,
    last_line,
    source_of,
)
from subcore.cli.top_state import Pane, State, press
from subcore.cli.top_tables import COLUMNS, rows_of, visible
from subcore.cli.top_text import amount, bar, clean, count, duration
from subcore.cli.top_view import draw
from subcore.component import Component
from subcore.dashboard import Dashboard
from subcore.exporters.json_lines import JsonLines
from subcore.manager import SubscriptionManager
from subcore.topic_figures import TOPIC_STATS
from terminals import ESCAPES

__all__ = ["manager", "server"]
RECORDED = json.loads((Path(__file__).parent / "top_figures.json").read_text("utf-8"))
HOSTILE = (
    "\x1b[2Jgone",
    "[bold red]x[/]",
    "two\nlines",
    "a\tb",
    "\u202eright to left",
    "한글" * 40,
    "é" * 300,
    "\ud800",
    "",
)
SOON_S = 20.0


def seen(**changes: Any) -> Seen:
    return Seen(**{**copy.deepcopy(RECORDED), **changes})


def shown(
    figures: Seen, state: State | None = None, *, width: int = 110, height: int | None = 40, **more: Any
) -> list[str]:
    """The lines as a terminal of that size gets them, colours left out."""
    screen = draw(figures, state or State(), name="somewhere", width=width, height=height, **more)
    console = Console(width=width, height=height or 25, force_terminal=True, color_system="truecolor")
    with console.capture() as capture:
        for line in screen.lines:
            console.print(line, no_wrap=True, crop=True)
    drawn = capture.get()
    assert len(screen.lines) <= (height or 10_000)
    lines = ESCAPES.sub("", drawn).split("\n")
    assert "\x1b" not in "".join(lines), "only what colours"
    assert len(lines) == len(screen.lines) + 1, "one line each"
    for line in screen.lines:
        assert line.cell_len <= width
    return lines


@pytest.mark.parametrize("width", [80, 110, 200])
def test_what_is_recorded_is_shown(width: int) -> None:
    lines = shown(seen(), width=width)
    text = "\n".join(lines)
    stats = RECORDED["stats"]
    assert f"frames {stats['frame_rate']['over_10s']:,.0f}/s" in text
    assert f"interests {stats['interests']:,}" in text
    assert "0/5 in 1 s" in text
    assert "/100 in 60 s" in text
    assert "last restore" in text
    assert f"{RECORDED['issues'][0]['severity']} {RECORDED['issues'][0]['rule']}" in text
    for name in stats["components"]:
        assert name in text
    rows = [line for line in lines if line.startswith(("well", "slow", "quarantined"))]
    assert len(rows) == len(stats["components"])
    healths = [line.split()[0] for line in rows]
    assert healths == sorted(healths, key=["quarantined", "slow", "well"].index), "the worst first"
    assert lines[39].startswith("q quit")


def test_topics_say_why_they_are_worth_a_look() -> None:
    topics = copy.deepcopy(RECORDED["topics"])
    topics["state"][3], topics["data"][5] = 5, 2
    lines = shown(seen(topics=topics), State(shown=1))
    (head,) = [index for index, line in enumerate(lines) if line.startswith("state ")]
    assert lines[head + 1].startswith("refused")
    assert f"{topics['channel'][3]}:{topics['symbol'][3]}" in lines[head + 1]
    assert "suspect" in lines[head + 2]
    assert all(line.startswith("open") for line in lines[head + 3 : head + 12])
    assert "topics are not known here" in "\n".join(shown(seen(topics=None), State(shown=1)))


@pytest.mark.parametrize("width", [30, 80, 110])
def test_hostile_names_move_nothing(width: int) -> None:
    figures = seen()
    record = next(iter(figures.stats["components"].values()))
    figures.stats["components"] = {str(n): {**record, "name": name} for n, name in enumerate(HOSTILE)}
    issue = {**RECORDED["issues"][0], "subject": HOSTILE[0], "evidence": HOSTILE[2]}
    restore = {**RECORDED["restores"][0], "reason": HOSTILE[0]}
    topics = {
        **RECORDED["topics"],
        "symbol": [HOSTILE[n % len(HOSTILE)] for n in range(len(RECORDED["topics"]["symbol"]))],
    }
    figures = Seen(figures.stats, topics, [issue], [restore])
    for state in (State(), State(shown=1), State(is_typing=True, panes=(Pane(search="\x1b[2J"), Pane()))):
        lines = shown(figures, state, width=width, trouble=HOSTILE[0])
        assert "\u202e" not in "".join(lines)
        assert "\t" not in "".join(lines)
    if width > 100:
        assert "[bold red]x[/]" in "\n".join(shown(figures, width=width)), "no markup"


SHAPES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@examples(30)
@given(st.data())
def test_figures_of_any_shape_are_drawn(data: st.DataObject) -> None:
    figures = (
        RECORDED if data.draw(st.booleans()) else {"stats": data.draw(st.dictionaries(st.text(), SHAPES))}
    )
    figures = copy.deepcopy(figures)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys = (
            list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        )
        for key in keys:
            places.append((value, key))
            walk(value[key])

    walk(figures)
    for _ in range(4):
        if places:
            where, key = places[data.draw(st.integers(0, len(places) - 1))]
            with contextlib.suppress(KeyError, IndexError):
                where[key] = data.draw(SHAPES)
    whole = Seen(
        **{
            name: figures.get(name) if isinstance(figures.get(name), kind) else empty
            for name, kind, empty in (
                ("stats", dict, {}),
                ("topics", dict, None),
                ("issues", list, None),
                ("restores", list, None),
                ("load", dict, None),
            )
        }
    )
    sort = data.draw(st.integers(0, 20))
    state = State(shown=data.draw(st.integers(0, 1)), panes=(Pane(sort=sort), Pane(sort=sort)))
    width, height = data.draw(st.integers(1, 150)), data.draw(st.integers(1, 50))
    screen = draw(whole, state, name="x", width=width, height=height)
    assert len(screen.lines) == height
    assert max(line.cell_len for line in screen.lines) <= width


@pytest.mark.parametrize("height", range(1, 40, 3))
def test_any_height_is_filled_and_not_more(height: int) -> None:
    screen = draw(seen(), State(), name="x", width=100, height=height)
    assert len(screen.lines) == height
    assert screen.rows == len(RECORDED["stats"]["components"])


def test_nothing_read_yet_says_why() -> None:
    lines = shown(Seen(), trouble="http://nowhere/ does not answer")
    assert lines[1].startswith("! http://nowhere/ does not answer")
    assert "figures are 12 s old: gone" in shown(seen(), trouble="gone", age_s=12.0)[1]


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


def test_short_texts() -> None:
    assert [count(n) for n in (0, 99_999, 100_000, 1_234_567, 5e9, None, "x")] == [
        "0",
        "99,999",
        "100k",
        "1,235k",
        "5,000M",
        "0",
        "0",
    ]
    assert [amount(n) for n in (0, 999, 1000, 88_000_000, 3e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "88.0 MB",
        "3.0 TB",
    ]
    assert [duration(n) for n in (None, 0, 950, 1500, 2.5e6, 3e9, 150e9, 8e12, 1e15)] == [
        "-",
        "0 ns",
        "950 ns",
        "1.5 us",
        "2.5 ms",
        "3.0 s",
        "2 m",
        "2 h",
        "12 d",
    ]
    assert (bar(0, 5, 4), bar(1, 100, 4), bar(5, 5, 4), bar(9, 5, 4), bar(1, 0, 4)) == (
        "░░░░",
        "█░░░",
        "████",
        "████",
        "░░░░",
    )
    assert clean("a\x1b[2J\u202e\nb") == "a·[2J··b"


# -- keys


def test_keys_are_read_whole_however_they_come() -> None:
    typed = b"q\t/\x1b[A\x1b[6~\x1bOB\x7f\r\xed\x95\x9c\x1b[Z\x1b[1;5C!\x1b"
    wanted = [
        "q",
        "tab",
        "/",
        "up",
        "page_down",
        "down",
        "backspace",
        "enter",
        "한",
        "back_tab",
        "!",
        "escape",
    ]
    assert keys_of(typed, is_all=True) == (wanted, b"")
    rng = random.Random(1)
    for _ in range(50):
        keys, rest, at = [], b"", 0
        while at < len(typed):
            step = rng.randrange(1, 5)
            more, rest = keys_of(rest + typed[at : at + step], is_all=False)
            keys += more
            at += step
        assert [*keys, *keys_of(rest, is_all=True)[0]] == wanted


@examples(200)
@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_are_keys_or_nothing(data: bytes, is_all: bool) -> None:
    keys, rest = keys_of(data, is_all=is_all)
    assert all(keys)
    assert len(rest) < 17
    assert not (is_all and rest)


def pressed(state: State, *keys: str, rows: int = 100, page: int = 10) -> State:
    for key in keys:
        state = press(state, key, rows=rows, page=page, columns=5)
    return state


def test_scrolling_stays_within_the_rows() -> None:
    for keys, first in (
        (["down"], 1),
        (["up"], 0),
        (["page_down", "page_down", "up"], 19),
        (["end"], 90),
        (["end", "down"], 90),
        (["end", "home"], 0),
        ([" ", "g"], 0),
        (["G", "page_up"], 80),
    ):
        assert pressed(State(), *keys).pane.first == first, keys
    assert pressed(State(), "end", rows=3).pane.first == 0


def test_sorting_and_panes() -> None:
    state = pressed(State(), ">", ">", "<", "r")
    assert (state.pane.sort, state.pane.is_descending, state.pane.first) == (1, False, 0)
    assert pressed(State(), "<").pane.sort == 4
    assert pressed(State(), "tab").shown == pressed(State(), "t").shown == 1
    assert pressed(State(), "tab", "tab").shown == pressed(State(), "t", "c").shown == 0
    assert pressed(state, "tab").pane == Pane(), "each pane has its own"
    assert pressed(State(), "p").is_frozen
    assert pressed(State(), "q").has_ended


def test_typing_a_search() -> None:
    state = pressed(State(), "down", "/", *"qtx", "backspace", "enter")
    assert (state.pane.search, state.pane.first, state.is_typing, state.has_ended) == ("qt", 0, False, False)
    assert pressed(state, "escape").pane.search == ""
    assert pressed(state, "/", "clear", "a", "escape").pane.search == ""
    assert len(pressed(State(), "/", *"x" * 500).pane.search) == 64


@pytest.mark.parametrize("pane", [0, 1])
def test_rows_are_those_that_contain_what_is_searched_in_the_order_asked(pane: int) -> None:
    rows = rows_of(seen(), pane)
    for sort, column in enumerate(COLUMNS[pane]):
        for descending in (False, True):
            found = visible(rows, Pane(sort, descending), pane)
            keys = [column.key(row) for row in found]
            assert keys == sorted(keys, reverse=descending), column.title
    name, text = ("topic", "KRW") if pane else ("name", "ROGUE")
    found = visible(rows, Pane(search=text), pane)
    assert [row for row in rows if text.lower() in row[name].lower()] == sorted(found, key=rows.index)
    assert found


# -- where it reads


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


def test_a_terminal_that_cannot_be_drawn_on_is_told_of(
    monkeypatch: pytest.MonkeyPatch, figures_file: Path
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.setattr(top_loop, "watch", lambda *given: None)
    with pytest.raises(click.ClickException, match="add --once"):
        _watch(FileSource(figures_file), 1.0)


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


# -- on a terminal


class Terminal:
    """`subcore top ...` on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.ours, theirs = pty.openpty()
        self.resize(110, 30)
        self.before = termios.tcgetattr(theirs)
        env = {
            k: v
            for k, v in os.environ.items()
            if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "CI")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "subcore.cli", "top", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=env | {"TERM": "xterm-256color"},
        )
        self.theirs = theirs
        self.got = b""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    @property
    def drawn(self) -> str:
        """The last whole picture."""
        pictures = self.got.split(b"\x1b[H")
        return ESCAPES.sub("", pictures[-1].decode("utf-8", "ignore")).replace("\r\n", "\n")

    def until(self, text: str, *, ended: bool = False) -> str:
        end = time.monotonic() + SOON_S
        while time.monotonic() < end:
            if select.select([self.ours], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):  # the other end is closed
                    self.got += os.read(self.ours, 65536)
            if text in self.drawn and (not ended or self.process.poll() is not None):
                return self.drawn
        raise AssertionError(f"no {text!r} in {self.drawn}")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def figures_file(tmp_path: Path) -> Path:
    path = tmp_path / "figures.jsonl"
    path.write_text(json.dumps(RECORDED["stats"]) + "\n")
    return path


@pytest.fixture
def terminal(figures_file: Path) -> Iterator[Terminal]:
    made = Terminal(str(figures_file), "--every", "0.2")
    yield made
    made.close()


def test_a_run_on_a_terminal(terminal: Terminal, figures_file: Path) -> None:
    terminal.until("rogue-4")
    terminal.until("q quit")
    assert terminal.got.startswith(b"\x1b[?1049h"), "on the other screen"
    assert b"\x1b[2J" not in terminal.got, "nothing is wiped, so nothing flickers"
    terminal.press("/rogue-4\r")
    terminal.until("1-1 of 1")
    assert "rogue-5" not in terminal.until("q quit")
    figures_file.write_text(json.dumps({**RECORDED["stats"], "interests": 4321}) + "\n")
    terminal.until("interests 4,321")
    terminal.resize(60, 15)
    os.kill(terminal.process.pid, signal.SIGWINCH)
    narrow = terminal.until("q quit  tab components/topics  / search  <> sort by  r reve…")
    assert max(len(line) for line in narrow.splitlines()) <= 60
    figures_file.unlink()
    terminal.until("old: there is no file")
    terminal.press("q")
    terminal.until("", ended=True)
    assert terminal.process.returncode == 0
    assert terminal.got.rstrip().endswith(b"\x1b[?1049l"), "the screen is as it was"
    assert termios.tcgetattr(terminal.theirs) == terminal.before, "and so is the keyboard"


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGQUIT, 128 + signal.SIGQUIT)],
)
def test_a_signal_leaves_the_terminal_as_it_was(terminal: Terminal, number: int, status: int) -> None:
    terminal.until("rogue-4")
    os.kill(terminal.process.pid, number)
    terminal.until("", ended=True)
    assert terminal.process.returncode == status
    assert terminal.got.rstrip().endswith(b"\x1b[?1049l")
    assert termios.tcgetattr(terminal.theirs) == terminal.before


def test_what_is_held_back_for_load_is_shown() -> None:
    measure = {"measure": "conflate", "priority": "LOW", "reason": "the loop is late", "effect": None}
    lines = shown(seen(load={"level": "BUSY", "measures": [measure, "odd", {}]}))
    assert "LOAD conflate LOW: the loop is late" in "\n".join(lines)
    assert not any("LOAD" in line for line in shown(seen(load={"level": "CALM", "measures": []})))


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
