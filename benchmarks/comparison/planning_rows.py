"""What the planner costs on a link that carries few topics and very many: a change of 20, a tick, and a lost link.

What counts as planning and as encoding is said in `bench_planning`. The plain manager on the same trace stands beside
it: its encoding is all of `_send_all` (listing its topics, and orjson), its planning the rest. It knows one way to
ask, all topics in each message, so that is what stands beside requests that add and remove as well.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from bench_planning import CHANGE, SIZES, Cost, Planning
from bench_rotation import Rotation, Taken

from subcore.scenarios.plain_manager import PlainManager

from .measure import Contest, Effort, Row, Sample, Target

__all__ = ["PlainLink", "contests"]

PLANNING_NS = 50_000  # a change of 20
GROWTH = 1.5  # of it, from 500 topics to 50,000
ENCODING_NS = 60  # a topic of the link
TICK_NS = 1_000_000
LOSS_NS = 100_000_000
SLICE_NS = 2_000_000

CALM_TICKS = 25
TURNS = {"small": 25, "large": 5}  # samples of about the same length


def contests() -> Iterator[Contest]:
    yield Contest(
        "20 topics come and 20 go on a link",
        [
            Row("of 50,000 topics, in one message, against the plain manager's two", "large", "plain, large"),
            Row("of 500 topics", "small", "plain, small"),
            Row("where requests add and remove, of 50,000", "delta, large", "plain, large"),
            Row("where requests add and remove, of 500", "delta, small", "plain, small"),
        ],
        _changes(lambda cost, size: sum(cost)),
    )
    yield Contest(
        "planning a change of 20 topics, encoding apart",
        _planning_rows(),
        _changes(lambda cost, size: cost.planning),
    )
    yield Contest(
        "encoding a change of 20 topics, time a topic of the link",
        [
            _most("of 50,000 topics, against the plain manager's two messages", "large", ENCODING_NS),
            _most("of 500", "small", ENCODING_NS),
            _most("where requests add and remove, of 500", "delta, small", ENCODING_NS, "plain, small"),
        ],
        _changes(lambda cost, size: cost.encoding / size),
    )
    yield Contest(
        "a tick on a link of 50,000 topics, against planning a change of 20", _tick_rows(), _open_ticks
    )
    yield Contest("a link of 50,000 topics is lost, asked for again and proven", _loss_rows(), _open_loss)


def _most(what: str, ours: str, limit: float, reference: str | None = None) -> Row:
    return Row(what, ours, reference or f"plain, {ours}", Target(limit, "value"))


def _planning_rows() -> list[Row]:
    return [
        _most("on a link of 500, against the plain manager", "small", PLANNING_NS),
        _most("of 50,000", "large", GROWTH * PLANNING_NS),
        Row("of 50,000, against 500, caches as cold", "large, cold", "small, cold", Target(GROWTH)),
        Row(
            "of 50,000, against 500, both with nothing written", "large, bare", "small, bare", Target(GROWTH)
        ),
        Row("of 50,000, against 500, after writing cooled the caches", "large", "small", Target(GROWTH)),
        _most("where requests add and remove, of 500", "delta, small", PLANNING_NS, "plain, small"),
        _most(
            "where requests add and remove, of 50,000", "delta, large", GROWTH * PLANNING_NS, "plain, large"
        ),
        Row(
            "where requests add and remove, of 50,000, against 500, caches as cold",
            "delta, large, cold",
            "delta, small, cold",
            Target(GROWTH),
        ),
        Row(
            "where requests add and remove, of 50,000, against 500",
            "delta, large",
            "delta, small",
            Target(GROWTH),
        ),
    ]


def _tick_rows() -> list[Row]:
    """The plain manager does nothing four times a second, so a change on the same link is the measure."""
    return [
        _most("nothing happens", "calm", TICK_NS, "change"),
        _most("the longest of ten after a change", "after", TICK_NS, "change"),
        _most("where requests add and remove, nothing happens", "delta, calm", TICK_NS, "delta, change"),
        _most(
            "where requests add and remove, the longest of ten after a change",
            "delta, after",
            TICK_NS,
            "delta, change",
        ),
        _most("all streams move to another link, the longest, encoding apart", "moving", TICK_NS, "change"),
        Row("with the request that names all of them", "moving, whole", "change"),
        _most(
            "where requests add and remove, all move to as many other links as they need, encoding apart",
            "delta, moving",
            TICK_NS,
            "delta, change",
        ),
        Row("with the requests that are written at it", "delta, moving, whole", "delta, change"),
    ]


def _loss_rows() -> list[Row]:
    """The plain manager proves nothing, and asks for all in one call: that is its longest as well.

    One message names all topics, and at 60 ns each that alone is longer than a slice may be. So slices are judged
    with encoding apart as well as with it.
    """
    return [
        _most("all calls of the engine, against the plain manager's one", "all", LOSS_NS, "plain"),
        _most("the longest call, encoding apart", "longest, planning", SLICE_NS, "plain, planning"),
        _most("the longest call, with encoding", "longest", SLICE_NS, "plain"),
    ]


def _sizes(effort: Effort) -> dict[str, int]:
    few, many = SIZES
    return {"small": few, "large": max(few, round(many * effort.scale))}


def _median(once: Callable[[], float], turns: int) -> Sample:
    return lambda: statistics.median(once() for _ in range(turns))


def _changes(figure: Callable[[Cost, int], float]) -> Callable[[Effort], Mapping[str, Sample]]:
    """Opens all that make the same change; `figure` is of what it costs, and of the topics on the link."""

    def once(link: Planning | PlainLink, size: int) -> float:
        return figure(link.change(), size)

    def opened(effort: Effort) -> Mapping[str, Sample]:
        found: dict[str, Sample] = {}
        for word, size in _sizes(effort).items():
            for name, link in (
                (word, Planning("upbit", size)),
                (f"{word}, bare", Planning("upbit", size, writes=False)),
                (f"{word}, cold", Planning("upbit", size, cools=True)),
                (f"delta, {word}", Planning("binance", size)),
                (f"delta, {word}, cold", Planning("binance", size, cools=True)),
                (f"plain, {word}", PlainLink(size)),
            ):
                found[name] = _median(partial(once, link, size), TURNS[word])
        return found

    return opened


def _open_ticks(effort: Effort) -> Mapping[str, Sample]:
    def longest(link: Planning) -> int:
        link.slowest_tick = 0
        link.change()
        return link.slowest_tick

    size, turns, found = _sizes(effort)["large"], TURNS["large"], dict[str, Sample]()
    for prefix, house in (("", "upbit"), ("delta, ", "binance")):
        link = Planning(house, size)
        found[f"{prefix}calm"] = _median(link.tick, CALM_TICKS)
        found[f"{prefix}after"] = _median(partial(longest, link), turns)
        found[f"{prefix}change"] = _median(partial(lambda of: of.change().planning, link), turns)
        rotation = Rotation(house, size)
        found[f"{prefix}moving"] = partial(_longest, rotation, lambda taken: taken.planning)
        found[f"{prefix}moving, whole"] = partial(_longest, rotation, lambda taken: taken.whole)
    return found


def _longest(rotation: Rotation, part: Callable[[Taken], int]) -> int:
    return max(map(part, rotation.rotate()))


def _open_loss(effort: Effort) -> Mapping[str, Sample]:
    size = _sizes(effort)["large"]
    ours, plain = Planning("upbit", size), PlainLink(size)
    return {
        "all": lambda: sum(map(sum, ours.lose())),
        "longest, planning": lambda: max(call.planning for call in ours.lose()),
        "longest": lambda: max(map(sum, ours.lose())),
        "plain": lambda: sum(plain.lose()),
        "plain, planning": lambda: plain.lose().planning,
    }


class PlainLink(PlainManager):
    """The plain manager with a link of `size` topics, all of one component that asks for them again after a loss."""

    def __init__(self, size: int) -> None:
        super().__init__()
        names = [f"KRW-T{number}" for number in range(size + 2 * CHANGE)]
        self.encoding = 0
        self.coming = [names[size : size + CHANGE], names[size + CHANGE :]]
        self.asking = _Asking(self, names[:size], self.coming[1])
        self.asking.on_reconnect()
        self.connected(_send)

    def _send_all(self) -> None:
        start = time.thread_time_ns()
        super()._send_all()
        self.encoding += time.thread_time_ns() - start

    def change(self) -> Cost:
        """20 topics come and the 20 of the last change go."""
        here, gone = self.coming
        self.coming.reverse()
        self.encoding, start = 0, time.thread_time_ns()
        self.subscribe(self.asking, "trade", here)
        self.unsubscribe(self.asking, "trade", gone)
        cost = self._cost(start)
        self.asking.passing = here
        return cost

    def lose(self) -> Cost:
        """The link goes, is opened again, and asked for all in one message."""
        self.encoding, start = 0, time.thread_time_ns()
        self.disconnected()
        self.connected(_send)
        return self._cost(start)

    def _cost(self, start: int) -> Cost:
        return Cost(time.thread_time_ns() - start - self.encoding, self.encoding)


class _Asking:
    def __init__(self, manager: PlainManager, staying: list[str], passing: list[str]) -> None:
        self.manager, self.staying, self.passing = manager, staying, passing

    def on_data(self, channel: str, symbol: str, data: dict[str, object]) -> None:
        """Nothing comes."""

    def on_reconnect(self) -> None:
        self.manager.subscribe(self, "trade", self.staying + self.passing)


def _send(payload: bytes) -> None:
    """The link takes everything at once."""
