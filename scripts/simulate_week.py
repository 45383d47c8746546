"""A simulated week of heavy-tailed markets against the engine's judgement of health: who is accused, and how soon.

Markets are those of `subcore.testing.restless`: clusters of orders, moods of minutes and of hours, outbreaks, halts and
nights, with figures taken from recordings. From time to time a stream freezes: its market goes on and nothing of it
comes, until it is asked for again. Exits with 1 if a link was restarted, or if more than one re-ask in 1,000
stream-hours was needless. Says how many of the frozen streams were found, and how many in time: within 10 s or twenty
medians of the gaps between the steps at which it spoke. Not every freeze can be known: some begin as the market rests.

    python scripts/simulate_week.py --ci      # some hours, two seeds, under a minute
    python scripts/simulate_week.py --full    # the week of 120 streams, some 20 minutes of CPU, and lone channels
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from subcore.sim.markets import Market, generate_markets
from subcore.testing.fleet import Fleet, Found, Report
from subcore.testing.restless import CHANNELS

NEEDLESS_AT_MOST = 1 / 1000  # for each stream-hour


def describe(name: str, report: Report, *, shows_late: bool) -> bool:
    """Print what happened; whether the promises were kept."""
    rate = 1000 * len(report.needless) / report.hours
    print(f"{name}: {report.hours:.0f} stream-hours, {report.restarts} link restarts", flush=True)
    print(f"  needless re-asks: {len(report.needless)}, {rate:.2f} in 1,000 stream-hours", end="")
    print(f"; looks at which the allowance held one back: {report.held_back}")
    known = [freeze for freeze in report.frozen if freeze.can_be_known]
    _describe_frozen("all", report.frozen)
    _describe_frozen("with ten things to say within its limit", known)
    for channel in CHANNELS:
        _describe_frozen(f"of them {channel}", [f for f in known if f.what.startswith(channel)])
    for line in report.needless[:20]:
        print(f"    needless: {line}")
    for freeze in known if shows_late else []:
        if not freeze.in_time:
            print(f"    late: {freeze}")
    return report.restarts == 0 and len(report.needless) <= NEEDLESS_AT_MOST * report.hours


def _describe_frozen(which: str, frozen: list[Found]) -> None:
    found = sorted(freeze.seconds for freeze in frozen if freeze.seconds is not None)
    soon = sum(freeze.in_time for freeze in frozen)
    if frozen:
        print(f"  frozen, {which}: {len(frozen)}, found {len(found)}, in time {soon}", end="")
        print(f"; median {found[len(found) // 2]:.1f} s, worst {found[-1]:.1f} s" if found else "")


def draw_markets(seed: int, count: int) -> list[Market]:
    """Some of the exchange's, busy and quiet ones."""
    markets = list(generate_markets(seed))
    random.Random(seed).shuffle(markets)
    return markets[:count]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--ci", action="store_true", help="some hours")
    size.add_argument("--full", action="store_true", help="a week")
    parser.add_argument("--hours", type=float, help="another length")
    parser.add_argument("--markets", type=int, default=40)
    parser.add_argument("--seed", type=int, help="another one, and no second one")
    parser.add_argument(
        "--late", action="store_true", help="show each frozen stream that was not found in time"
    )
    chosen = parser.parse_args()
    hours = chosen.hours or (168.0 if chosen.full else 2.0)
    seeds = [chosen.seed] if chosen.seed is not None else [1] if chosen.full else [1, 2]
    kept, began = True, time.process_time()
    for seed in seeds:
        print(f"seed {seed}, {hours:g} hours", flush=True)
        markets = draw_markets(seed, chosen.markets)
        report = Fleet(markets, seed).run(hours)
        kept &= describe("three channels", report, shows_late=chosen.late)
        quiet = sorted(markets, key=lambda market: market.trade_rate)[len(markets) // 2 :][:5]
        report = Fleet(quiet, seed + 1000, ("trade",)).run(hours, freeze_every_s=1e9)
        kept &= describe("five quiet markets alone on a link", report, shows_late=False)
        if chosen.full:
            report = Fleet(markets, seed + 2000, ("ticker",)).run(hours)
            kept &= describe("one channel", report, shows_late=False)
    print(f"{time.process_time() - began:.0f} s of CPU")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
