"""Faults the exchange can be told to have, at once or at a time, each counted whenever it bites."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

__all__ = ["KINDS", "Fault", "FaultSpecError", "Faults"]

KINDS: dict[str, str] = {
    "drop_fin": "the TCP connection ends without a close frame",
    "drop_rst": "the TCP connection is reset",
    "close": "the server closes with a close frame of code `code` (default 1001)",
    "refuse": "connects are closed before any reply",
    "cut": "connects are closed inside the 101 reply",
    "hang": "connects get no reply at all",
    "status": "connects get HTTP `code` (default 429) and Retry-After `retry_after`",
    "half_open": "nothing is sent any more, nothing is read, the connection stays",
    "mute_pong": "pings get no pong, everything else flows",
    "silent": "the stream (`channel`, `symbol`) sends nothing, until a new request for it on that connection",
    "lose": "each frame is lost with `probability`",
    "garbage": "`count` frames of garbage are sent between the others",
    "fragments": "each frame is sent in `count` fragments",
    "trickle": "each frame's bytes dribble onto the wire over `lag` seconds",
    "error": "a request that names `symbol` gets the error `name` and the close",
    "lag": "everything sent is late by `lag` seconds, in order",
    "reorder": "each frame is late by 0 to `lag` seconds, so frames overtake each other",
    "delist": "the market `symbol` ceases: silence, absent from the market list",
}
_AT_ONCE = {"drop_fin", "drop_rst", "close"}
_LINK = ("conn", "seconds")
_SETTINGS: dict[str, tuple[str, ...]] = {
    "drop_fin": ("conn",),
    "drop_rst": ("conn",),
    "close": ("conn", "code"),
    "refuse": ("seconds",),
    "cut": ("seconds",),
    "hang": ("seconds",),
    "status": ("code", "retry_after", "seconds"),
    "half_open": _LINK,
    "mute_pong": _LINK,
    "silent": (*_LINK, "channel", "symbol"),
    "lose": (*_LINK, "probability"),
    "garbage": (*_LINK, "count"),
    "fragments": (*_LINK, "count"),
    "trickle": (*_LINK, "lag"),
    "error": ("seconds", "channel", "symbol", "name"),
    "lag": (*_LINK, "lag"),
    "reorder": (*_LINK, "lag"),
    "delist": ("symbol",),
}
"""Which of the settings each kind heeds: a written one that would be without effect is refused."""


class FaultSpecError(ValueError):
    """A fault was described wrongly; the text says how to write it."""


@dataclass(frozen=True)
class Fault:
    """One fault. Times in seconds, as in `Durations` (they are not divided with it)."""

    kind: str
    conn: int | None = None
    """The connection it hits; None = all (those to come too, where the fault lasts)."""
    seconds: float | None = None
    """How long it lasts; None = for good. `drop_*` and `close` happen once."""
    symbol: str | None = None
    channel: str | None = None
    code: int = 0
    """HTTP status or WebSocket close code; 0 = the kind's default."""
    retry_after: float = 1.0
    lag: float = 0.25
    count: int = 3
    probability: float = 0.1
    name: str = "INVALID_PARAM"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FaultSpecError(f"no fault named {self.kind!r}; there are {', '.join(sorted(KINDS))}")
        if self.kind == "silent" and not (self.symbol and self.channel):
            raise FaultSpecError("a silent stream needs channel= and symbol=")
        if self.kind in ("error", "delist") and not self.symbol:
            raise FaultSpecError(f"{self.kind} needs symbol=")
        times = (self.lag, self.retry_after, self.probability, 0.0 if self.seconds is None else self.seconds)
        if not all(math.isfinite(value) for value in times):
            raise FaultSpecError("times and probability must be finite numbers")
        if self.count < 1 or min(times) < 0 or self.probability > 1:
            raise FaultSpecError("count must be at least 1, probability within 0..1, times not negative")

    @property
    def lasts(self) -> bool:
        """Whether the fault is a condition (True) or a single event."""
        return self.kind not in _AT_ONCE

    @classmethod
    def parse(cls, text: str) -> tuple[float, Fault]:
        """Read `KIND[:key=value,...][@SECONDS]`, e.g. `status:code=418,retry_after=3,seconds=10@60`.

        Returns (seconds after the start, fault). Raises FaultSpecError.
        """
        described, at, when = text.partition("@")
        kind, _, rest = described.partition(":")
        types = {f.name: str(f.type) for f in fields(cls)}
        known = _SETTINGS.get(kind, tuple(types))
        values: dict[str, object] = {}
        for pair in filter(None, rest.split(",")):
            key, equals, value = pair.partition("=")
            if not equals or key not in known:
                raise FaultSpecError(
                    f"{pair!r} in fault {text!r}: write key=value with a key of {', '.join(known)}"
                )
            if key in values:
                raise FaultSpecError(f"fault {text!r} says {key} twice: which one holds?")
            kinds = types[key]
            try:
                values[key] = int(value) if "int" in kinds else float(value) if "float" in kinds else value
            except ValueError:
                raise FaultSpecError(f"{value!r} is not a number ({key} of fault {text!r})") from None
        try:
            start = float(when) if at else 0.0
        except ValueError:
            start = math.nan
        if not math.isfinite(start):
            raise FaultSpecError(f"{when!r} after @ in fault {text!r} is not a number of seconds")
        if start < 0:
            raise FaultSpecError(f"the time after @ in fault {text!r} must not be negative")
        return start, cls(kind, **values)  # type: ignore[arg-type]


Faults = tuple[tuple[float, Fault], ...]
"""A schedule: (seconds after the exchange's first use, fault)."""
