"""Scenario after scenario in virtual time, on all cores, until so many events were judged; then what was seen.

    python scripts/soak --ci                       2 million events: about three minutes of two quiet cores
    python scripts/soak --full                     20 million events, up to 40 minutes
    python scripts/soak --venue upbit --seed 17    one scenario alone, with its history if a promise is broken

Exit status 1: a promise was broken, or too little was seen of a fault or of what can happen to a stream.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import count

import numpy as np
from scenario import Result, play
from seen import LEAST, at_least, report
from world import WORLDS

EVENTS = ("engine events", "frames", "arrivals", "connects")


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ci", action="store_true", help="2 million events (the default)")
    parser.add_argument("--full", action="store_true", help="20 million events")
    parser.add_argument(
        "--events", type=int, help="another number of events; says nothing of what was seen too rarely"
    )
    parser.add_argument("--venue", choices=sorted(WORLDS), help="with --seed: which one")
    parser.add_argument("--seed", type=int, help="one scenario alone")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--broken", type=int, default=3, help="stop at so many broken scenarios")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true", help="for machines")
    given = parser.parse_args()
    if given.seed is not None:
        return alone(given.venue or "upbit", given.seed)
    events = given.events or (20_000_000 if given.full else 2_000_000)
    seconds = 2400 if given.full else 300
    return many(
        events,
        seconds,
        given.first,
        given.workers,
        judged=given.events is None,
        as_json=given.json,
        enough=given.broken,
    )


def alone(venue: str, seed: int) -> int:
    """One scenario; its history where a promise is broken."""
    result = play(venue, seed, history=300)
    if result.broken:
        print(result.history)
        print(f"\n{venue}, seed {seed}: {result.broken}")
        return 1
    print(f"{venue}, seed {seed}: every promise holds; {dict(result.checks)}")
    return 0


def many(
    events: int, seconds: float, first: int, workers: int, *, judged: bool, as_json: bool, enough: int
) -> int:
    """Scenarios of both venues in turn until `events` were judged. Stops early at `enough` broken ones."""
    began = time.monotonic()
    total, pairs = Result("all", first), {}
    broken: list[Result] = []
    judged_events = scenarios = 0
    for result in played(first, workers):
        scenarios += 1
        judged_events += sum(result.checks[name] for name in EVENTS)
        total.checks += result.checks
        total.faults.update({f"{result.world} {kind}": n for kind, n in result.faults.items()})
        total.tally += result.tally
        assert result.pairs is not None
        pairs[result.world] = pairs.get(result.world, np.zeros_like(result.pairs)) + result.pairs
        if result.broken:
            broken.append(result)
            print(
                f"BROKEN {result.world} seed {result.seed}: {result.broken[:400]}",
                file=sys.stderr,
                flush=True,
            )
            print(
                f"  again: python scripts/soak --venue {result.world} --seed {result.seed}", file=sys.stderr
            )
        elif not as_json and sys.stderr.isatty():
            print(f"\r{judged_events:,} of {events:,} events", end="", file=sys.stderr, flush=True)
        if judged_events >= events or len(broken) >= enough:
            break
    took = time.monotonic() - began
    happened, least = total.checks + total.tally, LEAST * events // 2_000_000
    rare = at_least(total.faults, pairs, happened, least) if judged and not broken else []
    if as_json:
        print(json.dumps({"events": judged_events, "scenarios": scenarios, "seconds": took, "broken": len(broken),
                          "faults": total.faults, "checks": total.checks, "rare": rare}))  # fmt: skip
    else:
        report(judged_events, scenarios, took, total.checks, total.faults, total.tally, pairs, rare)
        if judged and took > seconds:
            print(f"slower than wanted on this machine: {took:.0f} s instead of {seconds:.0f} s")
    return 1 if broken or rare else 0


def played(first: int, workers: int) -> Iterator[Result]:
    """Results of both venues in turn, in the order of seeds on every machine, until nobody asks any more."""
    worlds = sorted(WORLDS)
    running: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(workers) as pool:
        try:
            for number in count():
                running.append(pool.submit(play, worlds[number % len(worlds)], first + number // len(worlds)))
                if len(running) >= 2 * workers + 2:
                    yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


if __name__ == "__main__":
    sys.exit(main())
