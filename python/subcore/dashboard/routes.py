"""From a path to its answer. Reads only."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import SubcoreError
from ..figures import as_json
from ..topic_figures import TOPIC_STATS
from .answers import Answer, json_answer, said
from .assets import assets
from .connection import Stream
from .requests import Request
from .restores import restores_json

if TYPE_CHECKING:
    from ..looking import Looking
    from .figures import Figures

__all__ = ["Routes"]

Routed = Answer | Stream | asyncio.Future[Answer]
_TOPIC = re.compile(
    r"(?P<channel>[^:]+):(?P<symbol>.+?)(?::depth=(?P<depth>[0-9]{1,9}))?(?::grouping=(?P<grouping>[0-9.eE+-]{1,32}))?",
    re.DOTALL,
)
CAPS_NAMED = 50


class Routes:
    """The answers about one manager. Belongs to the loop's thread."""

    def __init__(self, manager: Looking, figures: Figures) -> None:
        self._manager = manager
        self._figures = figures
        self._routes: dict[str, Callable[[Request], Routed]] = {
            "/healthz": lambda request: said(200, "ok"),
            "/readyz": self._ready,
            "/stats.json": lambda request: figures.stats(),
            "/topics.json": self._topics,
            "/issues.json": lambda request: json_answer(figures.issues()),
            "/load.json": lambda request: json_answer(figures.load()),
            "/restores.json": lambda request: json_answer(restores_json(manager.restores)),
            "/history.json": lambda request: json_answer(figures.history.as_json()),
            "/explain.json": self._explain,
            "/component.json": self._component,
            "/events": lambda request: Stream(),
            "/metrics": self._metrics,
        }

    def answer(self, request: Request) -> Routed:
        """To any path."""
        route = self._routes.get(request.path)
        if route is not None:
            return route(request)
        return assets().get(request.path) or said(404, "there is nothing here: the page is at /")

    def _ready(self, request: Request) -> Answer:
        said_so = self._figures.readiness()
        return json_answer(said_so, 200 if said_so["ready"] else 503)

    def _topics(self, request: Request) -> Routed:
        columns = [name for name in request.query.get("columns", "").split(",") if name]
        unknown = set(columns) - set(TOPIC_STATS.names or ())
        if unknown or len(set(columns)) < len(columns):
            known = ", ".join(TOPIC_STATS.names or ())
            return said(400, f"columns= takes names out of {known}, each once")
        return self._figures.topics(columns)

    def _explain(self, request: Request) -> Answer:
        matched = _TOPIC.fullmatch(request.query.get("topic", ""))
        if matched is None:
            return said(
                400, "topic= takes CHANNEL:SYMBOL, with :depth=N or :grouping=X behind it where it has them"
            )
        options: dict[str, Any] = {}
        try:
            if matched["depth"]:
                options["depth"] = int(matched["depth"])
            if matched["grouping"]:
                options["grouping"] = float(matched["grouping"])
            info = self._manager.topic(matched["channel"], matched["symbol"], **options)
            explained = self._manager.explain(matched["channel"], matched["symbol"], **options)
        except (SubcoreError, ValueError, OverflowError) as error:
            return json_answer({"error": str(error)}, 404)
        return json_answer({"topic": str(info.topic), "explain": explained, "info": as_json(info)})

    def _component(self, request: Request) -> Answer:
        hub, name = self._manager._hub, request.query.get("name", "")
        member = next((member for member in hub.members.values() if member.name == name), None)
        if member is None:
            return json_answer({"error": f"no component is named {name!r}"}, 404)
        return json_answer(
            {
                "stats": as_json(hub.measuring.component(member)),
                "caps": hub.reports.held_back_by(member)[:CAPS_NAMED],
                "capped": hub.reports.held_back(member),
            }
        )

    def _metrics(self, request: Request) -> Routed:
        openmetrics = "application/openmetrics-text" in request.headers.get("accept", "")
        try:
            return self._figures.metrics(openmetrics=openmetrics, topics=request.query.get("topics") == "1")
        except SubcoreError as error:
            return said(501, str(error))
