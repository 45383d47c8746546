"""Feeds the alert engine about once a second, and tells what it says: the log, `on_alert`, `issues()`."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from ._steps import Hook
from .engine.alerts import ALERT_DEFAULTS, Alert, AlertRules, Alerts, Issue, Severity
from .engine.clock import SECOND
from .errors import ManagerClosed, UsageError
from .gauges import Gauges
from .naming import words_of
from .tasks import running_task

if TYPE_CHECKING:
    from .hub import Hub
    from .types import Int32Array

__all__ = ["Alerting", "OnAlert", "alerts_of"]

log = logging.getLogger("subcore.alerts")

OnAlert = Callable[[Alert], object]

TASKS_AT_MOST = 64  # calls of async hooks that did not return; while there are so many, no more are made
LOG_ERRORS_EVERY_NS = 60 * SECOND
LEVELS = {Severity.WARNING: logging.WARNING, Severity.CRITICAL: logging.ERROR}
OF_COMPONENTS = "loss", "queue_age"  # rules whose subjects are named by their keys
NOBODY = -1


class Alerting:
    """Of one manager. `rules` None: nothing is judged. Belongs to the loop's thread, but for `issues`."""

    def __init__(self, hub: Hub, rules: AlertRules | None) -> None:
        self._hub = hub
        self._alerts = None if rules is None else Alerts(rules)
        self.gauges = None if rules is None else Gauges(hub, rules)
        self._hooks: dict[object, OnAlert] = {}
        self._logged: int | None = None  # when such an error was
        self._ended = False
        self.errors = 0  # of hooks, and looks that failed
        self.tasks: set[asyncio.Future[Any]] = set()

    def look(self, now: int) -> None:
        """All was sampled: judge it. Whatever fails here is logged, and breaks nothing."""
        if self._alerts is None or self.gauges is None or self._ended:
            return
        lag = self._hub.monitoring.take_worst_lag()
        try:
            readings = self.gauges.look(now, lag)
            told = self._alerts.look(now, self._hub.clock.time_ns() - now, readings, self.gauges.more)
        except Exception as error:
            self._failed("the figures for alerts could not be read", error)
            return
        for alert in told:
            self._tell(alert)

    @property
    def nbytes(self) -> int:
        """Bytes of what is watched, about. From any thread."""
        return 0 if self._alerts is None else self._alerts.nbytes

    def issues(self) -> list[Issue]:
        """See SubscriptionManager.issues."""
        if self._alerts is None or self._ended:
            return []
        return self._alerts.issues(self._hub.wall_offset.ns())

    def left(self, component: int, name: str) -> None:
        """A component is no more; its id is another's soon, its name may be."""
        if self.gauges is not None:
            self.gauges.left(component)
        if self._alerts is not None:
            for rule in OF_COMPONENTS:
                self._alerts.forget(rule, name)

    def unwanted(self, streams: Int32Array) -> None:
        """Nobody wants these streams any more, and their ids may be others' soon."""
        if self.gauges is not None:
            self.gauges.unwanted(streams)

    def on_alert(self, hook: OnAlert) -> Callable[[], None]:
        """See SubscriptionManager.on_alert."""
        if self._ended:  # it would never be called
            raise ManagerClosed("the manager is closed: make a new one")
        if not callable(hook):
            raise UsageError(
                f"on_alert takes a function, plain or async, that is given an Alert, not {hook!r}"
            )
        key = object()
        self._hooks[key] = hook

        def end() -> None:
            self._hooks.pop(key, None)

        return end

    def end(self) -> None:
        """Nobody is told anything any more, and calls under way are cancelled, but for one that ends the manager."""
        self._ended = True
        self._hooks.clear()
        for task in self.tasks - {running_task()}:
            task.cancel()

    # -- inside --

    def _tell(self, alert: Alert) -> None:
        issue = alert.issue
        fields = {"rule": issue.rule, "kind": issue.kind, "subject": issue.subject, "raised": alert.raised}
        if alert.raised:
            log.log(LEVELS[issue.severity], "%s", issue, extra={"subcore": fields})
        else:
            seconds = (alert.time_ns - issue.since_ns) / SECOND
            text = "over after %.0f s: %s of %s %s"
            log.info(text, seconds, issue.rule, issue.kind, issue.subject, extra={"subcore": fields})
        for hook in list(self._hooks.values()):
            self._call(hook, alert)

    def _call(self, hook: OnAlert, alert: Alert) -> None:
        name = f"{words_of(hook)} (on_alert)"
        try:
            with Hook(self._hub.router, NOBODY, ("(manager)", name)):
                made = hook(alert)
            if inspect.isawaitable(made):
                self._spawn(made, name)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # no call is awaited here: it is the hook's own
            self._hook_failed(f"{name} raised", error)

    def _spawn(self, made: Awaitable[object], name: str) -> None:
        if len(self.tasks) >= TASKS_AT_MOST:
            if inspect.iscoroutine(made):
                made.close()
            raise RuntimeError(f"{TASKS_AT_MOST} calls did not return yet: this one was not begun")

        async def call() -> None:
            try:
                await made
            except asyncio.CancelledError as error:
                own = running_task()
                if own is not None and own.cancelling():
                    raise  # this task is meant
                self._hook_failed(f"{name} raised", error)  # something it waited for was cancelled
            except (GeneratorExit, KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                self._hook_failed(f"{name} raised", error)

        task = asyncio.get_running_loop().create_task(call(), name="subcore-on-alert", context=Context())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _hook_failed(self, what: str, error: BaseException) -> None:
        """Counted among the calls of handlers that raised."""
        self._hub.router.count_failure()
        self._failed(what, error)

    def _failed(self, what: str, error: BaseException) -> None:
        """Counted, and logged once a minute."""
        self.errors += 1
        now = self._hub.clock.monotonic_ns()
        if self._logged is None or now - self._logged >= LOG_ERRORS_EVERY_NS:
            self._logged = now
            text = "%s (%d such errors so far; logged once a minute)"
            log.error(text, what, self.errors, exc_info=error)


def alerts_of(given: AlertRules | EllipsisType | None, replay: object) -> AlertRules | None:
    """What is replayed was received long ago: nobody is told that it is late unless that is asked for. UsageError."""
    if isinstance(given, EllipsisType):
        return ALERT_DEFAULTS if replay is None else None
    if given is not None and not isinstance(given, AlertRules):
        raise UsageError(f"alerts is AlertRules(...), or None for none, not {given!r}")
    return given
