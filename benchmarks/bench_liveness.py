"""What judging all components costs: one tick, where all is well, where some read late, and where some hang.

`python benchmarks/bench_liveness.py` prints microseconds a tick, from one run: the median of many.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

from subcore.engine.liveness import TICK_NS, Liveness, Look
from subcore.engine.obligations import Obligations

SIZES = [1_000, 10_000]
TICKS = 200
LEFT = 0.1


class Tick:
    params = [SIZES]  # noqa: RUF012
    param_names = ("components",)

    def setup(self, components: int) -> None:
        """Each component promised a heartbeat, and events come to all; one in ten has some left at a tick."""
        self.liveness = Liveness(Obligations())
        self.random = np.random.default_rng(1)
        self.due, self.done = np.zeros(components, np.int64), np.zeros(components, np.int64)
        self.now = 0
        for component in range(components):
            self.liveness.add(component, heartbeat=1.0)

    def tick(self, hung: int) -> int:
        """The time of one tick; the first so many components take nothing and do not beat, the others some."""
        self.now += TICK_NS
        self.due += self.random.integers(0, 50, len(self.due))
        self.done[hung:] = self.due[hung:] - (self.random.random(len(self.due) - hung) < LEFT)
        for component in range(hung, len(self.due)):
            self.liveness.beat(component)
        look = Look(self.due, self.done)
        start = time.thread_time_ns()
        self.liveness.look(look, self.now)
        return time.thread_time_ns() - start

    def median_us(self, hung: int = 0) -> float:
        return statistics.median(self.tick(hung) for _ in range(TICKS)) / 1_000

    def track_tick_us(self, components: int) -> float:
        """All is well."""
        return self.median_us()

    def track_tick_with_hung_us(self, components: int) -> float:
        """20 hang, and what is said of them is not carried out: so it is said at each tick."""
        return self.median_us(hung=20)


def main() -> int:
    for size in SIZES:
        tick = Tick()
        tick.setup(size)
        well = tick.median_us()
        print(f"{size:>6} components: {well:6.1f} us a tick, {tick.median_us(hung=20):6.1f} where 20 hang")
    return 0


if __name__ == "__main__":
    sys.exit(main())
