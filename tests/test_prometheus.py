"""What Prometheus is given: against a recount, parsed by its own library; files about it against what is exposed."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any

import prometheus_client
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from conftest import ROOT
from fed_manager import START_NS, SYMBOLS, manager, nowhere, play
from manager_rig import KEPT, make
from subcore.errors import UsageError
from subcore.exporters import prometheus
from subcore.exporters.metrics import HEALTH, METRICS
from subcore.exporters.prometheus import SubcoreCollector, exposition, exposition_parts
from subcore.manager import SubscriptionManager
from subcore.sim.faults import Fault
from subcore.testing import VirtualClock
from virtual_manager import World

__all__ = ["manager"]
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
HOSTILE = ('say "hi"', "two\nlines", "back\\slash\\n", '"},x="', "\ud800half", "한글 ❤", "{}", " ")


def parsed(manager: SubscriptionManager, *, openmetrics: bool = False, topics: bool = False) -> Series:
    body, kind = exposition(manager, topics, openmetrics)
    assert ("openmetrics" in kind) == openmetrics
    families = (openmetrics_families if openmetrics else text_families)(body.decode())
    found: Series = {}
    for family in families:
        assert family.documentation
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, "once only"
            found[key] = sample.value
    return found


def value(series: Series, name: str, **labels: str) -> float:
    return series[name, frozenset({"venue": "upbit", **labels}.items())]


@pytest.mark.parametrize("openmetrics", [False, True])
def test_figures_are_those_of_a_recount(manager: SubscriptionManager, openmetrics: bool) -> None:
    fed = play(manager, 4, 1500)
    series = parsed(manager, openmetrics=openmetrics, topics=True)
    assert value(series, "subcore_frames_total") == sum(fed.frames.values())
    assert value(series, "subcore_received_bytes_total") == sum(fed.bytes.values())
    assert value(series, "subcore_bad_frames_total", reason="bad_json") == fed.bad["bad_json"] > 0
    assert value(series, "subcore_bad_frames_total", reason="depth") == 0
    assert value(series, "subcore_lost_events_total", reason="queue_full") == 0
    assert value(series, "subcore_channel_frames_total", channel="ticker") == sum(fed.frames.values())
    for name, count in fed.delivered.items():
        assert value(series, "subcore_component_delivered_events_total", component=name) == count
        queued = 0 if name == "a" else count
        assert value(series, "subcore_component_queued_events", component=name) == queued
    for symbol in SYMBOLS:
        topic = {"channel": "ticker", "symbol": symbol, "depth": "", "grouping": ""}
        assert value(series, "subcore_topic_frames_total", **topic) == fed.frames["ticker", symbol]
        last = value(series, "subcore_topic_last_receive_timestamp_seconds", **topic)
        assert last == pytest.approx(fed.last[symbol] / 1e9, abs=1e-3)
        assert last > START_NS / 1e9


def test_quantiles_are_seconds(manager: SubscriptionManager) -> None:
    fed = play(manager, 4, 1500)
    delays = [delay for each in fed.delays.values() for delay in each]
    series = parsed(manager)
    assert value(series, "subcore_channel_delay_seconds", channel="ticker", quantile="1") == max(delays) / 1e9


@pytest.mark.parametrize("openmetrics", [False, True])
def test_hostile_names_are_labels_like_any(manager: SubscriptionManager, openmetrics: bool) -> None:
    KEPT.extend(manager.component(name) for name in HOSTILE)
    series = parsed(manager, openmetrics=openmetrics)
    names = {dict(labels)["component"] for name, labels in series if name == "subcore_component_interests"}
    assert names == {name.replace("\ud800", "\\ud800") for name in HOSTILE}


def test_topics_are_there_only_where_they_are_asked_for(manager: SubscriptionManager) -> None:
    play(manager, 4, 10)
    assert not [name for name, _ in parsed(manager) if "topic_" in name]


@pytest.mark.parametrize("openmetrics", [False, True])
def test_parts_are_small_and_the_same_as_the_library_makes_of_the_collector(
    manager: SubscriptionManager, monkeypatch: pytest.MonkeyPatch, openmetrics: bool
) -> None:
    play(manager, 4, 100)
    for number in range(150):
        KEPT.append(manager.component(f"c{number}"))
    monkeypatch.setattr(prometheus, "PART", 40)
    registry = prometheus_client.CollectorRegistry()
    registry.register(SubcoreCollector(manager))
    form: Any = prometheus._formatter(openmetrics)
    parts = list(exposition_parts(manager, openmetrics=openmetrics))
    unsteady = b"subcore_uptime_seconds{", b"subcore_resident_memory_bytes{"

    def lines(text: bytes) -> list[bytes]:
        return [line for line in text.splitlines() if not line.startswith(unsteady)]

    assert lines(b"".join(parts)) == lines(form.generate_latest(registry))
    assert max(part.count(b"\nsubcore_") for part in parts) <= 40
    assert parts[0] == b"", "the look itself is a part"


def test_topics_are_looked_at_in_parts_too(
    manager: SubscriptionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    KEPT.append(manager.component("many"))
    symbols = [f"KRW-M{number}" for number in range(1000)]
    KEPT[-1].subscribe("ticker", symbols, lambda event: None)
    made: list[tuple[str, ...]] = []
    labelled, before = prometheus._Look._with, 0

    def count(look: Any, source: Any, record: Any, *names: str) -> Any:
        made.append(names)
        return labelled(look, source, record, *names)

    monkeypatch.setattr(prometheus._Look, "_with", count)
    text, most = b"", 0
    for part in exposition_parts(manager, topics=True):
        text += part
        most, before = max(most, len(made) - before), len(made)
    assert len(made) > len(symbols)
    assert most <= prometheus.PART
    told = re.findall(rb'^subcore_topic_frames_total{.*symbol="([^"]+)"', text, re.MULTILINE)
    assert [symbol.decode() for symbol in told] == symbols


def test_managers_of_two_venues_share_a_registry(manager: SubscriptionManager) -> None:
    other = SubscriptionManager("binance", url="ws://nowhere", clock=VirtualClock(), connect=nowhere, seed=1)
    registry = prometheus_client.CollectorRegistry()
    registry.register(SubcoreCollector(manager, other))
    text = prometheus_client.generate_latest(registry).decode()
    (family,) = [each for each in text_families(text) if each.name == "subcore_interests"]
    assert {sample.labels["venue"] for sample in family.samples} == {"upbit", other.venue.name}
    for wrong in ((), (manager, manager)):
        with pytest.raises(UsageError, match="of different venues"):
            SubcoreCollector(*wrong)


def test_registering_reads_nothing(manager: SubscriptionManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "stats", lambda **options: pytest.fail("read"))
    prometheus_client.CollectorRegistry(auto_describe=True).register(SubcoreCollector(manager))


def test_without_the_library_the_error_says_what_to_install(
    manager: SubscriptionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "prometheus_client"]:
        monkeypatch.setitem(sys.modules, name, None)
    for ask in (lambda: SubcoreCollector(manager), lambda: exposition(manager)):
        with pytest.raises(UsageError, match=r"pip install 'subcore\[metrics\]'"):
            ask()


# -- what is written about it


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Names that a running manager exposes that keeps its intent in a file, with the labels of each."""
    path = tmp_path_factory.mktemp("exposed") / "intent.json"

    async def main(world: World) -> dict[str, set[str]]:
        async with world.manager(snapshot_path=path) as manager:
            component = make(manager, "one")
            component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], lambda event: None)
            await component.live(timeout=10.0)
            await asyncio.sleep(5.0)
            found: dict[str, set[str]] = {}
            for name, labels in parsed(manager, topics=True):
                found.setdefault(name, set()).update(key for key, _ in labels)
            return found

    said: dict[str, set[str]] = World(seed=5, rate=4.0).run(main)
    return said


def expressions() -> list[str]:
    found = [
        rule["expr"]
        for group in yaml.safe_load(prometheus.alert_rules())["groups"]
        for rule in group["rules"]
    ]
    board = json.loads(prometheus.grafana_dashboard())
    found += [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    found += [each["expr"] for each in board["annotations"]["list"]]
    found += [each["query"]["query"] for each in board["templating"]["list"] if each["type"] == "query"]
    return found


GIVEN = {"instance"}  # by Prometheus itself


@pytest.mark.simulation
def test_dashboard_and_rules_ask_only_for_what_is_exposed(exposed: dict[str, set[str]]) -> None:
    asked = expressions()
    assert len(asked) > 50
    for expression in asked:
        names = re.findall(r"\bsubcore_\w+", expression)
        assert names, expression
        for name in names:
            assert name in exposed, (name, expression)
        labels = re.findall(r"(\w+)=~?\"|(\w+)!=\"", expression) + [
            (label.strip(), "")
            for group in re.findall(r"by \(([^)]*)\)", expression)
            for label in group.split(",")
        ]
        known = set().union(*(exposed[name] for name in names)) | GIVEN
        for first, second in labels:
            assert (first or second) in known, (first or second, expression)
        assert expression.count("(") == expression.count(")")
        assert expression.count("{") == expression.count("}")


def test_values_that_rules_compare_labels_with_exist(manager: SubscriptionManager) -> None:
    play(manager, 4, 10)
    series = parsed(manager)
    said: dict[str, set[str]] = {}
    for _, labels in series:
        for key, text in labels:
            said.setdefault(key, set()).add(text)
    for expression in expressions():
        for label, values in re.findall(r"(state|data|quantile|reason)!?=~?\"([^\"]*)\"", expression):
            assert set(values.split("|")) <= said[label], expression


def links_down(manager: SubscriptionManager) -> int:
    """What the panel of that name shows: its expression is one of Python too, link by link."""
    series = parsed(manager)
    panels = json.loads(prometheus.grafana_dashboard())["panels"]
    ((whole,),) = ([each["expr"] for each in p["targets"]] for p in panels if p["title"] == "Links down")
    shown = 0
    for link in {dict(labels)["link"] for name, labels in series if name == "subcore_link_up"}:

        def figure(match: re.Match[str], link: str = link) -> str:
            return str(value(series, match[1], link=link))

        term = re.sub(r"(subcore_\w+)\{[^}]*\}", figure, whole.removeprefix("sum").replace("bool ", ""))
        shown += int(eval(term))
    return shown


@pytest.mark.simulation
def test_a_link_with_nothing_to_carry_is_not_shown_as_down() -> None:
    async def main(world: World) -> None:
        async with world.manager() as manager:
            component = make(manager, "one")
            component.subscribe("ticker", ["KRW-BTC", "KRW-ETH"], lambda event: None)
            await component.live(timeout=10.0)
            assert links_down(manager) == 0
            world.exchange.inject(Fault("refuse", seconds=10.0), world.ns())
            world.exchange.inject(Fault("drop_fin"), world.ns())
            await asyncio.sleep(5.0)
            assert links_down(manager) == 1
            await component.live(timeout=60.0)
            component.close()
            await asyncio.sleep(120.0)
            assert {link.phase for link in manager.stats().links} == {"IDLE"}
            assert links_down(manager) == 0

    World(seed=5, rate=4.0).run(main)


def test_panels_have_a_place_each_and_say_what_they_show() -> None:
    panels = json.loads(prometheus.grafana_dashboard())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
        assert panel["type"] == "row" or panel["description"]


def test_each_rule_says_what_to_do() -> None:
    (group,) = yaml.safe_load(prometheus.alert_rules())["groups"]
    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"]) > 10
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}


@pytest.mark.simulation
def test_every_metric_is_explained_and_exposed(exposed: dict[str, set[str]]) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(subcore_\w+)` \| ([^|]*) \| [^|]+ \|$", page, re.MULTILINE))
    assert set(exposed) == set(rows) == {metric.name for metric in METRICS}
    for name, labels in exposed.items():
        assert set(re.findall(r"`(\w+)`", rows[name])) == labels - {"venue"}, name


def test_health_has_a_number_for_each_word() -> None:
    from subcore.obligations import HEALTH as WORDS

    assert set(HEALTH) == {*(WORDS.values() if isinstance(WORDS, dict) else WORDS), "closed"}
