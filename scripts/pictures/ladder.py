"""The ladder of obligations: what each kind of fault leads to and when, played by the engine itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from drawing import BLUE, GREY, INK, ORANGE, RED, save
from matplotlib import pyplot

from subcore.engine.breakers import SinkFacts, Try
from subcore.engine.clock import SECOND
from subcore.engine.liveness import TICK_NS, Liveness, Look, Step
from subcore.engine.obligations import Obligations
from subcore.types import StatusKind

COLOURS = {
    StatusKind.RECOVERED: BLUE,
    StatusKind.SLOW: ORANGE,
    StatusKind.QUARANTINED: RED,
    StatusKind.REAPED: INK,
}
WORDS = {
    StatusKind.RECOVERED: "well",
    StatusKind.SLOW: "SLOW: told, nothing else",
    StatusKind.QUARANTINED: "QUARANTINED: nothing delivered, interests kept",
    StatusKind.REAPED: "REAPED: gone, its name is free",
}
LAST_S = 48.0
COMES_BACK_S = 9.0
SINK = 1


class Play:
    """One component with one fault, and the steps that follow. The fault begins at 0."""

    def __init__(self, *, reads: Callable[[float], bool], beats: bool = True, raises: bool = False) -> None:
        self.liveness = Liveness(Obligations())
        self.liveness.add(0, heartbeat=None if beats else 2.0)
        self.reads = reads
        self.due, self.done = np.zeros(1, np.int64), np.zeros(1, np.int64)
        self.errors = 10 if raises else 0
        self.steps: list[tuple[float, StatusKind]] = [(0.0, StatusKind.RECOVERED)]
        if raises:
            self.liveness.failed(SINK, 0, SinkFacts(10, 0))
        for tick in range(round(LAST_S * SECOND / TICK_NS)):
            self.tick(tick * TICK_NS / SECOND)
            if self.steps[-1][1] is StatusKind.REAPED:
                break

    def tick(self, at: float) -> None:
        """An event comes, and what is owed is done or not."""
        if self.steps[-1][1] is not StatusKind.QUARANTINED:
            self.due += not self.errors
        if self.reads(at):
            self.done[:] = self.due
        sinks = {SINK: SinkFacts(self.errors, 0)} if self.errors else {}
        for step in self.liveness.look(Look(self.due, self.done, sinks=sinks), round(at * SECOND)):
            if isinstance(step, Step):
                self.liveness.carried(step)
                self.steps.append((at, step.kind))
            else:
                self.errors += isinstance(step, Try)


def draw() -> None:
    """Write ladder.svg."""
    plays = {
        "takes none of its events": Play(reads=lambda at: False),
        "... and goes on at 9 s": Play(reads=lambda at: at >= COMES_BACK_S),
        "is always three seconds late": Play(reads=lambda at: at % 3.0 == 0.0),
        "its handler raises on every call": Play(reads=lambda at: True, raises=True),
        "promised a heartbeat each 2 s": Play(reads=lambda at: True, beats=False),
    }
    figure, axes = pyplot.subplots(figsize=(9.5, 3.2))
    for row, play in enumerate(plays.values()):
        ends = [at for at, _ in play.steps[1:]]
        for (at, kind), end in zip(play.steps, [*ends, LAST_S], strict=True):
            thick = 0.06 if kind is StatusKind.REAPED else 0.5
            axes.barh(-row, end - at, left=at, height=thick, color=COLOURS[kind], linewidth=0)
        for at in filter(None, ends):  # 0 stands at the axis
            axes.text(at, -row + 0.3, f"{at:g}", size=7, color=GREY, ha="center")
    axes.set_yticks([-row for row in range(len(plays))], list(plays))
    axes.set(xlim=(0, LAST_S), xlabel="seconds since the fault began (runnable time)")
    axes.tick_params(length=0)
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=COLOURS[kind]) for kind in WORDS]
    axes.legend(
        handles, WORDS.values(), loc="upper center", bbox_to_anchor=(0.4, -0.18), ncol=2, frameon=False
    )
    save(figure, "ladder", "The ladder of obligations")
