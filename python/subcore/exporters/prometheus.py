"""Figures for Prometheus: a collector for `prometheus_client`, and the text that `/metrics` answers with.

    prometheus_client.REGISTRY.register(SubcoreCollector(manager))      # beside what else the process exposes
    body, content_type = exposition(manager)                            # for a server of one's own

Needs the extra `subcore[metrics]`. What each metric means stands in docs/operations.md; a dashboard for Grafana and
alert rules lie beside this file, see `grafana_dashboard` and `alert_rules`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import UsageError
from ..figures import Stats
from .metrics import LABELS, METRICS, Metric, Source

if TYPE_CHECKING:
    import numpy.typing as npt
    from prometheus_client.core import Metric as Family

    from ..looking import Looking

__all__ = [
    "SubcoreCollector",
    "alert_rules",
    "content_type",
    "exposition",
    "exposition_parts",
    "grafana_dashboard",
]

PART = 250
"""Samples that one part of an exposition has: 1 to 5 ms."""

Labels = dict[str, str]


class SubcoreCollector:
    """A collector for `prometheus_client`: figures are read when they are asked for, in whichever thread asks.

    `managers`: of different venues, the label `venue` tells them apart. `topics=True` adds eight series for each topic
    somebody holds, so think of how many there are. UsageError: prometheus_client is not installed, no manager, or two
    of one venue. Costs what `manager.stats()` does, and some 10 us for each series:
    there are about 18 for each component.
    """

    def __init__(self, *managers: Looking, topics: bool = False) -> None:
        names = [manager.venue.name for manager in managers]
        if not names or len(set(names)) < len(names):
            raise UsageError(
                "a collector takes managers, of different venues: make another registry for another one"
            )
        self._managers = managers
        self._metrics = [metric for metric in METRICS if topics or metric.source != "topic"]
        self._core = _load("prometheus_client.core")

    def describe(self) -> Iterator[Family]:
        """The metrics without samples: registering costs nothing."""
        return (self._family(metric) for metric in self._metrics)

    def collect(self) -> Iterator[Family]:
        """The metrics with their samples, one after the other; all of one look, which is taken with the first."""
        return (family for family in self.parts() if family is not None)

    def parts(self, most: int | None = None) -> Iterator[Family | None]:
        """The same, and None where an event loop may go on while the look is taken.

        `most` samples at a time: a metric with more comes several times in a row.
        """
        looks = [_Look(manager) for manager in self._managers]
        for look in looks:
            for _ in look.components():
                yield None
            if self._metrics[-1].source == "topic":
                for _ in look.topics():
                    yield None
        for metric in self._metrics:
            family = self._family(metric)
            name = family.name + ("_total" if metric.kind == "counter" else "")
            for labels, value in chain.from_iterable(look.samples(metric) for look in looks):
                if len(family.samples) == most:
                    yield family
                    family = self._family(metric)
                family.add_sample(name, labels, float(value))
            yield family

    def _family(self, metric: Metric) -> Family:
        family: Family = self._core.Metric(metric.name.removesuffix("_total"), metric.help, metric.kind)
        return family


class _Look:
    """The figures of one manager at one moment, by source, each record with its labels."""

    def __init__(self, manager: Looking) -> None:
        stats = manager.stats(components=False)
        self._manager = manager
        self._venue = {"venue": manager.venue.name}
        self._topics: npt.NDArray[Any] | None = None
        self._topic_labels: list[Labels] = []
        self._records: dict[Source, list[tuple[Labels, Any]]] = {
            "total": [(self._venue, stats)],
            "link": [self._with("link", link, str(link.number)) for link in stats.links],
            "window": [self._with("window", window, *names) for names, window in _windows(stats)],
            "channel": [self._with("channel", one, name) for name, one in stats.channels.items()],
            "component": [],
        }

    def components(self) -> Iterator[None]:
        """Take those of components, in parts."""
        for part in self._manager._hub.measuring.components():
            self._records["component"] += [self._with("component", one, one.name) for one in part]
            yield

    def topics(self) -> Iterator[None]:
        """Take those of topics: their figures at once, their labels in parts."""
        self._topics = rows = self._manager.topic_stats()
        for first in range(0, len(rows), PART):
            yield
            some = _topic_names(rows[first : first + PART])
            self._topic_labels += [self._with("topic", None, *names)[0] for names in some]
        yield

    def _with(self, source: Source, record: Any, *names: str) -> tuple[Labels, Any]:
        return self._venue | dict(zip(LABELS[source], map(_clean, names), strict=True)), record

    def samples(self, metric: Metric) -> Iterator[tuple[Labels, Any]]:
        """Of one metric."""
        if metric.source == "topic":
            values: Any = metric.read(self._topics)
            yield from zip(self._topic_labels, values.tolist(), strict=True)
            return
        for labels, record in self._records[metric.source]:
            value = metric.read(record)
            if isinstance(value, Mapping):
                for key, each in value.items():
                    if each is not None:
                        yield {**labels, metric.by: _clean(key)}, each
            elif value is not None:
                yield labels, value


def _windows(stats: Stats) -> Iterator[tuple[tuple[str, ...], Any]]:
    for link in stats.links:
        for window in link.windows:
            named = str(link.number), "+".join(window.counts), window.scope, f"{window.seconds:g}"
            yield named, window


def _topic_names(rows: npt.NDArray[Any]) -> list[tuple[str, ...]]:
    columns = (rows[name].tolist() for name in LABELS["topic"])
    return [
        (channel, symbol, f"{depth or ''}", f"{grouping:g}" if grouping else "")
        for channel, symbol, depth, grouping in zip(*columns, strict=True)
    ]


def _clean(text: str) -> str:
    """What UTF-8 has no bytes for would cost the whole answer."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


# -- as text --


def exposition(manager: Looking, topics: bool = False, openmetrics: bool = False) -> tuple[bytes, str]:
    """What `/metrics` answers with, and its content type: Prometheus's text format, or OpenMetrics.

    May be called from any thread; in the loop's thread it holds the loop for as long as it takes, so a server there
    goes through `exposition_parts`. UsageError: prometheus_client is not installed. Costs what the collector does.
    """
    return b"".join(exposition_parts(manager, topics, openmetrics)), content_type(openmetrics)


def content_type(openmetrics: bool = False) -> str:
    """That of an exposition."""
    said: str = _formatter(openmetrics).CONTENT_TYPE_LATEST
    return said


def exposition_parts(manager: Looking, topics: bool = False, openmetrics: bool = False) -> Iterator[bytes]:
    """The same in parts of 250 series and 1 to 5 ms, for an event loop to go on between; some parts are empty."""
    collector, form = SubcoreCollector(manager, topics=topics), _formatter(openmetrics)
    before = ""
    for family in collector.parts(PART):
        if family is None:
            yield b""
            continue
        text: bytes = form.generate_latest(_Only(family))
        text = text.removesuffix(END)
        yield text[_head_of(text) :] if family.name == before else text
        before = family.name
    if openmetrics:
        yield END


END = b"# EOF\n"  # of OpenMetrics


class _Only(NamedTuple):
    """A registry of one family."""

    family: Family

    def collect(self) -> Iterable[Family]:
        return [self.family]


def _head_of(text: bytes) -> int:
    """Where the samples of a family begin, behind the lines that say what it is."""
    at = 0
    while text.startswith(b"#", at):
        at = text.index(b"\n", at) + 1
    return at


def _formatter(openmetrics: bool) -> Any:
    return _load(
        "prometheus_client.openmetrics.exposition" if openmetrics else "prometheus_client.exposition"
    )


def _load(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UsageError(
            "metrics for Prometheus need prometheus_client: pip install 'subcore[metrics]'"
        ) from None


# -- files --


def grafana_dashboard() -> str:
    """A dashboard for Grafana, as JSON to import there."""
    return (files(__package__) / "grafana.json").read_text(encoding="utf-8")


def alert_rules() -> str:
    """Alert rules for Prometheus, as YAML for its `rule_files`."""
    return (files(__package__) / "alert_rules.yml").read_text(encoding="utf-8")
