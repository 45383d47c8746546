"""Bugs that were seen in other libraries, and the planted ones that stand for each.

Of each the first is found by the soak, a simulation, a property or a state machine alone.
"""

from __future__ import annotations

SEEN_ELSEWHERE = {
    "watchdog armed only after the first message": ("watchdog armed only after the first message",),
    "idle timer fed by pongs": ("silence of a link ended by pongs",),
    "proof timeout restarted by every message": ("the wait for proof begun anew by every frame",),
    "backoff reset before health is proven": ("backoff reset before health is proven",),
    "limiter bypassed on one path": ("limiter bypassed by repairs", "limiter bypassed by listings"),
    "token bucket bursting over a rolling window": ("a token bucket in place of a rolling window",),
    "state changed before the limit check": (
        "what the limit holds back noted as written",
        "state changed before the limit is asked",
    ),
    "marked subscribed before proof": ("marked subscribed before proof",),
    "overflow killing the reader": ("an overflow ends the reading",),
    "one refused topic aborting the restore": (
        "one refused stream ends the restore",
        "all suspects refused",
        "a refused stream keeps the restore open",
    ),
    "late reply of an old generation accepted": ("late reply of an old generation accepted",),
    "budget forgotten across a reconnect": ("budget of an address forgotten at a reconnect",),
    "watchdog dropping intent": ("watchdog drops intent", "a watchdog that drops intent"),
    "conflation keeping the oldest": (
        "conflation keeps the oldest",
        "a capped burst ends with what came first",
    ),
}
