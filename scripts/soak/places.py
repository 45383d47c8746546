"""Where streams live after quiet, and how wide: home is a link of the right kind, and who is elsewhere comes home."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grammar import Key

from subcore.engine.link import Role
from subcore.types import StreamState

WIDEST = 30  # levels of a book, where nobody names a depth

if TYPE_CHECKING:
    from world import JudgedDriver


def astray(driver: JudgedDriver) -> list[str]:
    """Open streams on links that are no place for them to stay, in words."""
    columns, found = driver.engine.streams, []
    wanted = driver.core.wanted()
    for link in driver.engine.links.values():
        for stream in link.wire.wire().tolist():
            key = driver.key_of(stream) if stream in wanted else None
            if (
                key is None
                or key[1] not in driver.exchange.markets
                or columns.state[stream] != StreamState.OPEN
            ):
                continue
            own, doubled = stream in driver.own, stream in driver.doubled
            fits = {
                Role.OWN: own,
                Role.SETTLED: not own,
                Role.STANDBY: doubled,
                Role.NURSERY: False,
                Role.RETIRED: False,
            }[link.role]
            if not fits:
                found.append(f"{key} on link {link.id}, {link.role.name}")
    return found


def of_wrong_depth(driver: JudgedDriver) -> list[str]:
    """Books that a message asked for with another depth than the deepest that an unpaused component holds, in words."""
    deepest: dict[Key, int] = {}
    for name in driver.wishes.held.keys() - driver.wishes.paused:
        for topic in driver.wishes.held[name]:
            key = driver.key_of_topic(topic)
            deepest[key] = max(deepest.get(key, 0), topic.depth or WIDEST)
    return [
        f"{key} asked for with {depth or WIDEST} levels, {deepest[key]} wanted"
        for books in driver.judge.wires.values()
        for key, depth in books.sent.items()
        if key[0] == "orderbook" and deepest.get(key, depth or WIDEST) != (depth or WIDEST)
    ]
