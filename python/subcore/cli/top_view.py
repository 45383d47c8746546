"""What `subcore top` draws: lines of exactly the terminal's width and at most its height. Pure but for rich."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from .top_source import Seen
from .top_state import PANES, Pane, State
from .top_tables import COLUMNS, Column, Row, rows_of, visible
from .top_text import amount, bar, clean, clock, count, duration, number, part, share

__all__ = ["Screen", "draw"]

LINKS_SHOWN, ISSUES_SHOWN, MEASURES_SHOWN = 6, 4, 3
BAR = 12
INDENT = 5
NAME_LEAST = 14
ROWS_LEAST = 3
OLD_S = 60.0  # figures of before are not shown as if they were of now
HELP = "q quit  tab components/topics  / search  <> sort by  r reverse  arrows, page keys: scroll  p freeze"
STYLES = {"slow": "yellow", "quarantined": "bold red", "paused": "dim"}
STATE_STYLES = {
    "open": "",
    "refused": "bold red",
    "recovering": "yellow",
    "waiting": "yellow",
    "sent": "yellow",
}


@dataclass(frozen=True, slots=True)
class Screen:
    """`rows` of the pane that are searched for, of which `page` are shown; `columns` it may be sorted by."""

    lines: list[Text]
    rows: int
    page: int
    columns: int


def draw(
    seen: Seen,
    state: State,
    *,
    name: str,
    width: int,
    height: int | None,
    trouble: str = "",
    age_s: float = 0.0,
) -> Screen:
    """Everything. `height` None: all rows of both panes that there are. `trouble`: why nothing newer is known."""
    head = [
        *_head(seen, name, trouble, age_s),
        *_totals(seen),
        *_issues(seen),
        *_load(seen),
        *_links(seen, width),
        *_restore(seen),
    ]
    if height is None:
        tables = [line for shown in range(len(PANES)) for line in _whole(seen, state, shown, width)]
        return Screen([_fit(line, width) for line in [*head, *tables]], 0, 0, 0)
    found = visible(rows_of(seen, state.shown), state.pane, state.shown)
    head = head[: max(1, height - ROWS_LEAST - 3)]  # of a low terminal the tables have their share
    page = max(1, height - len(head) - 3)
    first = max(0, min(state.pane.first, len(found) - page))
    table = _table(found[first : first + page], state.pane, state.shown, width)
    lines = [*head, _tabs(seen, state, len(found), first, page), *table]
    lines += [Text("")] * (height - 1 - len(lines))
    lines = [*lines[: height - 1], _foot(state)]
    return Screen(
        [_fit(line, width) for line in lines[-height:]], len(found), page, len(COLUMNS[state.shown])
    )


# -- above the tables --


def _head(seen: Seen, name: str, trouble: str, age_s: float) -> Iterator[Text]:
    line = Text.assemble(("subcore top", "bold"), "  ", clean(name))
    if seen.stats:
        line.append(
            f"  {clock(part(seen.stats, 'time_ns'))} UTC  up {duration(part(seen.stats, 'uptime_ns'))}"
        )
    yield line
    age_s += seen.old_s
    if not trouble and age_s > OLD_S:
        trouble = "nothing was written since; has the process ended?"
    if trouble:
        old = f"figures are {duration(age_s * 1e9)} old: " if seen.stats else ""
        yield Text(f"! {old}{clean(trouble)}", style="bold red")


def _totals(seen: Seen) -> Iterator[Text]:
    stats = seen.stats
    if not stats:
        return
    lost = sum(number(each) for each in _values(part(stats, "losses")))
    bad = sum(number(each) for each in _values(part(stats, "bad_frames")))
    yield _line(
        ("frames", f"{count(part(stats, 'frame_rate', 'over_10s'))}/s"),
        ("in", f"{amount(part(stats, 'byte_rate', 'over_10s'))}/s"),
        ("events", f"{count(part(stats, 'delivered_rate', 'over_10s'))}/s"),
        ("lost", count(lost), "bold red" if lost else ""),
        ("bad frames", count(bad), "yellow" if bad else ""),
        ("handler errors", count(part(stats, "handler_errors")), ""),
    )
    delay, lag = part(stats, "recent_delay"), part(stats, "loop_lag")
    yield _line(
        ("delay p50", duration(part(delay, "p50_ns"))),
        ("p99", duration(part(delay, "p99_ns"))),
        ("loop late p99", duration(part(lag, "p99_ns"))),
        ("callbacks", share(part(stats, "loop_share"))),
        ("core", amount(sum(number(each) for each in _values(part(stats, "memory", "core"))))),
        ("process", amount(part(stats, "memory", "rss"))),
    )
    states = [(clean(name).lower(), each) for name, each in _items(part(stats, "streams")) if number(each)]
    suspect = number(part(stats, "data", "SUSPECT"))
    yield _line(
        ("components", count(part(stats, "component_count"))),
        ("interests", count(part(stats, "interests"))),
        ("topics", count(part(stats, "topics"))),
        *((name, count(each), STATE_STYLES.get(name, "")) for name, each in states),
        *((("suspect", count(suspect), "yellow"),) if suspect else ()),
    )


def _line(*figures: tuple[str, ...]) -> Text:
    line = Text()
    for title, value, *style in figures:
        line.append(f"{title} ", "dim").append(value, style[0] if style and style[0] else "bold").append("  ")
    return line


def _issues(seen: Seen) -> Iterator[Text]:
    if seen.issues is None:
        return
    issues = [issue for issue in seen.issues if isinstance(issue, Mapping)]
    if not issues:
        yield Text("no issues", "green")
    for issue in issues[:ISSUES_SHOWN]:
        name, grave = clean(issue.get("severity")), issue.get("severity") == "CRITICAL"
        where = f"{clean(issue.get('rule'))} of {clean(issue.get('kind'))} {clean(issue.get('subject'))}"
        line = Text.assemble((f"{name} ", "bold red" if grave else "bold yellow"), f"{where}: ")
        yield line.append(f"{clean(issue.get('evidence'))} {clean(issue.get('remedy'))}")
    if len(issues) > ISSUES_SHOWN:
        yield Text(f"... and {len(issues) - ISSUES_SHOWN} more issues", "yellow")


def _load(seen: Seen) -> Iterator[Text]:
    """What is held back, where there is more to do than the process can."""
    for taken in _list(part(seen.load or {}, "measures"))[:MEASURES_SHOWN]:
        if isinstance(taken, Mapping):
            line = Text.assemble(("LOAD ", "bold yellow"), f"{clean(taken.get('measure'))} ")
            yield line.append(f"{clean(taken.get('priority'))}: {clean(taken.get('reason'))}")


def _links(seen: Seen, width: int) -> Iterator[Text]:
    links = [link for link in _list(part(seen.stats, "links")) if isinstance(link, Mapping)]
    for link in links[:LINKS_SHOWN]:
        is_up = link.get("up") is True
        line = Text.assemble(
            (f"link {count(link.get('number'))} ", "dim"),
            (f"{clean(link.get('phase')).lower():<10}", "green" if is_up else "bold red"),
            f" {clean(link.get('role')).lower():<8} {count(link.get('streams')):>6} streams"
            f" {count(part(link, 'frame_rate', 'over_10s')):>7}/s  rtt {duration(link.get('rtt_ns')):<7}",
        )
        yield line
        yield from _budgets(link, width)
    if len(links) > LINKS_SHOWN:
        yield Text(f"... and {len(links) - LINKS_SHOWN} more links", "dim")


def _budgets(link: Mapping[str, Any], width: int) -> Iterator[Text]:
    """The venue's limits as bars, those of messages first, as many as fit on a line."""
    windows = sorted(
        _list(link.get("windows")), key=lambda window: "message" not in _list(part(window, "counts"))
    )
    line = Text(" " * INDENT)
    for budget in map(_budget, windows):
        if line.cell_len + 2 + budget.cell_len > width:
            break
        line.append("  ").append_text(budget)
    if windows:
        yield line


def _budget(window: Any) -> Text:
    """Sends that count against a limit now."""
    used, most = part(window, "used"), part(window, "amount")
    left = number(most) - number(part(window, "reserve")) - number(used)
    style = "red" if number(used) >= number(most) else "yellow" if left <= 0 else "green"
    counts = "+".join(clean(each) for each in _list(part(window, "counts")))
    return Text.assemble(
        (f"{counts} ", "dim"),
        (bar(used, most, BAR), style),
        f" {count(used)}/{count(most)} in {number(part(window, 'seconds')):g} s",
    )


def _restore(seen: Seen) -> Iterator[Text]:
    restores = [each for each in seen.restores or () if isinstance(each, Mapping)]
    if not restores:
        return
    last = restores[-1]
    classes = [each for each in _list(last.get("classes")) if isinstance(each, Mapping)]
    lost, proven = (sum(number(each.get(name)) for each in classes) for name in ("lost", "proven"))
    seconds = last.get("seconds")
    when = "under way" if not last.get("done") else f"whole after {number(seconds):.2f} s"
    yield _line(
        ("last restore", f"{clock(last.get('started_time_ns'))} UTC"),
        ("", when, "none"),
        ("proven", f"{count(proven)} of {count(lost)}", "" if last.get("done") else "yellow"),
        ("", clean(last.get("reason")), "none"),
    )


# -- tables --


def _tabs(seen: Seen, state: State, rows: int, first: int, page: int) -> Text:
    line = Text()
    for index, name in enumerate(PANES):
        line.append(f" {name} ", "reverse bold" if index == state.shown else "dim").append(" ")
    last = min(rows, first + page)
    line.append(f" {first + 1 if rows else 0}-{last} of {rows:,}", "dim")
    column = COLUMNS[state.shown][state.pane.sort % len(COLUMNS[state.shown])]
    line.append(f"  by {column.title} {'down' if state.pane.is_descending else 'up'}", "dim")
    if state.pane.search or state.is_typing:
        line.append("  /").append(clean(state.pane.search), "bold").append(
            "_" if state.is_typing else "", "blink"
        )
    if state.is_frozen:
        line.append("  frozen", "bold yellow")
    if state.shown and seen.topics is None:
        line.append("  topics are not known here", "yellow")
    return line


def _whole(seen: Seen, state: State, shown: int, width: int) -> list[Text]:
    rows = visible(rows_of(seen, shown), state.panes[shown], shown)
    return [Text(""), *_table(rows, state.panes[shown], shown, width)] if rows else []


def _table(rows: list[Row], pane: Pane, shown: int, width: int) -> list[Text]:
    columns, room = _that_fit(COLUMNS[shown], width)
    sorted_by = COLUMNS[shown][pane.sort % len(COLUMNS[shown])]
    head = Text("", "underline")
    for column in columns:
        style = "bold" if column is sorted_by else "dim"
        head.append(_cell(column.title, column, room), style).append(" ")
    return [head, *(_row(row, columns, room, shown) for row in rows)]


def _row(row: Row, columns: list[Column], room: int, shown: int) -> Text:
    line = Text()
    for column in columns:
        text = column.text(row)
        styles = STATE_STYLES if shown else STYLES
        line.append(_cell(text, column, room), styles.get(text, "") if column is columns[0] else "").append(
            " "
        )
    return line


def _cell(text: str, column: Column, room: int) -> str:
    """As wide as its column, cut with an ellipsis: names to the left, figures to the right."""
    width = column.width or room
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1) + "…"
    pad = " " * (width - cell_len(text))
    is_figure = column.width and column.title not in ("health", "state", "class", "data")
    return pad + text if is_figure else text + pad


def _that_fit(columns: tuple[Column, ...], width: int) -> tuple[list[Column], int]:
    """The columns there is room for, and how wide the name is."""
    shown = list(columns)
    while True:
        room = width - sum(column.width + 1 for column in shown)
        rank = max(column.rank for column in shown)
        if room >= NAME_LEAST or not rank:
            return shown, max(1, room)
        shown = [column for column in shown if column.rank != rank]


def _foot(state: State) -> Text:
    if state.is_typing:
        return Text("type what names contain; enter: keep it, escape: all rows", "dim")
    return Text(HELP, "dim")


def _fit(line: Text, width: int) -> Text:
    line = line.copy()
    line.no_wrap = True
    line.truncate(width, overflow="ellipsis")
    return line


# -- whatever shape it has --


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _items(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _values(value: Any) -> list[Any]:
    return [each for _, each in _items(value)]
