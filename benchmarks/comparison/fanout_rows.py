"""One event to many sinks: Python callbacks and Cython strategies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bare.build import load

from subcore._events import Ticker
from subcore._ledger import Ledger
from subcore._route import Router

from .core import new_router
from .measure import Contest, Effort, Row, Sample, Target, calibrated

__all__ = ["contests"]

SINKS = 100


def contests() -> Iterator[Contest]:
    yield Contest(
        "one event to 100 sinks, time a sink",
        [
            Row("no-op Python callbacks, against a bare Cython loop", "callbacks", "bare loop", Target(1.5)),
            Row("no-op bound methods, held weakly", "bound methods", "bare loop, methods"),
            Row(
                "Cython strategies, against calling their method",
                "strategies",
                "bare strategies",
                Target(5, "value"),
            ),
        ],
        _open,
    )


def _ignore(event: object) -> None:
    """A callback that does nothing."""


class _Holder:
    def on_event(self, event: object) -> None:
        """A method that does nothing."""


def _event() -> Ticker:
    return Ticker(
        venue="upbit", channel="ticker", symbol="KRW-BTC", price=100.5, open=99.0, receive_time_ns=1
    )


def _fan_out(targets: list[object]) -> tuple[Router, int]:
    """A router whose one stream leads to all targets, each a component of its own: with all on that a manager has."""
    ledger = Ledger()
    router = new_router(ledger)
    topics = ledger.topics(0, [0])
    for target in targets:
        component = ledger.open_component()
        ledger.add(component, topics)
        router.connect(router.new_sink(component, target), topics)
    return router, ledger.get_stream(0, 0)


def _open(effort: Effort) -> Mapping[str, Sample]:
    bare, loops = load("fan_out"), load("route_loop")
    event, holders = _event(), [_Holder() for _ in range(SINKS)]
    callbacks = [_copy_of_ignore() for _ in range(SINKS)]
    methods = [holder.on_event for holder in holders]
    strategies = [loops.NothingStrategy() for _ in range(SINKS)]

    def routed(targets: list[object]) -> Sample:
        router, stream = _fan_out(targets)
        return calibrated(lambda repeats: loops.fan_out(router, stream, event, repeats), SINKS, effort)

    def bare_loop(targets: list[object]) -> Sample:
        return calibrated(lambda repeats: bare.call_each(targets, event, repeats), SINKS, effort)

    def kept(sample: Sample) -> Sample:
        return lambda: sample() if holders else 0.0  # the holders live as long as the samples

    return {
        "callbacks": routed(list(callbacks)),
        "bare loop": bare_loop(callbacks),
        "bound methods": kept(routed(list(methods))),
        "bare loop, methods": bare_loop(methods),
        "strategies": routed(strategies),
        "bare strategies": calibrated(
            lambda repeats: loops.call_strategies(strategies, event, repeats), SINKS, effort
        ),
    }


def _copy_of_ignore() -> object:
    """A function of its own, as each component has."""

    def ignore(event: object) -> None:
        """Nothing."""

    return ignore
