"""The same month with the plain manager, from what it does at a reconnect.

It connects again 5 s after a loss, and each 5 s after that; a silent link it gives up after 30 s. What its components
then send is counted; where that is more than the venue takes in a second, the venue ends the connection again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from subcore.scenarios.changes import markets
from subcore.scenarios.drops import wishes
from subcore.scenarios.plain_manager import PlainManager
from subcore.scenarios.sides import PING_ANSWER_S, PING_IDLE_S, RETRY_S, PlainComponent
from subcore.scenarios.troubles import DAY_S, MAINTENANCE, STALL, Trouble
from subcore.sim.durations import Durations
from subcore.sim.rules import Rules

__all__ = ["availability", "messages_after_a_loss"]

BACK_S = Durations().snapshot_second  # from the request to the last snapshot


def messages_after_a_loss(seed: int) -> int:
    """What the ten components of the second scenario send at once when the link is back."""
    manager = PlainManager()
    made: dict[str, PlainComponent] = {}
    for change in wishes(seed, markets(50)):
        component = made.setdefault(change.who, PlainComponent(manager))
        component.wants.setdefault(change.channel, {}).update(dict.fromkeys(change.symbols))
        manager.subscribe(component, change.channel, change.symbols)
    sent: list[bytes] = []
    manager.connected(sent.append)
    manager.disconnected()
    sent.clear()
    manager.connected(sent.append)
    return len(sent)


def availability(
    troubles: Sequence[Trouble], days: int, messages: int, *, limit: int = Rules().messages_short
) -> float:
    """As defined, for all streams alike. `messages` over `limit`: after the first loss nothing comes back."""
    maintenance = sum(one.seconds for one in troubles if one.kind == MAINTENANCE)
    servable = days * DAY_S - maintenance
    if messages > limit:  # all is lost from the first loss on
        first = min(troubles, key=lambda one: one.at)
        to_come = (
            maintenance if any(one.kind == MAINTENANCE and one.at >= first.at for one in troubles) else 0.0
        )
        return 1.0 - (days * DAY_S - first.at - to_come) / servable
    return 1.0 - sum(map(_lost, troubles)) / servable


def _lost(trouble: Trouble) -> float:
    """Seconds the venue could serve, until everything is back."""
    refused = math.ceil(trouble.seconds / RETRY_S) * RETRY_S
    away = max(RETRY_S, refused) + BACK_S
    if trouble.kind == STALL:
        away += PING_IDLE_S + PING_ANSWER_S
    return away - (trouble.seconds if trouble.kind == MAINTENANCE else 0.0)
