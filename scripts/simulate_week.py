"""A simulated week of heavy-tailed markets against the engine's judgement of health: who is accused, and how soon.

Markets are those of `subcore.testing.restless`: clusters of orders, moods of minutes and of hours, outbreaks, halts and
nights, with figures taken from recordings. From time to time a stream freezes: its market goes on and nothing of it
comes, until it is asked for again. Exits with 1 if a link was restarted without need, if more than one re-ask in 1,000
stream-hours was needless, if, where the venue can be asked, fewer than 95 % of the freezes of which it told were found
in time from then, or if fewer than was reached before were in time from the first thing that did not come. In time is
within 10 s, or twenty medians of the gaps between the steps at which the stream spoke. It is counted from the freeze;
from the first thing that did not come, before which nothing was lost and nobody can know; and from when the venue's
pages told of something newer: that of tickers tells the time of the last trade, and some tickers come without one.

    python scripts/simulate_week.py --ci                   # some hours, under a minute
    python scripts/simulate_week.py --full                 # a week of 120 streams, and of links with little on them
    python scripts/simulate_week.py --full --world three   # one part of it
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from subcore.sim.markets import Market, generate_markets
from subcore.testing.fleet import Fleet, Found, Report
from subcore.testing.restless import CHANNELS

NEEDLESS_AT_MOST = 1 / 1000  # for each stream-hour
IN_TIME_AT_LEAST = 0.95  # of the freezes of which the venue told
SPARED = 1  # of few, one says little
NEVER = 1e9


class World(NamedTuple):
    """What is simulated. `hours`: for --ci and for --full."""

    name: str
    told: str
    hours: tuple[float, float]
    channels: tuple[str, ...] = CHANNELS
    quiet: bool = False  # five of the quieter half of the markets, alone on a link
    can_ask: bool = True
    freeze_every_s: float = 600.0
    soon: float = 0.95  # of the freezes that are found, in time from the first loss: what was reached


WORLDS = (
    World("three", "three channels", (1.5, 168.0)),
    World("unasked", "three channels, the venue cannot be asked", (0.5, 24.0), can_ask=False, soon=0.45),
    World("lone", "one channel, tickers", (2.0, 60.0), ("ticker",), soon=0.85),
    World("quiet", "five quiet markets alone on a link", (1.0, 168.0), ("trade",), quiet=True, freeze_every_s=NEVER),
    World("thin", "the same, and streams freeze", (10.0, 48.0), ("trade",), quiet=True, freeze_every_s=1200.0),
)  # fmt: skip


def describe(world: World, report: Report, *, shows_late: bool) -> bool:
    """Print what happened; whether the promises were kept."""
    rate = 1000 * len(report.needless) / report.hours
    print(f"{world.told}: {report.hours:.0f} stream-hours", flush=True)
    print(
        f"  links restarted without need: {report.restarts}; with a frozen stream: {report.rightful_restarts}"
    )
    print(f"  needless re-asks: {len(report.needless)}, {rate:.2f} in 1,000 stream-hours", end="")
    print(f"; looks at which the allowance held one back: {report.held_back}")
    if world.can_ask:
        print(
            f"  questions to the venue: {report.questions}, {report.questions / report.seconds:.3f} a second"
        )
    lost = [freeze for freeze in report.frozen if freeze.missed is not None and not freeze.cured]
    told = [freeze for freeze in lost if freeze.told is not None]
    _describe_frozen("all", report.frozen)
    cured = sum(freeze.cured for freeze in report.frozen)
    print(f"  asked for again for another reason before they were found: {cured}")
    _describe_frozen("others that lost something", lost)
    _describe_frozen("of them those of which the venue told", told)
    for channel in CHANNELS:
        _describe_frozen(f"of them {channel}", [f for f in told if f.what.startswith(channel)])
    for line in report.needless[:20]:
        print(f"    needless: {line}")
    for freeze in lost if shows_late else []:
        if not freeze.in_time_once_told:
            print(f"    late: {freeze}")
    soon = sum(freeze.in_time_once_told for freeze in told)
    is_soon = not world.can_ask or soon >= IN_TIME_AT_LEAST * len(told)
    is_soon &= sum(freeze.in_time_once_missed for freeze in lost) >= world.soon * len(lost) - SPARED
    is_soon &= bool(told) or not world.can_ask or world.freeze_every_s > NEVER / 10  # else nothing was shown
    return is_soon and report.restarts == 0 and len(report.needless) <= NEEDLESS_AT_MOST * report.hours


def _describe_frozen(which: str, frozen: Sequence[Found]) -> None:
    found = sorted(freeze.seconds for freeze in frozen if freeze.seconds is not None)
    if not frozen:
        return
    print(f"  frozen, {which}: {len(frozen)}, found {len(found)}", end="")
    print(f", in time from the freeze {sum(freeze.in_time for freeze in frozen)}", end="")
    print(f", from the first loss {sum(freeze.in_time_once_missed for freeze in frozen)}", end="")
    print(f", from when the venue told {sum(freeze.in_time_once_told for freeze in frozen)}", end="")
    print(f"; median {found[len(found) // 2]:.1f} s, worst {found[-1]:.1f} s" if found else "", flush=True)


def draw_markets(seed: int, count: int) -> list[Market]:
    """Some of the exchange's, busy and quiet ones."""
    markets = list(generate_markets(seed))
    random.Random(seed).shuffle(markets)
    return markets[:count]


def simulate(world: World, seed: int, markets: list[Market], hours: float) -> Report:
    """Let one of the worlds go on for so long."""
    if world.quiet:
        markets = sorted(markets, key=lambda market: market.trade_rate)[len(markets) // 2 :][:5]
    fleet = Fleet(
        markets,
        seed + 1000 * [w.name for w in WORLDS].index(world.name),
        world.channels,
        can_ask=world.can_ask,
    )
    return fleet.run(hours, freeze_every_s=world.freeze_every_s)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--ci", action="store_true", help="some hours")
    size.add_argument("--full", action="store_true", help="a week")
    parser.add_argument("--world", choices=[world.name for world in WORLDS], help="this one alone")
    parser.add_argument("--hours", type=float, help="another length")
    parser.add_argument("--markets", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--late", action="store_true", help="show each that was not found in time")
    chosen = parser.parse_args()
    kept, began = True, time.process_time()
    markets = draw_markets(chosen.seed, chosen.markets)
    for world in WORLDS:
        if chosen.world not in (None, world.name):
            continue
        hours = chosen.hours or world.hours[chosen.full]
        print(f"seed {chosen.seed}, {hours:g} hours, ", end="")
        if chosen.ci:  # more freezes in less time
            world = world._replace(freeze_every_s=world.freeze_every_s / 4)
        report = simulate(world, chosen.seed, markets, hours)
        kept &= describe(world, report, shows_late=chosen.late)
    print(f"{time.process_time() - began:.0f} s of CPU: {'all kept' if kept else 'NOT ALL WAS KEPT'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
