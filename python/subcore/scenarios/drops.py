"""Scenario 2: the link drops, in several ways; what is back half a minute later, by what came over the network.

Ten components hold 50 symbols. Each fault is played on a stage of its own, so that none inherits from another.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from subcore.engine.clock import SECOND
from subcore.scenarios.account import Key
from subcore.scenarios.changes import markets
from subcore.scenarios.figures import Figure, Outcome
from subcore.scenarios.sides import PlainSide, Side, SubcoreSide
from subcore.scenarios.stage import Stage
from subcore.scenarios.traces import Change, Trace, play
from subcore.sim import Fault, Rules
from subcore.types import Priority

__all__ = ["KINDS", "Restored", "drop_links", "played", "share", "wishes"]

WITHIN_S = 30.0
WARM_S = 10.0, 15.0  # the fault comes somewhere in between
ON_THE_WAY = SECOND // 50  # what left before the fault may still arrive

KINDS: dict[str, tuple[tuple[float, Fault], ...]] = {
    "reset": ((0.0, Fault("drop_rst")),),
    "ended without a close frame": ((0.0, Fault("drop_fin")),),
    "closed by the venue": ((0.0, Fault("close")),),
    "silent, and never ends": ((0.0, Fault("half_open")),),
    "reset, and connects refused for 3 s": ((0.0, Fault("refuse", seconds=3.0)), (0.0, Fault("drop_rst"))),
    "reset, and 429 for 3 s": (
        (0.0, Fault("status", code=429, retry_after=1.0, seconds=3.0)),
        (0.0, Fault("drop_rst")),
    ),
    "reset, and connects cut for 2 s": ((0.0, Fault("cut", seconds=2.0)), (0.0, Fault("drop_rst"))),
    "reset twice, 2 s apart": ((0.0, Fault("drop_rst")), (2.0, Fault("drop_rst"))),
}
"""What happens to the link: (seconds after the first, fault of the exchange)."""


@dataclass(frozen=True)
class Restored:
    """What was back 30 s after a fault, of what was wanted. Seconds from the fault to the last stream, None = not all
    came; the same for CRITICAL ones."""

    kind: str
    wanted: int
    proven: int
    seconds: float | None
    critical_seconds: float | None
    over_limits: int


def wishes(seed: int, codes: list[str]) -> Trace:
    """Ten components: each has five symbols of its own and five of others', of all three channels; one is CRITICAL."""
    rng = random.Random(f"wishes {seed}")
    classes = (Priority.CRITICAL, Priority.HIGH, Priority.HIGH, *[Priority.NORMAL] * 5, *[Priority.LOW] * 2)
    return [
        Change(0.0, f"component {number}", channel, (*codes[5 * number : 5 * number + 5], *others), True, cls)
        for number, cls in enumerate(classes)
        for others in [rng.sample(codes, 5)]
        for channel in ("ticker", "trade", "orderbook")
    ]


def played(make: Callable[[Stage], Side], kind: str, seed: int, rules: Rules | None = None) -> Restored:
    """One fault, and the half minute after it."""
    codes = markets(50)
    stage = Stage(seed, codes, rules=rules)
    trace = wishes(seed, codes)

    async def main(_: Stage) -> Restored:
        side = make(stage)
        await play(stage, side, trace)  # what is wanted before the first connect goes out with it
        await side.start()
        await asyncio.sleep(random.Random(f"{seed} {kind}").uniform(*WARM_S))
        missing = stage.wanted() - stage.heard.keys()
        if missing:
            raise RuntimeError(f"{len(missing)} streams never came, before any fault: {sorted(missing)[:5]}")
        since = stage.ns()
        _inject(stage, kind)
        await asyncio.sleep(WITHIN_S)
        critical = {(c.channel, s) for c in trace if c.priority is Priority.CRITICAL for s in c.symbols}
        result = _judge(stage, kind, since, critical)
        await side.stop()
        return result

    result: Restored = stage.run(main)
    return result


def _inject(stage: Stage, kind: str) -> None:
    live = list(stage.exchange.connections)
    for after, fault in KINDS[kind]:
        if fault.kind == "half_open":  # of the connections that are there, not of those to come
            for conn in live:
                stage.exchange.inject(Fault("half_open", conn=conn), stage.ns())
            continue
        asyncio.get_running_loop().call_later(after, _hit, stage, fault)
    last = max(after for after, _ in KINDS[kind])
    asyncio.get_running_loop().call_later(last + ON_THE_WAY / SECOND, stage.back.clear)


def _hit(stage: Stage, fault: Fault) -> None:
    stage.exchange.inject(fault, stage.ns())
    stage.pump()


def _judge(stage: Stage, kind: str, since: int, critical: set[Key]) -> Restored:
    wanted = stage.wanted()
    proven = set(_proven(stage, since + ON_THE_WAY))
    times = {key: (stage.back[key] - since) / SECOND for key in proven}
    return Restored(
        kind,
        len(wanted),
        len(proven),
        max(times.values()) if proven == wanted else None,
        max(times[key] for key in critical) if critical <= proven else None,
        stage.exchange.stats.violations,
    )


def _proven(stage: Stage, after: int) -> Iterator[Key]:
    for key in stage.wanted():
        at, conn = stage.heard[key]
        if at > after and conn in stage.exchange.connections:
            yield key


def share(plays: list[Restored]) -> float:
    """Streams proven again of streams wanted."""
    return sum(one.proven for one in plays) / sum(one.wanted for one in plays)


def drop_links(seed: int = 1, *, rounds: int = 1, kinds: tuple[str, ...] = tuple(KINDS)) -> Outcome:
    """Scenario 2: every way in which a link is lost, so many times."""
    cases = [(kind, seed + n) for n in range(rounds) for kind in kinds]
    before = [played(PlainSide, kind, number) for kind, number in cases]
    after = [played(SubcoreSide, kind, number) for kind, number in cases]
    lenient = [played(PlainSide, kind, number, Rules(over_limit="ignore")) for kind, number in cases]
    outcome = Outcome(2, "the link drops", [Figure("restored", share(before), share(after))])
    facts = outcome.facts
    facts["links lost"] = len(before), len(after)
    facts["losses after which everything was back"] = _whole(before), _whole(after)
    facts["seconds until the last stream was back, the worst of these"] = _slowest(before), _slowest(after)
    facts["seconds until the last CRITICAL stream was back, worst"] = _critical(before), _critical(after)
    facts["messages over the venue's limits"] = _over(before), _over(after)
    facts["restored, if the venue served what is over its limits"] = round(share(lenient), 4), None
    for one in after:
        if one.proven < one.wanted:
            outcome.faults.append(
                f"{one.kind}: {one.wanted - one.proven} of {one.wanted} streams are not back"
            )
    if _over(after):
        outcome.faults.append(f"subcore sent {_over(after)} messages over the venue's limits")
    return outcome


def _whole(plays: list[Restored]) -> int:
    return sum(one.proven == one.wanted for one in plays)


def _over(plays: list[Restored]) -> int:
    return sum(one.over_limits for one in plays)


def _slowest(plays: list[Restored]) -> float | None:
    return max((round(one.seconds, 2) for one in plays if one.seconds is not None), default=None)


def _critical(plays: list[Restored]) -> float | None:
    return max((round(s, 2) for one in plays if (s := one.critical_seconds) is not None), default=None)
