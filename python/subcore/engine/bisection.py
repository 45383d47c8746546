"""Finding the stream that kills its connection, while all others stay on the wire.

"One bad item closes it": on such a venue a request that fails takes everything its connection carries with it. Who is
guilty is found by halves. Suspects are the streams that the failed request names, or that were asked for so shortly
before it that the error may be about them, and that were never proven; they are taken out of it and asked for group by
group on a link where they harm nobody: on the nursery, or on the link itself where it carries nothing proven, or where
the venue refuses a request and leaves the connection alone. A group whose request lives through its error window and
the time of blame, or is acknowledged, is innocent; one that dies is split; a group of one is refused. An error names
nobody, and may come late: so it refuses a stream only if its connection carried no other one that was not proven. Else
the stream is asked for once more, before those others. Nor is what was proven beyond doubt where a request states it
anew, since a market may be delisted while its data flows: a stream that is refused beside such waits until they pass a
request without it. If they do not, one of them is to blame.

It starts after an error frame (a second one, where all that was asked for had been proven before), or after two deaths
right after the same request: a connection that just ends may have had any reason. For the same reason a single stream
is refused for silent deaths only at the third, and, since a venue in trouble kills every connection, only if since its
first death something else of its route was seen to live. Till then such deaths are failures of the link like any
other, so its backoff grows. Where all that was asked for had been proven before, a venue in trouble is likelier
still: such a set is halved at the fourth death, and no half of it again until something lives, so that little is left
to be found out when the trouble ends. Meanwhile one of them at a time is asked for alone, since nothing else may ever
be asked for that could live.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from subcore.engine.clock import SECOND
from subcore.engine.context import NO_STREAMS, Context
from subcore.engine.link import Group, Link, Request, Role, Trial
from subcore.engine.links import Lifecycle
from subcore.engine.planner import Planner
from subcore.engine.proof import Proof
from subcore.types import Evidence, Int32Array, StreamState

__all__ = ["Bisection", "Case"]

ACKNOWLEDGED = np.uint8(Evidence.ACKNOWLEDGED)
ASKED = (StreamState.SENT, StreamState.OPEN)
DEATHS_TO_SPLIT = 2
DEATHS_TO_DOUBT = 4  # where all of it was served before
DEATHS_TO_REFUSE = 3  # of a stream alone: chance killed it twice before
LONGER = 2  # times the time of blame: a trial lasts so much longer for each death before
UNREAD = SECOND // 20  # after a stall timers run before sockets are read: so long an error may wait unread
WANTED = tuple(state for state in StreamState if state not in (StreamState.CLOSED, StreamState.REFUSED))


class Case(NamedTuple):
    """A request that killed its connection, or was refused as a whole."""

    suspects: Int32Array
    error: str | None  # what the venue called it
    deaths: int
    alone: bool = True  # the request named nobody else that it could be about
    served: bool = False  # but for some that were proven before
    doubted: int | None = None  # see Group
    spared: bool = False  # the connection goes on: the venue refused the request alone
    patient: bool = False  # see Group
    halved: int = 0  # see Group
    since: int = 0  # see Group
    tried: bool = False  # they were on trial
    lived: int = -1  # when the connection was asked for what it has lived through


class Bisection:
    """Keeps the trials of all links. `nursery(link)` gives the link on which suspects of `link` are asked for."""

    def __init__(
        self,
        ctx: Context,
        lifecycle: Lifecycle,
        planner: Planner,
        proof: Proof,
        nursery: Callable[[Link], Link],
    ) -> None:
        self._ctx = ctx
        self._lifecycle = lifecycle
        self._planner = planner
        self._proof = proof
        self._nursery = nursery

    def add(self, link: Link, streams: Int32Array, now: int) -> None:
        """Ask for these on `link`, after the groups that are on trial there now."""
        if not len(streams):
            return
        trial = link.trial = link.trial or Trial()
        self._attach(link, streams)
        last = trial.waiting[-1] if trial.waiting else None
        if last is not None and last.deaths == 0 and not last.patient:
            last.streams = np.union1d(last.streams, streams).astype(np.int32)
        else:
            trial.waiting.append(Group(streams))
        self.serve(link, now)

    def _attach(self, link: Link, streams: Int32Array) -> None:
        late = self._ctx.clock.before(self._ctx.settings.late_frames)
        self._ctx.streams.legs.attach(link.id, streams, late)

    def serve(self, link: Link, now: int) -> int | None:
        """Go on to the next group if the one on trial passed; when to look again."""
        trial = link.trial
        if trial is None:
            return None
        if trial.current is not None:
            until = self._on_trial_until(link, trial.current, now)
            if until is None or until > now:
                return until
            if self._lived(link) >= 0 and len(self._ctx.streams.in_state(trial.current.streams, *WANTED)):
                trial.passed_at = now  # and not of a venue that answers, and then ends each connection
            trial.current = None
        while trial.waiting and trial.current is None:
            until = self._others_pass(link, trial.waiting[0], now)
            if until is None or until > now:
                return until
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
        return self._lives_until(link, now, group.deaths)

    @staticmethod
    def _on_trial(link: Link) -> Group | None:
        """The group that the link was asked for last."""
        return None if link.trial is None else link.trial.current

    def _lives_until(self, link: Link, now: int, deaths: int) -> int | None:
        """When the link has lived through its last request; None = it is yet to be sent."""
        request = link.last_request
        if not link.is_up or request is None or link.wire.len_added:
            return None
        runnable = self._ctx.clock.runnable
        lived = request.acquits_at + deaths * LONGER * self._ctx.settings.blame
        if runnable >= lived and request.lived_at is None:
            request.lived_at = runnable
        lived = lived if request.lived_at is None else request.lived_at + UNREAD
        return now + max(0, lived - runnable)

    def _others_pass(self, link: Link, group: Group, now: int) -> int | None:
        """When a group that is doubted may be asked for: what the link carries and was proven goes first. Nor is one
        that died before asked for beside what just passed: whoever ends the connection then is to be known."""
        if group.doubted is not None and self._carries_others(link):
            return self._lives_until(link, now, group.deaths)
        if group.deaths and link.is_up and link.in_flight:
            return self._lives_until(link, now, 0)
        return now

    def accuse(self, link: Link, now: int, error: str | None) -> Case | None:
        """The connection ended, with or without an error frame: who may have killed it? Call it before the loss."""
        request = link.last_request
        if request is None or not self._may_have_killed(link, request, now, error):
            return None
        self._ctx.stats.failed_requests += 1
        suspects, others = self._suspects(link, request)
        patience, group = DEATHS_TO_SPLIT if error is None else 1, self._on_trial(link)
        turned = not len(suspects) and (error is not None or group is None)
        if turned:  # the venue may have turned against one that it had served before
            suspects = self._ctx.streams.in_state(request.adds, *ASKED)
            patience = DEATHS_TO_DOUBT if error is None else DEATHS_TO_SPLIT
        if not len(suspects):
            return None
        deaths = self._deaths(link, request, suspects) + 1
        since = now if deaths == 1 else link.died_at if group is None else group.since
        if deaths < patience:
            self._ask_once_more(link, suspects, deaths, since)
            return None
        link.suspects, link.deaths = NO_STREAMS, 0
        served = self._may_have_turned(link, request, suspects)
        tried = group or Group(NO_STREAMS)
        return Case(
            suspects,
            error,
            deaths,
            alone=not len(others) and not served,
            served=served,
            doubted=tried.doubted,
            patient=error is None and (turned or tried.patient),
            halved=tried.halved,
            since=since,
            tried=group is not None,
            lived=self._lived(link),
        )

    def _may_have_turned(self, link: Link, request: Request, suspects: Int32Array) -> bool:
        """Whether the request states anew what was proven before, and that has not passed since the one on trial was
        doubted."""
        served = np.setdiff1d(request.whole[self._ctx.streams.proven[request.whole]], suspects)
        group = self._on_trial(link)
        if not len(served) or group is None or group.doubted is None:
            return len(served) > 0
        passed = [r for r in (*link.answered, *link.in_flight) if r.lived_at is not None and r is not request]
        return not any(r.sent_ns > group.doubted and np.isin(served, r.whole).all() for r in passed)

    def _may_have_killed(self, link: Link, request: Request, now: int, error: str | None) -> bool:
        if error is not None or self._on_trial(link) is not None:
            return error is not None or now - request.sent_ns <= self._ctx.settings.blame
        return request in link.in_flight and now - request.sent_ns <= self._ctx.settings.blame

    def _suspects(self, link: Link, request: Request) -> tuple[Int32Array, Int32Array]:
        """Of the streams there that were never proven: those it may be about, and the others.

        Each was asked for by a request of its own, and is acquitted of it when that is old enough.
        """
        columns, runnable = self._ctx.streams, self._ctx.clock.runnable
        stated = np.union1d(request.adds, request.whole if len(request.whole) else link.unproven)
        stated = columns.in_state(stated[~columns.proven[stated]].astype(np.int32), StreamState.SENT)
        stated, rows = columns.legs.on(link.id, stated)
        young = [r.number for r in (*link.in_flight, *link.answered) if r.acquits_at > runnable]
        maybe = np.isin(columns.legs.request[rows], young) | np.isin(stated, request.adds)
        return stated[maybe], stated[~maybe]

    def _deaths(self, link: Link, request: Request, suspects: Int32Array) -> int:
        """How often they killed it before. What the connection lived through when it was asked for it is acquitted."""
        group, runnable = self._on_trial(link), self._ctx.clock.runnable
        if group is not None:
            return group.deaths
        if not len(np.intersect1d(suspects, link.suspects)):
            return 0
        lived = [r for r in link.answered if r is not request and r.acquits_at <= runnable]
        named = (r.whole if len(r.whole) else r.adds for r in lived)
        return 0 if any(np.isin(suspects, streams).all() for streams in named) else link.deaths

    def _ask_once_more(self, link: Link, suspects: Int32Array, deaths: int, since: int) -> None:
        """A first silent death: the same again."""
        if link.trial is not None and link.trial.current is not None:
            link.trial.current.deaths, link.trial.current.since = deaths, since
            self._put_behind(link, link.trial, suspects)
        else:
            link.suspects, link.deaths, link.died_at = suspects, deaths, since

    def refused(self, link: Link, streams: Int32Array, error: str, named: int, now: int) -> None:
        """The venue refused a request as a whole, and the link goes on: what of it is good comes back by halves. Those
        that another link holds, or nobody wants any more, may be to blame as well: so who is left of many is asked for
        alone before it is refused."""
        failed = self._proof.failed(link, streams, f"the venue said {error}", now)
        group = self._on_trial(link)
        deaths, since = (1, 0) if group is None else (group.deaths + 1, group.since)
        case = Case(failed, error, deaths, alone=named == len(failed), spared=True, since=since or now)
        self.split(link, case, now)

    def split(self, link: Link, case: Case, now: int) -> None:
        """Put the suspects on trial, by halves. Call it after the loss."""
        suspects = self._ctx.streams.in_state(case.suspects, StreamState.WAITING, StreamState.RECOVERING)
        link.wire.set_target(suspects, False)
        for other, part in self._lifecycle.carriers(suspects):  # else one that is down asks for them as well
            other.wire.set_target(part, False)
        self._ctx.streams.proven[suspects] = (
            False  # what it was worth before says nothing of the next request
        )
        waits = len(suspects) > 1 and self._waits_for_a_sign(link, case)
        if link.trial is not None:
            link.trial.current = None
        where = link if self._stays(link, case) else self._nursery(link)
        where.trial = where.trial or Trial()
        self._attach(where, suspects)
        if where is link and not case.spared:
            self._put_behind(link, where.trial, suspects)
        if len(suspects) == 1:
            self._judge(where, where.trial, suspects, case, now)
        elif waits:
            group = Group(suspects, case.deaths - 1, case.doubted, True, case.halved, case.since)
            where.trial.waiting.append(group)
            if all(len(other.streams) > 1 for other in where.trial.waiting):
                self._probe(where.trial, NO_STREAMS, case.halved, now)
        elif len(suspects):
            said = f"the venue said {case.error}" if case.error else "the link closed"
            others = f"asked for with {len(suspects) - 1} others; who is to blame is being found out"
            self._ctx.streams.explain(suspects, f"{said} when it was {others}")
            suspects, half = self._in_order(suspects), len(suspects) // 2
            for part in (suspects[half:], suspects[:half]):
                where.trial.waiting.appendleft(Group(part, patient=case.patient, halved=case.halved or now))
        self.serve(where, now)

    def _in_order(self, suspects: Int32Array) -> Int32Array:
        """The most important first, and what is of one symbol side by side: mostly a market is refused as such."""
        columns = self._ctx.table.columns_to_write(suspects)
        ordered: Int32Array = suspects[np.lexsort((np.array(columns.symbols), -columns.priorities))]
        return ordered

    @staticmethod
    def _probe(trial: Trial, former: Int32Array, halved: int, now: int) -> None:
        """Where nobody asks for anything else no sign may ever come, though the venue works and has turned against one
        of each half. So one of those that wait is asked for alone, in place of the `former` one: another each time."""
        rest = trial.waiting[0]
        probe, rest.streams = rest.streams[:1], np.append(rest.streams[1:], former).astype(np.int32)
        if not len(rest.streams):
            trial.waiting.popleft()
        trial.waiting.append(Group(probe, 1, None, True, halved, now))

    def _waits_for_a_sign(self, link: Link, case: Case) -> bool:
        """Whether the half of a set that was served is not halved again: perhaps the venue is just in trouble."""
        return case.patient and case.tried and not self._venue_works(link, link.trial, case, case.halved)

    def _stays(self, link: Link, case: Case) -> bool:
        """Whether the suspects are asked for on the same link: they harm nobody there. Not on a standby: what that dies
        of may be itself, and they are well served elsewhere. Nor on one that is replaced: it takes no new ones. Where
        there can be no other link, on this one all the same."""
        if link.role in (Role.STANDBY, Role.RETIRED):
            return False
        harmless = case.spared or link.role is Role.NURSERY or not self._carries_others(link)
        return harmless or self._nursery(link) is link

    def _put_behind(self, link: Link, trial: Trial, suspects: Int32Array) -> None:
        """What else the link is to carry and never proved comes after the suspects: their next request names no one
        else, so that an error is about them."""
        target = link.wire.target()
        others = np.setdiff1d(target[~self._ctx.streams.proven[target]], suspects).astype(np.int32)
        if len(others):
            link.wire.set_target(others, False)
            trial.waiting.appendleft(Group(others))

    def _judge(self, link: Link, trial: Trial, alone: Int32Array, case: Case, now: int) -> None:
        if self._is_guilty(link, trial, case):
            said = f"the venue said {case.error}" if case.error else f"the link closed {case.deaths} times"
            self._proof.refuse(alone, f"{said} when it was asked for", now)
        elif case.error is not None:
            trial.waiting.appendleft(
                Group(alone, case.deaths, now if case.served else None, since=case.since)
            )
        elif case.patient and trial.waiting and self._waits_for_a_sign(link, case):
            self._probe(trial, alone, case.halved, now)
        else:
            deaths = case.deaths if self._venue_works(link, trial, case, case.since) else case.deaths - 1
            doubted = now if case.served else case.doubted
            trial.waiting.append(Group(alone, deaths, doubted, case.patient, case.halved or now, case.since))

    def _is_guilty(self, link: Link, trial: Trial | None, case: Case) -> bool:
        """Whether one suspect, and no other, is refused."""
        if case.spared:  # what else its request named may be gone, and others may be named the next time
            return case.alone
        enough = case.deaths >= DEATHS_TO_REFUSE and not case.served
        if case.error is not None:
            return case.alone or enough
        return enough and self._venue_works(link, trial, case, case.since)

    def _venue_works(self, link: Link, trial: Trial | None, case: Case, since: int) -> bool:
        """It kills not every connection: since then something passed the trial, or this connection or another one of
        the route lived through what it was asked for. So does one that is open since before, but where all of the case
        was served: that one may be older than the trouble, and asked for nothing in it."""
        if case.patient and not case.tried:
            return False
        if case.lived >= since or (trial is not None and trial.passed_at >= since):
            return True
        state = self._ctx.streams.state
        return any(
            other.route is link.route
            and (self._lived(other) >= since or (other.up_since <= since and not case.patient))
            and np.any(state[other.wire.wire()] == StreamState.OPEN)
            for other in self._lifecycle.open_links()
        )

    def _lived(self, link: Link) -> int:
        """When the youngest request was sent that its connection has lived through, -1 = there is none."""
        runnable = self._ctx.clock.runnable
        return max((r.sent_ns for r in link.answered if r.acquits_at <= runnable), default=-1)

    def helps(self, link: Link, case: Case) -> bool:
        """Whether the link will ask for less than what ended it, so that it need not wait longer: its suspects are
        taken apart, refused, or asked for elsewhere. Call it after the loss and before `split`."""
        suspects = self._ctx.streams.in_state(case.suspects, StreamState.WAITING, StreamState.RECOVERING)
        if len(suspects) > 1 and self._waits_for_a_sign(link, case):
            return False
        if len(suspects) > 1 or not self._stays(link, case):
            return True
        if case.served and case.deaths <= DEATHS_TO_REFUSE:
            return True  # it comes after those that were served; and if that goes on, it waits as others do
        return self._is_guilty(link, link.trial, case)

    def _carries_others(self, link: Link) -> bool:
        return bool(np.any(self._ctx.streams.proven[link.wire.target()]))
