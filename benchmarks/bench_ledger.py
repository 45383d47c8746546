"""The core's tables: one more component beside few and beside many, memory per interest, wish minus wire.

`python benchmarks/bench_ledger.py` prints nanoseconds and bytes per interest beside a dict of sets, from one run.
"""

from __future__ import annotations

import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._wire_set import WireSet

SIZES = [(100, 500), (10_000, 50_000)]
EACH = 200


def filled(components: int, symbols: int) -> tuple[Ledger, list[np.ndarray]]:
    """A ledger in use, and the topics of components that are yet to come."""
    random = np.random.default_rng(1)
    ledger = Ledger()
    topics = ledger.topics(0, np.arange(symbols, dtype=np.int32))
    for _ in range(components):
        ledger.add(ledger.open_component(), random.choice(topics, EACH, replace=False))
    ledger.take_edges()
    return ledger, [random.choice(topics, EACH, replace=False) for _ in range(400)]


def median_ns(call: Callable[[int], object], rounds: int = 400) -> float:
    taken = []
    for at in range(rounds):
        start = time.perf_counter_ns()
        call(at)
        taken.append(time.perf_counter_ns() - start)
    return statistics.median(taken)


class OneMoreComponent:
    params = [SIZES]  # noqa: RUF012
    param_names = ("components_and_symbols",)

    def setup(self, size: tuple[int, int]) -> None:
        self.ledger, self.coming = filled(*size)

    def come(self, at: int) -> None:
        component = self.ledger.open_component()
        self.ledger.add(component, self.coming[at % len(self.coming)])

    def track_add_ns(self, size: tuple[int, int]) -> float:
        """Open a component and add its 200 interests."""
        return median_ns(self.come)

    def track_bytes_per_interest(self, size: tuple[int, int]) -> float:
        """Everything counted: cells, topics, streams and their index."""
        return self.ledger.nbytes / len(self.ledger)


class WishMinusWire:
    def setup(self) -> None:
        self.wire = WireSet()
        self.streams = np.arange(50_000, dtype=np.int32)
        self.wire.set_target(self.streams)
        self.wire.set_wire(self.streams)
        self.changes = np.random.default_rng(1).choice(self.streams, (400, EACH))

    def change(self, at: int) -> None:
        self.wire.set_target(self.changes[at // 2], at % 2 == 1)
        self.wire.added()
        self.wire.removed()

    def track_change_ns(self) -> float:
        """200 of 50,000 streams change; both differences read."""
        return median_ns(self.change)


class Texts:
    def setup(self) -> None:
        self.texts = [f"KRW-{n}" for n in range(10_000)]
        self.interner = Interner()
        self.interner.intern_many(self.texts)

    def time_get_many(self) -> None:
        self.interner.get_many(self.texts)


def dict_of_sets(components: int, symbols: int) -> tuple[float, float]:
    """(bytes, ns) per interest of symbol -> set of component names and its reverse, as one would write it by hand."""
    random = np.random.default_rng(1)
    names = [f"KRW-{n}" for n in range(symbols)]
    choices = [random.choice(symbols, EACH, replace=False).tolist() for _ in range(components + 400)]
    tracemalloc.start()
    holders: dict[str, set[str]] = {}
    held: dict[str, set[str]] = {}

    def come(at: int) -> None:
        component = f"component-{at}"
        held[component] = {names[n] for n in choices[at]}
        for n in choices[at]:
            holders.setdefault(names[n], set()).add(component)

    for at in range(components):
        come(at)
    traced = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return traced / (components * EACH), median_ns(lambda at: come(components + at)) / EACH


def main() -> int:
    for size in SIZES[:1] if "--quick" in sys.argv else SIZES:
        bench = OneMoreComponent()
        bench.setup(size)
        size_bytes, ns = bench.track_bytes_per_interest(size), bench.track_add_ns(size) / EACH
        plain_bytes, plain_ns = dict_of_sets(*size)
        print(
            f"{size[0]:>6} components, {size[1]:>6} symbols, an interest:"
            f" {ns:5.1f} ns ({ns / plain_ns:.2f} of a dict of sets: {plain_ns:.0f}),"
            f" {size_bytes:5.1f} bytes ({size_bytes / plain_bytes:.2f} of {plain_bytes:.0f})"
        )
    wire = WishMinusWire()
    wire.setup()
    print(f"200 of 50,000 streams change, both differences read: {wire.track_change_ns() / 1_000:.1f} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
