"""Finding the stream that kills its connection, while all others stay on the wire.

"One bad item closes it": on such a venue a request that fails takes everything its connection carries with it. Who is
guilty is found by halves. Suspects are the streams of the failed request that were never proven; they are taken out of
it and asked for group by group on a link where they harm nobody: on the nursery, or on the link itself where it carries
nothing proven, or where the venue refuses a request and leaves the connection alone. A group whose request lives
through its error window, or is acknowledged, is innocent; one that dies is split; a group of one is refused.

It starts after an error frame (a second one, where all that was asked for had been proven before), or after two deaths
right after the same request: a connection that just ends may have had any reason. For the same reason a single stream
is refused for silent deaths only at the third, and, since a venue in trouble kills every connection, only while
something else is proven.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from subcore.engine.context import NO_STREAMS, Context
from subcore.engine.link import Group, Link, Request, Role, Trial
from subcore.engine.planner import Planner
from subcore.engine.proof import Proof
from subcore.types import Evidence, Int32Array, StreamState

__all__ = ["Bisection", "Case"]

ACKNOWLEDGED = np.uint8(Evidence.ACKNOWLEDGED)
ASKED = (StreamState.SENT, StreamState.OPEN)
DEATHS_TO_SPLIT = 2
DEATHS_TO_REFUSE = 3  # of a stream alone: chance killed it twice before


class Case(NamedTuple):
    """A request that killed its connection, or was refused as a whole."""

    suspects: Int32Array
    error: str | None  # what the venue called it
    deaths: int
    spared: bool = False  # the connection goes on: the venue refused the request alone


class Bisection:
    """Keeps the trials of all links. `nursery(link)` gives the link on which suspects of `link` are asked for."""

    def __init__(
        self,
        ctx: Context,
        planner: Planner,
        proof: Proof,
        nursery: Callable[[Link], Link],
    ) -> None:
        self._ctx = ctx
        self._planner = planner
        self._proof = proof
        self._nursery = nursery

    def add(self, link: Link, streams: Int32Array, now: int, *, deaths: int = 0) -> None:
        """Ask for these on `link`, after the groups that are on trial there now."""
        if not len(streams):
            return
        trial = link.trial = link.trial or Trial()
        self._ctx.streams.legs.attach(link.id, streams)
        last = trial.waiting[-1] if trial.waiting else None
        if last is not None and last.deaths == deaths == 0:
            last.streams = np.union1d(last.streams, streams).astype(np.int32)
        else:
            trial.waiting.append(Group(streams, deaths))
        self.serve(link, now)

    def serve(self, link: Link, now: int) -> int | None:
        """Go on to the next group if the one on trial passed; when to look again."""
        trial = link.trial
        if trial is None:
            return None
        if trial.current is not None:
            until = self._on_trial_until(link, trial.current, now)
            if until is None or until > now:
                return until
            trial.passed += len(trial.current.streams)
            trial.current = None
        while trial.waiting and trial.current is None:
            group = trial.waiting.popleft()
            group.streams = self._still_wanted(link, group.streams)
            if len(group.streams):
                trial.current = group
                self._planner.want(link, group.streams, now)
                link.repairs = True
        if trial.current is None:
            link.trial = None
        return None

    def _still_wanted(self, link: Link, streams: Int32Array) -> Int32Array:
        columns = self._ctx.streams
        wanted = columns.in_state(streams, StreamState.WAITING, StreamState.RECOVERING)
        return columns.legs.on(link.id, wanted)[0]

    def _on_trial_until(self, link: Link, group: Group, now: int) -> int | None:
        """When the group may be called innocent, as far as is known; None = it was not asked for yet."""
        left = np.intersect1d(group.streams, link.wire.target())
        left = self._ctx.streams.in_state(left, StreamState.WAITING, StreamState.RECOVERING, StreamState.SENT)
        left, rows = self._ctx.streams.legs.on(link.id, left)
        left = left[(self._ctx.streams.legs.evidence[rows] & ACKNOWLEDGED) == 0]
        if not len(left):
            return now  # proven, acknowledged, refused, or nobody wants them any more
        request = link.last_request
        if not link.is_up or request is None or link.wire.len_added:
            return None
        return max(request.window_ends, request.sent_ns + self._ctx.settings.blame)

    def accuse(self, link: Link, now: int, error: str | None) -> Case | None:
        """The connection ended, with or without an error frame: who may have killed it? Call it before the loss."""
        request = link.last_request
        if request is None or not self._may_have_killed(link, request, now, error):
            return None
        self._ctx.stats.failed_requests += 1
        suspects, patience = self._suspects(request), DEATHS_TO_SPLIT if error is None else 1
        if not len(suspects) and error is not None:  # the venue turned against one that it had served before
            suspects, patience = self._ctx.streams.in_state(request.adds, *ASKED), DEATHS_TO_SPLIT
        if not len(suspects):
            return None
        self._ctx.streams.retries[suspects] += 1
        deaths = self._deaths(link, suspects) + 1
        if deaths < patience:
            self._ask_once_more(link, suspects, deaths)
            return None
        link.suspects, link.deaths = NO_STREAMS, 0
        return Case(suspects, error, deaths)

    def _may_have_killed(self, link: Link, request: Request, now: int, error: str | None) -> bool:
        if error is not None or (link.trial is not None and link.trial.current is not None):
            return error is not None or now - request.sent_ns <= self._ctx.settings.blame
        return request in link.in_flight and now - request.sent_ns <= self._ctx.settings.blame

    def _suspects(self, request: Request) -> Int32Array:
        columns = self._ctx.streams
        suspects = request.adds[~columns.proven[request.adds]]
        return columns.in_state(suspects, StreamState.SENT)

    def _deaths(self, link: Link, suspects: Int32Array) -> int:
        if link.trial is not None and link.trial.current is not None:
            return link.trial.current.deaths
        return link.deaths if len(np.intersect1d(suspects, link.suspects)) else 0

    def _ask_once_more(self, link: Link, suspects: Int32Array, deaths: int) -> None:
        """A first silent death: the same again."""
        if link.trial is not None and link.trial.current is not None:
            link.trial.current.deaths = deaths
        else:
            link.suspects, link.deaths = suspects, deaths

    def refused(self, link: Link, streams: Int32Array, error: str, now: int) -> None:
        """The venue refused a request as a whole, and the link goes on: what of it is good comes back by halves."""
        failed = self._proof.failed(link, streams, f"the venue said {error}", now)
        self.split(link, Case(failed, error, 1, spared=True), now)

    def split(self, link: Link, case: Case, now: int) -> None:
        """Put the suspects on trial, by halves. Call it after the loss."""
        suspects = self._ctx.streams.in_state(case.suspects, StreamState.WAITING, StreamState.RECOVERING)
        link.wire.set_target(suspects, False)
        self._ctx.streams.proven[suspects] = (
            False  # what it was worth before says nothing of the next request
        )
        if link.trial is not None:
            link.trial.current = None
        harmless = case.spared or not self._carries_others(link)
        where = link if harmless or link.role is Role.NURSERY else self._nursery(link)
        where.trial = where.trial or Trial()
        self._ctx.streams.legs.attach(where.id, suspects)
        if len(suspects) == 1:
            self._judge(where, where.trial, suspects, case, now)
        elif len(suspects):
            said = f"the venue said {case.error}" if case.error else "the link closed"
            others = f"asked for with {len(suspects) - 1} others; who is to blame is being found out"
            self._ctx.streams.explain(suspects, f"{said} when it was {others}")
            half = len(suspects) // 2
            where.trial.waiting.appendleft(Group(suspects[half:]))
            where.trial.waiting.appendleft(Group(suspects[:half]))
        self.serve(where, now)

    def _judge(self, link: Link, trial: Trial, alone: Int32Array, case: Case, now: int) -> None:
        if case.error is not None:
            self._proof.refuse(alone, f"the venue said {case.error} when it was asked for", now)
            return
        venue_works = trial.passed or np.any(self._ctx.streams.state == StreamState.OPEN)
        if venue_works and case.deaths >= DEATHS_TO_REFUSE:
            self._proof.refuse(alone, f"the link closed {case.deaths} times when it was asked for", now)
        else:
            trial.waiting.append(Group(alone, case.deaths if venue_works else case.deaths - 1))

    def _carries_others(self, link: Link) -> bool:
        return bool(np.any(self._ctx.streams.proven[link.wire.target()]))
