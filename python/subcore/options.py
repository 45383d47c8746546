"""What a manager was made with, checked and with every default filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checking import check_span
from .clock import Clock
from .errors import UsageError
from .link import Connect
from .logins import Credentials
from .markets import Markets
from .newest import LatestCall
from .obligations import Obligations
from .types import Priority

if TYPE_CHECKING:
    from .engine.adaptive import Adapt
    from .engine.alerts import AlertRules

__all__ = ["Options", "as_path"]


def as_path(name: str, given: Any) -> Path | None:
    """The path of a file, None where none is given. UsageError."""
    if given is None:
        return None
    try:
        path = Path(given)
    except TypeError:
        raise UsageError(f"{name} is the path of a file, not {given!r}") from None
    if not path.name:
        raise UsageError(f"{name} is the path of a file, and {given!r} names none: leave it out for none")
    if "\0" in str(path):
        raise UsageError(f"{name} is the path of a file, and no system takes a NUL in one: {given!r}")
    return path


@dataclass(frozen=True, slots=True)
class Options:
    """See SubscriptionManager. `own_markets`: the venue's own list of markets is asked for; `replay`: a recording
    and how fast it is read."""

    clock: Clock
    connect: Connect | None
    markets: Markets | None
    own_markets: bool
    replay: tuple[Path, float] | None
    snapshot_path: Path | None
    claim_grace: float
    credentials: Credentials | None = field(repr=False)
    latest: bool | LatestCall
    obligations: Obligations | None
    alerts: AlertRules | None
    adapt: Adapt | None
    channel_priority: Mapping[str, Priority]
    seed: int

    def __post_init__(self) -> None:
        """UsageError for what no other place looks at before it is used."""
        check_span("claim_grace", self.claim_grace)
        if not all(callable(getattr(self.clock, name, None)) for name in ("monotonic_ns", "time_ns")):
            raise UsageError(
                f"clock has monotonic_ns() and time_ns(), and {self.clock!r} does not: leave it out"
            )
        if self.connect is not None and not callable(self.connect):
            raise UsageError(f"connect is called for each connection: give a function, not {self.connect!r}")
        if not isinstance(self.channel_priority, Mapping):
            raise UsageError(
                f'channel_priority is a mapping like {{"trade": Priority.HIGH}}, not {self.channel_priority!r}'
            )
        if not isinstance(self.seed, Integral):
            raise UsageError(f"seed is a whole number, not {self.seed!r}: leave it out for one by chance")
