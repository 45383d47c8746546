"""What a manager was made with, checked and with every default filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .clock import Clock
from .link import Connect
from .logins import Credentials
from .markets import Markets
from .newest import LatestCall
from .obligations import Obligations
from .types import Priority

if TYPE_CHECKING:
    from .engine.adaptive import Adapt
    from .engine.alerts import AlertRules

__all__ = ["Options"]


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
