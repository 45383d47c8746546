"""`predict`: a plan rehearsed, calibrated, and its figures put together."""

from __future__ import annotations

from collections.abc import Callable

from subcore.engine.forecast import (
    MEMORY_ERROR,
    Costs,
    Expected,
    Forecast,
    LinkLoad,
    Load,
    ReaderLoad,
    by_chance,
    cpu_share,
    exactly,
    wakes_of,
)
from subcore.errors import UsageError
from subcore.planning.calibration import Key, calibrate
from subcore.planning.plans import BOXES, Plan, PlannedInterests, needing_login
from subcore.planning.rehearsal import CALM_S, Rehearsal
from subcore.venues import get_venue

__all__ = ["predict"]

HOUSEKEEPINGS = 10.0  # a second
TICKS = 4.0
BUSY_SHARE = 0.7
A_PUMP = 6_000  # bytes of an async handler's queue and task in Python objects
Calibrate = Callable[..., Costs]


def predict(plan: Plan, *, costs: Costs | None = None, seed: int = 1) -> Forecast:
    """What a plan will take: links, messages, processor, memory, and how long a restore is; each with an interval.

    The real engine carries the plan out in virtual time, so links and messages are what it will do. `costs` are what
    frames and deliveries take on this machine; left out, they are calibrated, which takes a few seconds. It opens no
    connection to any venue. UsageError where the plan lacks something, or the venue has no embedded exchange to take
    frames from. Holds the thread that calls; from a coroutine use `await asyncio.to_thread(subcore.predict, plan)`.
    O(interests), about 10 us each.
    """
    _check(plan)
    rehearsal = Rehearsal(plan, seed)
    try:
        settled = rehearsal.settle()
        rehearsal.fill()
        idle_ns = rehearsal.rest(CALM_S)  # the second links of standbys come up as well
        links, messages, connects = rehearsal.links, rehearsal.messages, rehearsal.connects
        core, python = rehearsal.memory()
        rates, bytes_per_s = rehearsal.link_rates(), rehearsal.bytes_per_s()
        restores = sorted(rehearsal.restores())
        streams, topics, interests = len(rehearsal.streams), rehearsal.topics, rehearsal.interests
        components = len(rehearsal.hub.members)
    finally:
        rehearsal.close()
    load = _load(plan, rates, idle_ns)
    keys = {key for frames in rates.values() for key in frames}
    if costs is None:
        gap_s = 1.0 / max(wakes_of(load.frames, load.together_s), 1.0)
        costs = calibrate(get_venue(plan.venue), keys, _policies(plan), gap_s)
    share, parts = cpu_share(load, costs)
    frames = by_chance(load.frames)
    size = bytes_per_s / load.frames if load.frames else 0.0
    deliveries = by_chance(load.deliveries)
    python += A_PUMP * sum(c.count for c in plan.components for i in c.interests if i.policy == "async")
    memory = sum(core.values()) + python
    return Forecast(
        venue=get_venue(plan.venue).name,
        components=components,
        interests=interests,
        topics=topics,
        streams=streams,
        links=exactly(links),
        connects=exactly(connects),
        messages=exactly(messages),
        frames_per_s=frames,
        bytes_per_s=Expected(frames.value * size, frames.low * size, frames.high * size),
        deliveries_per_s=deliveries,
        cpu_share=share,
        memory_bytes=Expected(memory, memory * (1 - MEMORY_ERROR), memory * (1 + MEMORY_ERROR)),
        settled_s=exactly(settled),
        restored_s=Expected(restores[len(restores) // 2], restores[0], restores[-1]),
        cpu_parts=parts,
        memory_parts={**core, "python": python},
        notes=_notes(share),
    )


def _check(plan: Plan) -> None:
    """A live manager's plan may be of nothing: before anybody subscribes, and while all are paused."""
    if not any(interests.symbols for component in plan.components for interests in component.interests):
        raise UsageError(
            "the plan has no topic: let a component of it want something, or resume one that does"
        )
    private = needing_login(get_venue(plan.venue))
    for channel in (interests.channel for component in plan.components for interests in component.interests):
        if channel in private:
            raise UsageError(
                f"{channel} needs a login, and nothing is forecast of that: leave it out of the plan"
            )


def _notes(share: Expected) -> tuple[str, ...]:
    if share.high < BUSY_SHARE:
        return ()
    return (
        f"the loop may need {share.high:.0%} of a core: take slower handlers out of it, conflate with Latest() or "
        "max_rate=, or share the plan out over several processes",
    )


def _policies(plan: Plan) -> set[str]:
    return {"callback"} | {interests.policy for c in plan.components for interests in c.interests}


def _load(plan: Plan, rates: dict[int, dict[Key, float]], idle_ns: float) -> Load:
    readers: list[ReaderLoad] = []
    for component in plan.components:
        events = [(interests.policy, _events(plan, interests)) for interests in component.interests]
        read = sum(rate for policy, rate in events if policy in BOXES)  # by one task, whatever the policy
        for policy, rate in events:
            waking = rate if policy == "async" else 0.0
            if policy in BOXES:
                waking, read = read, 0.0
            readers.append(ReaderLoad(policy, rate, waking, component.handler_us * 1e3, component.count))
    links = [LinkLoad(frames) for frames in rates.values()]
    return Load(links, readers, plan.together_ms / 1e3, idle_ns, HOUSEKEEPINGS + TICKS)


def _events(plan: Plan, interests: PlannedInterests) -> float:
    """A second, of one component."""
    rates = [plan.rate_of(interests.channel, symbol).per_second for symbol in interests.symbols]
    most = interests.max_rate
    return sum(rates) if most is None else sum(min(rate, most) for rate in rates)
