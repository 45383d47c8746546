"""A month of subcore: the engine fed by columns, links that fail, and the account of every lost stream-second.

A stream-second is good where the engine says GOOD and the world does deliver. Time goes in steps of half a second, in
which a connect and a snapshot take one each. The calm between troubles is played for a while before and after each; the
rest of it is left out unless `whole` is asked for, and counted at what the calm that was played came to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.scenarios.troubles import DAY_S, DROP, MAINTENANCE, REFUSAL, STALL, Trouble
from subcore.sim.markets import Market
from subcore.testing.fleet import STEP_S, Counts, Fleet, Link
from subcore.types import DataState, Int32Array, StreamState

__all__ = ["Ledger", "Month"]

WARM_S = 600.0  # until habits are known
LEAD_S, TAIL_S = 30.0, 15.0  # of calm, played before each trouble and after it
GIVE_UP_S = 900.0
NEEDLESS = "suspected without need"


@dataclass
class Ledger:
    """Stream-seconds: lost by cause, and served; those of the maintenance are none the venue could serve."""

    lost: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    played: float = 0.0
    calm: float = 0.0  # of them without any trouble
    left_out: float = 0.0

    @property
    def servable(self) -> float:
        """All that the venue could serve."""
        return self.played + self.left_out

    @property
    def lost_left_out(self) -> float:
        """What the calm that was left out is taken to have lost."""
        return self.left_out * (self.lost[NEEDLESS] / self.calm if self.calm else 0.0)

    @property
    def availability(self) -> float:
        """As defined."""
        return 1.0 - (sum(self.lost.values()) + self.lost_left_out) / self.servable


class _Shifted:
    """The markets at the month's time, whatever the engine's clock says."""

    def __init__(self, world: Fleet) -> None:
        self._inner = world.markets
        self.offset = 0.0

    def step(self, seconds: float) -> tuple[Counts, Counts]:
        return self._inner.step(seconds + self.offset)


class Month(Fleet):
    """A fleet whose links fail as the troubles say."""

    def __init__(self, markets: list[Market], seed: int) -> None:
        self._refused_until = 0  # before Fleet's, which begins to connect
        self._refused_with: int | None = None
        self._stalled: set[tuple[int, int]] = set()
        super().__init__(markets, seed)
        self.shifted = _Shifted(self)
        self.markets = self.shifted
        self.ledger_of_time = Ledger()
        self._cause = ""

    # -- the network --

    def _carry_out(self, action: actions.Action) -> None:
        if isinstance(action, actions.Connect) and self.now < self._refused_until:
            left = self._refused_until - self.now if self._refused_with else None
            self.links[action.link] = Link(action.generation)
            down = events.LinkDown(
                action.link, action.generation, "connect refused", None, self._refused_with, left
            )
            self.due.append((action.link, down, None))
            return
        stalled = (getattr(action, "link", -1), getattr(action, "generation", -1)) in self._stalled
        if stalled and isinstance(action, actions.Ping | actions.AwaitEvidence):
            return
        if isinstance(action, actions.Disconnect):
            self._silence(action.link)
        super()._carry_out(action)

    def _arrive(self, number: int, event: events.Event, streams: Int32Array | None) -> None:
        link = self.links[number]
        generation = getattr(event, "generation", link.generation)
        opens = isinstance(event, events.LinkUp | events.LinkDown)
        if generation == link.generation and (opens or link.up) and (number, generation) not in self._stalled:
            super()._arrive(number, event, streams)

    def _silence(self, link: int) -> None:
        self.carrier[self.carrier == link] = -1

    def _lose(self, reason: str) -> None:
        """All links that are up end."""
        for number, link in list(self.links.items()):
            if link.up:
                link.up = False
                self._silence(number)
                self.tell(events.LinkDown(number, link.generation, reason))

    def inject(self, trouble: Trouble) -> None:
        """Have a trouble now."""
        self._cause = trouble.kind
        if trouble.kind == STALL:
            for number, link in self.links.items():
                if link.up:
                    self._stalled.add((number, link.generation))
                    self._silence(number)
            return
        if trouble.kind in (REFUSAL, MAINTENANCE):
            self._refused_until = self.now + round(trouble.seconds * SECOND)
            self._refused_with = 429 if trouble.kind == REFUSAL else None
        self._lose(trouble.kind)

    # -- the account --

    def _good(self) -> int:
        """Streams that the engine calls GOOD, and that are delivered."""
        columns = self.engine.streams
        good = columns.in_state(self.streams, StreamState.OPEN)
        good = good[columns.data[good] == DataState.GOOD]
        return int(np.count_nonzero(self.carrier[good] >= 0))

    def _why(self) -> str:
        """What keeps streams from being good just now."""
        if not self._cause:
            return NEEDLESS
        refused = self.now < self._refused_until
        up = any(
            link.up and (number, link.generation) in self._stalled for number, link in self.links.items()
        )
        return {
            DROP: "a drop, until everything is back",
            STALL: "a silent stall, until it is found" if up else "a silent stall, until everything is back",
            REFUSAL: "connects refused" if refused else "a refusal, until everything is back",
            MAINTENANCE: "after the maintenance, until everything is back",
        }[self._cause]

    def account(self) -> bool:
        """A step, and its entry; whether all streams were good."""
        self.step()
        count, good = len(self.streams), self._good()
        if self._cause == MAINTENANCE and self.now < self._refused_until:
            return False
        book = self.ledger_of_time
        book.played += count * STEP_S
        if good < count:
            book.lost[self._why()] += (count - good) * STEP_S
        if not self._cause:
            book.calm += count * STEP_S
        return good == count

    def run_month(
        self,
        troubles: list[Trouble],
        days: int,
        *,
        whole: bool = False,
        tell: Callable[[str], None] = lambda line: None,
    ) -> Ledger:
        """Play the month. RuntimeError where a trouble is not over after a quarter of an hour."""
        while self.now < WARM_S * SECOND or self._good() < len(self.streams):
            self.step()
        self._set_time(0.0)
        told = 0
        for trouble in troubles:
            self._calm_until(trouble.at, whole)
            self.inject(trouble)
            self._until_over(trouble)
            if trouble.at // DAY_S > told:
                told = int(trouble.at // DAY_S)
                tell(f"day {told} of {days}")
        self._calm_until(days * DAY_S, whole)
        return self.ledger_of_time

    @property
    def month_s(self) -> float:
        """Seconds since the month began."""
        return self.now / SECOND + self.shifted.offset

    def _set_time(self, seconds: float) -> None:
        self.shifted.offset = seconds - self.now / SECOND

    def _calm_until(self, at: float, whole: bool) -> None:
        left = at - self.month_s
        played = left if whole else min(left, LEAD_S + TAIL_S)
        while played > 0:
            if (
                not whole and played <= LEAD_S and self.month_s + played < at
            ):  # after TAIL_S the rest is left out
                self.ledger_of_time.left_out += len(self.streams) * (at - played - self.month_s)
                self._set_time(at - played)
            self.account()
            played -= STEP_S

    def _until_over(self, trouble: Trouble) -> None:
        limit = self.now + round((trouble.seconds + GIVE_UP_S) * SECOND)
        is_over, least = False, self.now + round(trouble.seconds * SECOND) + SECOND
        while not is_over or self.now < least:
            is_over = self.account()
            if self.now > limit:
                raise RuntimeError(f"{trouble} was not over after {GIVE_UP_S:g} s")
        self._cause = ""
        self._stalled.clear()
