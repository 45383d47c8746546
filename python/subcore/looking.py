"""What a manager says about itself. Reading only: nothing here changes anything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from .errors import UsageError, WrongThread
from .types import Topic, TopicInfo
from .waits import NOT_STARTED

if TYPE_CHECKING:
    from .alerting import OnAlert
    from .claims import ClaimReport
    from .clock import Clock
    from .costing import Costs
    from .dashboard import Dashboard
    from .engine.adaptive import Adaptation
    from .engine.alerts import Issue
    from .engine.conflicts import Conflict
    from .engine.efficiency import Efficiency
    from .engine.proposals import Proposal
    from .figures import Stats
    from .hub import Hub
    from .planning.plans import Plan
    from .restoring import RestoreReport
    from .venue import Venue
    from .watchdog import Blocker


class Looking:
    """The half of `SubscriptionManager` that only looks."""

    venue: Venue
    _clock: Clock
    _hub: Hub
    _state: str
    _thread: int

    def check_thread(self) -> None:
        """WrongThread outside the loop's thread."""
        if threading.get_ident() != self._thread:
            raise WrongThread(
                "this belongs to the event loop's thread: use manager.call_threadsafe(function, *arguments)"
            )

    # -- figures --

    def stats(self, *, components: bool = True) -> Stats:
        """Figures of the whole manager; see `subcore.figures`, and `as_json` there. May be called from any thread.

        O(streams + components), some 15 us for each component; their records are left out with `components=False`, and
        2 us of it remain. Read in another thread it has the interpreter for as long, in turns of 5 ms, and delays the
        loop by that.
        """
        return self._hub.measuring.stats(components=components)

    def topic_stats(self) -> npt.NDArray[Any]:
        """Figures of every topic somebody holds: a structured array (topics,), see `subcore.topic_figures.TOPIC_STATS`.

        `pandas.DataFrame(manager.topic_stats())` is a table of it. Rates are events a second over 1, 10 and 60 s; times
        are nanoseconds since 1970 UTC. A copy; about 1 us a topic. May be called from any thread.
        """
        return self._hub.measuring.topics()

    def costs(self) -> Costs:
        """What each component and topic costs, and what removing it would save; see `subcore.costing`.

        O(interests), some 80 us for each component. May be called from any thread.
        """
        return self._hub.measuring.costs()

    # -- what is wrong --

    def issues(self) -> list[Issue]:
        """What is wrong now, as of the last second; the most harmful first. See `Issue`, and docs/operations.md.

        Each says whose it is, since when, the value and the threshold, on what evidence, what can be done, and where
        there is one the trend, and when it reaches the next threshold. [] where nothing is, where `alerts=None`, and
        once the manager is closed. About 0.1 ms for each. May be called from any thread.
        """
        return self._hub.alerting.issues()

    def on_alert(self, function: OnAlert) -> Callable[[], None]:
        """Call `function(alert)`, plain or async, each time an issue is raised or over; see `Alert`. Gives back what
        ends that; calling it again is nothing.

        Called in the loop's thread and outside of public calls; an async one runs in a task of its own, which closing
        the manager cancels. What it raises is counted in `stats().handler_errors` and logged, and breaks nothing. While
        64 calls of async ones have not returned, no more are made. What stands already is not told again: see `issues`.
        UsageError for what cannot be called, ManagerClosed once the manager is.
        """
        self.check_thread()
        return self._hub.alerting.on_alert(function)

    # -- what could be better --

    def optimize(self) -> tuple[Proposal, ...]:
        """Moves that would leave fewer links, each with its reason and when it is done by itself; does none of them."""
        self.check_thread()
        return tuple(self._hub.engine.optimize(self._clock.monotonic_ns()))

    def efficiency(self) -> Efficiency:
        """How many messages would have done, of those sent; and streams wanted, of those on the wire.

        `str()` says it in a line; `score` is the product of `of_messages` and `of_streams`, each 0 to 1.
        A standby, or a move under way, has a stream on the wire twice.
        """
        self.check_thread()
        return self._hub.engine.efficiency(self._clock.monotonic_ns())

    def plan(self) -> Plan:
        """What is held now, with the rates of the last minute, for `subcore.predict`: alone, or `beside` what is
        planned. O(interests), about 2 us each.
        """
        from .planning.present import plan_of

        self.check_thread()
        return plan_of(self._hub)

    def adaptation(self) -> Adaptation:
        """How loaded it is, which measures against load are on, and the latest that are over; see `adapt=`.

        O(interests) while measures are on.
        """
        self.check_thread()
        return self._hub.granting.adapting.told()

    def bad_frames(self) -> list[Any]:
        """The latest frames that could not be read (at most 32, 4 KiB each), with reason, place and time."""
        self.check_thread()
        return self._hub.feed.bad_frames()

    # -- topics and what holds them up --

    @property
    def blockers(self) -> tuple[Blocker, ...]:
        """Handlers that held the event loop, with the stack: the latest 16, oldest first. From any thread."""
        return self._hub.obligations.blockers

    def topics(self) -> list[TopicInfo]:
        """Every topic somebody holds, as it stands. O(topics)."""
        self.check_thread()
        return self._hub.reports.topics()

    def topic(
        self, channel: str, symbol: str, *, depth: int | None = None, grouping: float | None = None
    ) -> TopicInfo:
        """One topic as it stands; UsageError where nobody holds it."""
        self.check_thread()
        topic = self.venue.check_topic(Topic(channel, symbol, depth, grouping), self._hub.grants)
        return self._hub.reports.topic(topic)

    def explain(
        self, channel: str, symbol: str, *, depth: int | None = None, grouping: float | None = None
    ) -> str:
        """Why a topic is as it is, in one sentence: what it waits for and how long, or on what evidence it is open."""
        self.check_thread()
        topic = self.venue.check_topic(Topic(channel, symbol, depth, grouping), self._hub.grants)
        if self._state == "new":
            return NOT_STARTED
        if self._state != "running":
            return f"nothing is asked for: the manager is {self._state}, make a new one"
        return self._hub.reports.explain(topic)

    @property
    def restores(self) -> tuple[RestoreReport, ...]:
        """The latest restores, at most 16, in the order in which they ended; after them those under way, one for each
        route at most. `str(report)` is a table."""
        self.check_thread()
        return (*self._hub.restores, *map(self._hub.report_of, self._hub.engine.restores))

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Conflicts between components that were resolved, and how: the latest 256, one of a kind, oldest first.

        Those that cannot be resolved raise ConflictError where they are made, with nothing changed. An interest of a
        snapshot that cannot be served beside what is wanted is rejected alone, and stands here too.
        """
        self.check_thread()
        return self._hub.granting.conflicts.resolved

    @property
    def claims(self) -> tuple[ClaimReport, ...]:
        """What became of restored intent at the end of each claim grace: the latest 16, oldest first."""
        self.check_thread()
        return tuple(self._hub.claims.reports)

    # -- a page --

    async def serve_dashboard(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        hosts: Iterable[str] = (),
    ) -> Dashboard:
        """Serve a web page about this manager, and its figures as JSON; `.url` of what is returned says where.

        Ends with the manager, or by its own `close()`. `port=0` takes a free one. A `host` that other machines reach
        needs a `token`, of at least 16 characters; `hosts` are further names that requests may call this server by.
        Nothing can be changed through it. UsageError for arguments that make no sense and for a manager that does not
        run; OSError where the port cannot be had. See docs/dashboard.md for what it serves and costs.
        """
        from .dashboard import Dashboard

        self.check_thread()
        if self._state != "running":
            raise UsageError(f"the manager is {self._state}: only a running one has something to show")
        dashboard = Dashboard(self, host, port, token, hosts)
        self._hub.dashboards.append(dashboard)
        try:
            await dashboard.start()
        except BaseException:
            dashboard.finish()
            self._hub.dashboards.remove(dashboard)
            raise
        return dashboard

    def __repr__(self) -> str:
        return f"<SubscriptionManager {self.venue.name} {self._state}, {len(self._hub.members)} components>"
