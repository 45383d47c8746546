"""Scenarios 1 and 3: components overlap, and change what they want fast. The exchange's account is the judge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from subcore.scenarios.account import Account, efficiency
from subcore.scenarios.figures import Figure, Outcome
from subcore.scenarios.sides import SIDES, Side
from subcore.scenarios.stage import Stage
from subcore.scenarios.traces import FIRST_FOUR, Change, Trace, fast_changes, overlapping, play
from subcore.sim.markets import generate_markets

__all__ = ["Played", "change_fast", "markets", "overlap", "played"]

WARM_S, SETTLES_S, FIRST_TURN_S = 5.0, 5.0, 4.0
FIRST: Trace = [Change(0.0, "first", "trade", ("KRW-XRP",), True)]  # for which the link is opened


@dataclass(frozen=True)
class Played:
    """One manager's run."""

    account: Account
    first_messages: int  # for the changes of the trace's first turn
    connects: int
    wrong: int  # streams wanted and not carried, or the other way round, a while after the end

    @property
    def over_limits(self) -> int:
        """Messages that a window of the venue had no room for."""
        return self.account.messages - self.account.within_limits


@cache
def markets(count: int) -> list[str]:
    """The exchange's first in KRW, those of the scenarios among them."""
    codes = [market.code for market in generate_markets() if market.quote == "KRW"]
    named = [*(symbol for _, _, symbols, _ in FIRST_FOUR for symbol in symbols), "KRW-XRP"]
    return list(dict.fromkeys([*named, *codes]))[:count]


def played(make: Callable[[Stage], Side], trace: Trace, seed: int, codes: list[str]) -> Played:
    """Play a trace with one manager, on a link that is up when it begins."""
    stage = Stage(seed, codes)

    async def main(_: Stage) -> Played:
        side = make(stage)
        await side.start()
        await play(stage, side, FIRST)
        await asyncio.sleep(WARM_S)
        account = stage.open_account()
        first: list[int] = []
        asyncio.get_running_loop().call_later(FIRST_TURN_S, lambda: first.append(account.messages))
        await play(stage, side, trace)
        await asyncio.sleep(SETTLES_S)
        stage.close_account()
        wrong = set().union(*stage.exchange.carries().values()) ^ stage.wanted()
        await side.stop()
        return Played(account, sum(first), stage.exchange.stats.connects, len(wrong))

    result: Played = stage.run(main, patience_s=10_000.0)
    return result


def overlap(seed: int = 1, *, seconds: float = 300.0, plays: int = 8) -> Outcome:
    """Scenario 1: four components that overlap, then groups of others that come and go; several plays."""
    codes = markets(60)
    traces = [overlapping(seed + n, codes, seconds=seconds) for n in range(plays)]
    before, after = (
        [played(make, trace, seed + n, codes) for n, trace in enumerate(traces)] for make in SIDES.values()
    )
    outcome = Outcome(1, "components overlap")
    outcome.figures.append(Figure("efficiency", _efficiency(before), _efficiency(after)))
    outcome.facts["messages for the four that overlap"] = before[0].first_messages, after[0].first_messages
    _add_facts(outcome, before, after)
    return outcome


def change_fast(seed: int = 1, *, seconds: float = 180.0) -> Outcome:
    """Scenario 3: twenty strategies change a symbol every second, several at once."""
    codes = markets(120)
    trace = fast_changes(seed, codes, seconds=seconds)
    before, after = (played(make, trace, seed, codes) for make in SIDES.values())
    outcome = Outcome(3, "fast change")
    outcome.figures.append(Figure("rate_use", before.account.rate_use, after.account.rate_use))
    outcome.figures.append(Figure("efficiency", before.account.efficiency, after.account.efficiency))
    _add_facts(outcome, [before], [after])
    return outcome


def _efficiency(plays: Sequence[Played]) -> float:
    return efficiency([one.account for one in plays])


def _add_facts(outcome: Outcome, before: Sequence[Played], after: Sequence[Played]) -> None:
    counts: dict[str, Callable[[Played], int]] = {
        "messages sent": lambda one: one.account.messages,
        "least number of messages": lambda one: one.account.optimum.messages,
        "messages over the venue's limits": lambda one: one.over_limits,
        "connections made": lambda one: one.connects,
        "streams wrong on the wire after the end": lambda one: one.wrong,
    }
    for what, count in counts.items():
        outcome.facts[what] = sum(map(count, before)), sum(map(count, after))
    outcome.facts["wanted and on the wire, of the stream-seconds wanted"] = _served(before), _served(after)
    if over := sum(one.over_limits for one in after):
        outcome.faults.append(f"subcore sent {over} messages over the venue's limits")
    if wrong := sum(one.wrong for one in after):
        outcome.faults.append(f"{wrong} streams are wanted and not on the wire, or the other way round")


def _served(plays: Sequence[Played]) -> float:
    served = sum(one.account.served_ns for one in plays)
    return round(served / sum(one.account.wanted_ns for one in plays), 4)
