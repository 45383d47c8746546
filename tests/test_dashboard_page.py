"""The page in a headless Chromium: `pytest -m browser`. Left out of the default run; .ci/steps/75-browser.sh has it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

import subcore
from page_stage import Stage
from subcore.engine.alerts import Issue, Severity
from subcore.figures import as_json
from webdriver import Browser, browser, chromium

pytestmark = pytest.mark.browser

CHANNELS = ["ticker", "trade", "orderbook", "candle.1m", "candle.5m", "candle.15m"]
ROWS_AT_MOST = 70
WANTS = {"ticker": ["KRW-BTC", "KRW-ETH"], "trade": ["KRW-BTC"]}


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    if chromium() is None:
        reason = "no Chromium with its driver here: apt install chromium chromium-driver"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with browser() as page:
        yield page


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """With the venue's times divided by 20, unless it is asked for with its own."""
    made = Stage(fast=getattr(request, "param", "fast") == "fast")
    yield made
    made.end()


@pytest.fixture
def page(chrome: Browser, stage: Stage) -> Iterator[Browser]:
    """The page of a manager with a desk, once it is live; at its end nothing was said against it."""
    chrome.resize(1280, 900)
    chrome.scheme("light")
    chrome.console()
    chrome.requested()
    base = stage.open()
    stage.component("desk", WANTS, priority=subcore.Priority.CRITICAL)
    chrome.open(base)
    chrome.until(lambda: chrome.text("#connection") == "live", "live")
    yield chrome
    asked = [url for url in chrome.requested() if not url.startswith(base)]
    chrome.open("about:blank")  # before the server goes
    assert asked == []
    assert chrome.console() == []


def numbers(text: str) -> list[int]:
    return [int(each.replace(",", "")) for each in re.findall(r"[0-9][0-9,]*", text)]


def tile(page: Browser, title: str) -> tuple[str, str]:
    script = """
        const tiles = [...document.querySelectorAll("#totals > div")];
        const tile = tiles.find((each) => each.children[0].textContent === arguments[0]);
        return [tile.children[1].textContent, tile.children[2].textContent];"""
    value, more = page.run(script, title)
    return value, more


def cells(page: Browser, table: str, name: str) -> list[str]:
    """Of the row that begins with this name; empty while there is none."""
    script = """
        const rows = [...document.querySelectorAll(`${arguments[0]} .rows .row`)];
        const found = rows.find((row) => row.firstChild.textContent === arguments[1]);
        return found ? [...found.children].map((cell) => cell.textContent) : [];"""
    return list(page.run(script, table, name))


def show_topics(page: Browser) -> None:
    page.run("document.querySelector('#topics').scrollIntoView()")
    page.until(lambda: page.texts("#topics-table .rows .row"), "topics")


def test_figures_are_those_of_the_manager(page: Browser, stage: Stage) -> None:
    before = stage.call(stage.manager.stats)
    page.until(lambda: numbers(tile(page, "From the venue")[1])[0] > before.frames, "newer figures")
    shown = {title: tile(page, title) for title in page.texts("#totals dt")}
    row = cells(page, "#components-table", "desk")
    link = page.text(".link .facts")
    after = stage.call(stage.manager.stats)
    assert before.frames < numbers(shown["From the venue"][1])[0] <= after.frames
    assert before.delivered <= numbers(shown["To components"][1])[0] <= after.delivered
    assert numbers(shown["Streams"][0]) == [3, 3]
    assert numbers(" ".join(shown["Components"])) == [1, 3]
    assert numbers(shown["Lost events"][0]) == [sum(after.losses.values())] == [0]
    assert numbers(shown["Messages sent"][0]) == [after.wire.messages]
    assert numbers(link)[0] == after.links[0].streams == 3
    heads = page.texts("#components-table .head span")
    assert (row[heads.index("health")], row[heads.index("class")]) == ("well", "CRITICAL")
    assert (row[heads.index("topics")], row[heads.index("lost")], row[heads.index("errors")]) == (
        "3",
        "0",
        "0",
    )
    bars = page.texts(".budget .number")
    wanted = [f"{window.used} of {window.amount} used" for window in after.links[0].windows]
    assert [bar.split(" of ")[1] for bar in bars] == [each.split(" of ")[1] for each in wanted]
    assert page.text("#verdict .head") == "All 3 streams flow"


def test_topics_are_those_of_the_manager(page: Browser, stage: Stage) -> None:
    show_topics(page)
    rows = as_json(stage.call(stage.manager.topic_stats))
    page.until(lambda: page.text("#topics-count") == "3", "three topics")
    script = """
        const rows = [...document.querySelectorAll("#topics-table .rows .row")];
        return rows.map((row) => [...row.children].map((cell) => cell.textContent));"""
    shown = page.run(script)
    assert sorted((symbol, channel) for symbol, channel, *_ in shown) == sorted(
        zip(rows["symbol"], rows["channel"], strict=True)
    )
    assert {state for _, _, state, *_ in shown} == {"open"}


def test_an_outage_is_told_while_it_lasts_and_afterwards(page: Browser, stage: Stage) -> None:
    stage.fault("refuse", seconds=1.5)
    stage.fault("drop_rst")
    page.until(lambda: "A link was lost" in page.text("#verdict .head"), "the loss is told")
    assert page.run("return document.querySelector('#verdict').dataset.level") == "bad"
    page.until(lambda: page.text("#verdict .head") == "All 3 streams flow", "all is well again")
    assert "3 of 3 streams came back" in page.text("#verdict .more")
    assert "3 of 3" in page.until(lambda: page.text("#restores-list .line .number"), "the restore is listed")
    assert stage.call(lambda: stage.manager.restores[-1].reason) in page.text("#restores-list h3")


def test_a_component_that_hangs_is_named(page: Browser, stage: Stage) -> None:
    async def hang(event: object) -> None:
        await stage.loop.create_future()

    stage.component("sleeper", {"ticker": ["KRW-BTC"]}, hang)
    page.until(lambda: cells(page, "#components-table", "sleeper")[2:3] == ["slow"], "it is called slow")
    assert any("sleeper" in issue for issue in page.texts("#issues .what"))
    assert re.fullmatch(r"All 3 streams flow, but [12] things? needs? a look", page.text("#verdict .head"))
    first = page.text("#components-table .rows .row")  # those in trouble come first
    assert first.startswith("sleeper")
    page.run("document.querySelector('#components-table .rows .row').click()")
    page.until(lambda: "slow" in page.text("#component-details"), "its details")
    stage.call(stage.kept[-1].close)
    page.until(lambda: "It is closed" in page.text("#component-details"), "it is gone")


def test_issues_are_told_with_what_to_do(page: Browser, stage: Stage) -> None:
    issues = [
        Issue(
            "loss",
            Severity.WARNING,
            "component",
            "<i>desk</i>",
            7,
            3.0,
            0.0,
            "events",
            "3 lost.",
            "Read faster.",
        )
    ]
    issues += [
        replace(issues[0], subject=f"other-{number}", severity=Severity.CRITICAL) for number in range(6)
    ]
    stage.manager.issues = lambda: issues  # type: ignore[method-assign]
    told = page.until(lambda: page.texts("#issues li"), "they are shown")
    assert told == [
        "component <i>desk</i>: 3 lost.component other-0: 3 lost.component other-1: 3 lost.component other-2: 3 lost."
        "and 3 moreRead faster.Show"
    ]
    assert page.run("return document.querySelector('#issues li').dataset.level") == "bad"
    assert "7 things need a look" in page.text("#verdict .head")
    issues.clear()
    page.until(lambda: not page.texts("#issues li"), "they are over")


def test_what_is_held_back_for_load_is_told(page: Browser, stage: Stage) -> None:
    adapting = stage.manager._hub.granting.adapting
    brief = adapting.brief()
    now, said = time.time_ns(), "the loop is late by 0.3 s"
    measure = {"measure": "conflate", "priority": "LOW", "reason": said, "since_ns": now, "effect": None}
    adapting.brief = lambda: {**brief, "measures": [measure]}  # type: ignore[method-assign]
    (told,) = page.until(lambda: page.texts("#issues .what"), "it is shown")
    assert re.fullmatch(r"conflate LOW, since .+: the loop is late by 0\.3 s", told)
    adapting.brief = lambda: brief  # type: ignore[method-assign]
    page.until(lambda: not page.texts("#issues li"), "it is over")


@pytest.mark.parametrize("stage", ["own times"], indirect=True)  # else it drops who is silent
def test_silence_is_told_before_anybody_knows_why(page: Browser, stage: Stage) -> None:
    stage.component("busy", {"orderbook": list(stage.server.exchange.markets)[:100]})
    page.until(lambda: stage.call(stage.manager.stats).frame_rate.over_60s > 15, "something came")
    stage.fault("lose", probability=1.0, seconds=20.0)
    page.until(lambda: "Nothing came for" in page.text("#verdict .head"), "it is told")


def test_it_survives_a_restart(page: Browser, stage: Stage) -> None:
    port = stage.dashboard.port
    stage.shut()
    page.until(lambda: page.text("#connection") == "reconnecting", "it says so")
    assert "reconnecting" in page.text("#verdict .head")
    stage.open(port)
    stage.component("another", {"ticker": ["KRW-XRP"]})
    page.until(lambda: page.text("#connection") == "live", "it is back")
    page.until(lambda: cells(page, "#components-table", "another"), "what is new is shown")
    assert cells(page, "#components-table", "desk") == []
    said = page.console()  # the browser's own word about refused connections, and nothing else
    assert all("net::ERR_" in line for line in said), said


def test_a_host_that_vanished_is_asked_again(page: Browser) -> None:
    page.run("""
        const [real, timeout] = [window.fetch, AbortSignal.timeout.bind(AbortSignal)];
        AbortSignal.timeout = () => timeout(50);
        window.fetch = (path, { signal } = {}) => new Promise((_, fail) => {
            window.fetch = real;
            signal?.addEventListener("abort", () => fail(signal.reason));
        });
        window.subcore.feed.open();""")
    page.until(lambda: page.text("#connection") == "reconnecting", "it gave up")
    page.until(lambda: page.text("#connection") == "live", "it asked again")


def test_what_is_older_does_not_overwrite_what_is_newer(page: Browser, stage: Stage) -> None:
    page.run("""
        const real = window.fetch;
        window.fetch = (path, ...more) => path !== "restores.json" ? real(path, ...more)
            : new Promise((give) => { window.release = () => give(new Response("[]")); });""")
    stage.fault("drop_rst")
    page.until(lambda: page.run("return window.release !== undefined"), "it asks for the restores")
    head = page.run("""
        window.subcore.feed.again();
        window.release();
        const read = () => document.querySelector("#verdict .head").textContent;
        return new Promise((give) => setTimeout(() => give(read()), 100));""")
    assert "reconnecting" in head


def test_charts_have_each_second_and_follow_a_clock_that_is_set_back(page: Browser) -> None:
    seen = page.run("""
        return import(new URL("charts.js", document.querySelector("script[type=module]").src)).then(({ Charts }) => {
            const charts = new Charts();
            charts.history({ time_s: [100, 101], frames: [100, 101] });
            return [[99, 100, 101, 102, 103], [98, 99], [103, 60, 61], [60, 61, 62], []].map((times) => {
                charts.add(times.map((time) => ({ time_s: time, frames: time })));
                return [[...charts.columns.time_s], [...charts.columns.frames]];
            });
        });""")
    wanted = [[100, 101, 102, 103]] * 3 + [[60, 61, 62]] * 2
    assert seen == [[times, times] for times in wanted]


def test_figures_that_cannot_be_shown_are_told_of(page: Browser) -> None:
    page.run("return window.subcore.feed.on.event({})")
    assert page.text("#connection") == "page error"
    assert "TypeError" in "".join(page.console())
    page.until(lambda: page.text("#connection") == "live", "the next are shown")


def test_five_thousand_topics_stay_virtual(page: Browser, stage: Stage) -> None:
    symbols = list(stage.server.exchange.markets)
    stage.component("all", dict.fromkeys(CHANNELS, symbols))
    count = len(CHANNELS) * len(symbols)
    assert count > 5000
    show_topics(page)
    rowcount = "return Number(document.querySelector('#topics-table .table').getAttribute('aria-rowcount'))"
    page.until(lambda: page.run(rowcount) == count + 1, "all of them")
    assert 5 < len(page.texts("#topics-table .rows .row")) < ROWS_AT_MOST
    page.run("document.querySelector('#topics-table .table').scrollTop = 1e9")
    last = "return Math.max(...[...document.querySelectorAll('#topics-table .rows .row')].map((r) => +r.ariaRowIndex))"
    page.until(lambda: page.run(last) == count + 1, "the last row")
    assert len(page.texts("#topics-table .rows .row")) < ROWS_AT_MOST
    assert page.run("return document.querySelectorAll('*').length") < 3000
    page.click("#topics-table input")
    page.keys("btc candle.5m")
    found = sum("BTC" in symbol for symbol in symbols)
    page.until(lambda: page.text("#topics-table .found") == f"{found} of {count}", "what was searched")


def test_the_keyboard_does_it_all(page: Browser) -> None:
    show_topics(page)
    page.run("document.querySelector('#topics-table .table').focus()")
    page.keys("down", "down", "enter")
    page.until(lambda: "open" in page.text("#topic-details .explain").lower(), "it is explained")
    chosen = page.text("#topics-table .row[aria-selected=true]")
    active = "return document.activeElement.getAttribute('aria-activedescendant')"
    assert page.run("return document.getElementById(arguments[0]).textContent", page.run(active)) == chosen
    page.keys("/")
    assert page.run("return document.activeElement.type") == "search"
    page.keys("eth")
    page.until(lambda: len(page.texts("#topics-table .rows .row")) == 1, "one is found")
    page.keys("escape")
    assert len(page.texts("#topics-table .rows .row")) == 3
    page.keys("escape")
    assert page.run("return document.querySelector('#topic-details').hidden")
    page.keys("end", "space")
    page.until(lambda: page.text("#topic-details .explain"), "the last one is explained")
    page.run("document.querySelector('#topics-table .head button').focus()")
    page.keys("enter")
    assert page.run("return document.querySelector('#topics-table .head span').ariaSort") == "ascending"
    topics = page.texts("#topics-table .rows .row span:first-child")
    assert topics == sorted(topics)
    assert len(topics) == 3


def test_names_are_text_and_nothing_else(page: Browser, stage: Stage) -> None:
    names = [
        "<img src=x onerror=window.broken=1>",
        '"><script>window.broken=1</script>',
        "javascript:window.broken=1",
        "\u202e\x00 ' \" & <b>",
        "n" * 5000,
    ]

    def fail(event: object) -> None:
        raise ValueError("<img src=y onerror=window.broken=2>")

    for name in names:
        stage.component(name, {"ticker": ["KRW-BTC"]}, fail)
    page.until(lambda: len(page.texts("#components-table .rows .row")) == 6, "all of them")
    shown = page.texts("#components-table .rows .row > span:first-child")
    assert set(names) <= set(shown)
    page.run("document.querySelector('#components').scrollIntoView()")
    row = "#components-table .rows .row"
    at = page.run(
        "return [...document.querySelectorAll(arguments[0])].findIndex((r) => r.textContent.startsWith('<img')) ",
        row,
    )
    page.run("document.querySelectorAll(arguments[0])[arguments[1]].click()", row, at)
    page.until(lambda: "onerror=window.broken=2" in page.text("#component-details"), "its last error")
    assert page.run("return document.querySelectorAll('main img, main script').length") == 0
    assert page.run("return window.broken ?? null") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_both_colours(page: Browser, scheme: str) -> None:
    page.scheme(scheme)
    page.resize(390, 844, phone=True)
    page.until(lambda: page.run("return document.documentElement.scrollWidth") <= 390, "nothing sticks out")
    page.until(lambda: len(page.texts("#components-table .head span")) < 7, "the table has few columns")
    red, *_ = page.run("return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert (red < 100) == (scheme == "dark")
    page.click("#theme")
    page.click("#theme")  # dark, whatever the system says
    red, *_ = page.run("return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert red < 100
    page.click("#theme")


def test_a_hidden_page_costs_nothing(page: Browser, stage: Stage) -> None:
    hide = """
        Object.defineProperty(document, "hidden", {value: arguments[0], configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));"""
    page.run(hide, True)
    page.until(lambda: stage.call(lambda: stage.dashboard.viewers) == 0, "its stream ends")
    page.run(hide, False)
    page.until(lambda: stage.call(lambda: stage.dashboard.viewers) == 1, "its stream begins again")
