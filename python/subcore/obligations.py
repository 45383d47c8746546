"""Carries facts about components to the pure judge and its steps out: statuses, blocked sinks, the reaper.

Nothing is decided here. It never touches what others want: only for the component that is reaped does the ledger
change. All of it happens at ticks of its own, outside of public calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextvars import Context
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from ._steps import Hook
from .engine.breakers import Action, SinkFacts, Try
from .engine.clock import SECOND
from .engine.liveness import TICK_NS, Liveness, Look, Step
from .engine.obligations import DEFAULTS, Cause, Obligations, Verdict
from .errors import UsageError
from .longcalls import LongCalls
from .naming import words_of
from .seconds import MAX_SECONDS
from .types import Int64Array, StatusKind
from .watchdog import Blocker, Watchdog

if TYPE_CHECKING:
    from .hub import Hub
    from .members import Member

__all__ = ["Duties", "Obligations"]

log = logging.getLogger("subcore.component")

HEALTH = ("well", "slow", "quarantined")
LEVELS = {
    StatusKind.SLOW: logging.WARNING,
    StatusKind.QUARANTINED: logging.ERROR,
    StatusKind.REAPED: logging.ERROR,
    StatusKind.RECOVERED: logging.INFO,
}


class Duties:
    """What the components of one manager owe. `rules` None: nobody is judged but for his owner."""

    def __init__(self, hub: Hub, rules: Obligations | None) -> None:
        self._hub = hub
        self._rules = rules or DEFAULTS
        self._judges = rules is not None
        self._liveness = Liveness(self._rules)
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._untold: list[tuple[Member, Step]] = []
        self._waits: Counter[Member] = Counter()  # in `live()`
        self._timed: Counter[Member] = Counter()  # of these with a timeout
        self._forgiven: set[Member] = set()  # since the last look, whose steps are void
        self.steps: Counter[StatusKind] = Counter()  # carried out, by kind
        self._watchdog: Watchdog | None = None
        self._long_calls: LongCalls | None = None
        if self._judges and self._rules.blocked is not None:
            self._watchdog = Watchdog(hub.router, self._name_of, self._rules.blocked, self._rules.dump_stacks)
            self._long_calls = LongCalls(hub, self._watchdog, self._liveness.held_loop)

    # -- life --

    def start(self) -> None:
        """Judge from now on."""
        self._loop = asyncio.get_running_loop()
        if self._watchdog is not None:
            self._watchdog.start()
        self._tick()

    def end(self) -> None:
        """No timer runs, and the thread is told to end."""
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
        if self._watchdog is not None:
            self._watchdog.end()

    async def ended(self, timeout: float) -> list[str]:
        """After `end`: wait for the thread, and until all were told: nobody is, once the manager is closed."""
        while self._untold:  # no tick comes any more
            asyncio.get_running_loop().call_soon(self._tell_untold, context=Context())
            await asyncio.sleep(0.0)
        return [] if self._watchdog is None else await self._watchdog.ended(timeout)

    @property
    def blockers(self) -> tuple[Blocker, ...]:
        """Handlers that held the loop: the latest few, oldest first."""
        return () if self._watchdog is None else tuple(self._watchdog.found)

    # -- what is heard --

    def check_promise(self, heartbeat: float | None) -> None:
        """UsageError where so many of these heartbeats may be missing that nobody would live to see it."""
        if heartbeat is not None and heartbeat * self._rules.beats_missed > MAX_SECONDS:
            raise UsageError(
                f"heartbeat is a number of seconds, {MAX_SECONDS / self._rules.beats_missed:g} at most with "
                f"beats_missed={self._rules.beats_missed}, not {heartbeat!r}: promise more, or leave it out for none"
            )

    def joined(self, member: Member, heartbeat: float | None, budget: float | None) -> None:
        """A component is there."""
        member.promised_beats = heartbeat is not None
        self._liveness.add(member.id, heartbeat)
        if budget is not None:
            self._hub.router.set_budget(member.id, round(budget * SECOND))

    def left(self, member: Member) -> None:
        """It is no more, and its id another's soon."""
        if self._long_calls is not None:
            self._long_calls.left(member)
        self._liveness.forget(member.id)
        for known in (self._waits, self._timed):
            known.pop(member, None)
        self._forgiven.discard(member)

    def beat(self, member: Member) -> None:
        """A heartbeat. UsageError where none was promised."""
        if not member.promised_beats:
            raise UsageError(
                f"component {member.name!r} promised no heartbeat: give manager.component(heartbeat=seconds)"
            )
        self._liveness.beat(member.id)

    def paused(self, member: Member, flag: bool) -> None:
        """It reads nothing while it is paused."""
        self._liveness.pause(member.id, flag)

    def waits(self, member: Member, by: int, timed: bool) -> None:
        """It is in `live()`, or is there no more. Its async handlers run all the same, and so they are judged; a
        promised heartbeat, too, but for waits that end by themselves."""
        if not member.closed:
            self._waits[member] += by
            self._timed[member] += by * timed
            self._liveness.excuse(member.id, by)
            if not self._waits[member]:
                del self._waits[member], self._timed[member]

    def excuses(self, member: Member) -> bool:
        """Whether it need not read now: it waits in `live()`."""
        return member in self._waits

    def forgive(self, member: Member) -> None:
        """It says itself that it goes on: nothing is held against it."""
        self._forgiven.add(member)
        self._carry_all(self._liveness.forgive(member.id))

    def handler_failed(self, member: Member, sink: int) -> None:
        """A call raised; inside the fan-out. One that raised too often in a row is called no more."""
        if not self._judges or sink not in member.sinks:  # the call itself may have given it up
            return
        if self._hub.router.sink_info(sink).errors_in_row < self._rules.errors:
            return
        if self._liveness.failed(sink, member.id, self._facts(member, sink)):
            self._hub.router.block_sink(sink, True)
            pump = member.pumps.of_sink(sink)
            if pump is not None:
                pump.cut_off(sink)

    def owner_gone(self, member: Member, *, in_call: bool) -> bool:
        """Nobody is responsible for it any more: reaped at once. False where that has to wait for a tick, since the
        veto hook is not called inside public calls."""
        reason = "its owner is done or gone" if member.is_held else "nobody holds it any more"
        step = Step(member.id, StatusKind.REAPED, Cause.OWNER, reason)
        if member.is_held and self._rules.veto is not None:
            if in_call:
                return False
            if self._is_vetoed(member, step):
                member.release_owner()
                return True
        self._reap(member, step, in_call=in_call)
        return True

    def health(self, member: Member) -> str:
        """In a word."""
        return "closed" if member.closed else HEALTH[self._liveness.level(member.id)]

    # -- judging --

    def _tick(self) -> None:
        if self._loop is None:
            return
        self._timer = self._loop.call_later(TICK_NS / SECOND, self._tick, context=Context())
        if self._watchdog is not None and self._long_calls is not None:
            self._watchdog.loop_runs()
            self._long_calls.look()
        self._tell_untold()
        self._forgiven.clear()
        if self._judges:
            due, done, lost = (column.view(np.int64) for column in self._hub.duties.columns())
            held = list(self._held(due, done))
            handlers = self._hub.pumping.duties.look()
            look = Look(due, done, lost, sinks=dict(self._sinks()), held=held, handlers=handlers)
            self._carry_all(self._liveness.look(look, self._hub.clock.monotonic_ns()))

    def _held(self, due: Int64Array, done: Int64Array) -> Iterator[int]:
        """Who waits in `live()` and owes heartbeats all the same; what it is to read counts for nothing."""
        for member in self._waits:
            if member.promised_beats and self._timed[member] <= 0:
                if member.id < len(due):
                    due[member.id] = done[member.id]
                yield member.id

    def _sinks(self) -> Iterator[tuple[int, SinkFacts]]:
        """How those that are cut off stand; what was released is left out."""
        for sink, component in list(self._liveness.broken.items()):
            member = self._hub.members.get(component)
            if member is not None and sink in member.sinks:
                yield sink, self._facts(member, sink)

    def _facts(self, member: Member, sink: int) -> SinkFacts:
        router = self._hub.router
        infos = [router.sink_info(one) for one in member.sinks]
        _, done, lost = self._hub.duties.row(member.id)
        handled = sum(self._hub.pumping.duties.worked(pump.duty) for pump in member.pumps)
        worked = sum(info.calls - info.errors for info in infos) + done - lost + handled
        return SinkFacts(router.sink_info(sink).errors_in_row, worked)

    def _carry_all(self, steps: Iterable[Step | Action]) -> None:
        """Each for whom it was meant: hooks run in between, and the id of who closes is another's at once."""
        for step, member in [(step, self._hub.members.get(step.component)) for step in steps]:
            if member is None or member.closed:
                continue
            if not isinstance(step, Step):
                self._act(member, step)
            elif member not in self._forgiven:
                self._carry(member, step)

    def _act(self, member: Member, action: Action) -> None:
        if action.sink not in member.sinks:
            return
        pump = member.pumps.of_sink(action.sink)
        if not isinstance(action, Try):
            self._hub.router.block_sink(action.sink, member.stopped)
            if pump is not None:
                pump.mend()
            self._let_on(member)
        elif pump is not None:
            pump.try_once()
        else:
            self._hub.router.try_sink(action.sink)

    def _carry(self, member: Member, step: Step) -> None:
        vetoed = step.rises and self._is_vetoed(member, step)
        if member.closed or member in self._forgiven:  # by the hook
            return
        if vetoed:
            self._carry_all(self._liveness.vetoed(step))
            return
        if step.kind is StatusKind.REAPED:
            self._reap(member, step, in_call=False)
            return
        self._liveness.carried(step)
        self.steps[step.kind] += 1
        self._stop(member, self._liveness.is_stopped(member.id))
        self._log(member, step)
        self._hub.notices.step(member, step.kind, step.reason, step.waiting)

    def _is_vetoed(self, member: Member, step: Step) -> bool:
        if self._rules.veto is None:
            return False
        verdict = Verdict(member.name, step.kind, step.cause, step.reason, step.waiting, step.seconds)
        veto = self._rules.veto
        try:
            with Hook(self._hub.router, member.id, (member.name, f"{words_of(veto)} (veto)")):
                return bool(veto(verdict))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # as of a handler
            log.exception(
                "the veto hook raised, which vetoes nothing: %s of component %r", step.kind.name, member.name
            )
            return False

    def _stop(self, member: Member, flag: bool) -> None:
        """The ladder's cap: nothing is delivered, and the interests stay."""
        if member.stopped == flag:
            return
        member.stopped = flag
        member.stopped_ns = self._hub.clock.time_ns()
        for sink in member.sinks:
            if sink not in self._liveness.broken:
                self._hub.router.block_sink(sink, flag)
        if not flag:
            self._let_on(member)

    def _let_on(self, member: Member) -> None:
        """What it joined while it was kept from events is due its image."""
        self._hub.router.let_on(member.id)
        if self._hub.router.images_due:
            self._hub.runtime.changed()

    def _reap(self, member: Member, step: Step, *, in_call: bool) -> None:
        when = datetime.fromtimestamp(self._hub.clock.time_ns() / SECOND, UTC).isoformat(timespec="seconds")
        member.reaped = (
            f"component {member.name!r} was reaped at {when}: {step.reason}. Ask the manager for a new one"
        )
        self._log(member, step)
        self.steps[step.kind] += 1
        on_status = member.on_status
        self._hub.close_member(member)
        if on_status is None:
            return
        if in_call:
            self._untold.append((member, step))
        else:
            self._hub.notices.last_word(member, step.kind, step.reason, step.waiting)

    def _tell_untold(self) -> None:
        untold, self._untold = self._untold, []
        for member, step in untold:
            self._hub.notices.last_word(member, step.kind, step.reason, step.waiting)

    def _log(self, member: Member, step: Step) -> None:
        log.log(
            logging.WARNING if step.cause is Cause.OWNER else LEVELS[step.kind],
            "component %r is %s: %s (%d events wait, %.1f s)",
            member.name,
            step.kind.name,
            step.reason,
            step.waiting,
            step.seconds,
        )

    def _name_of(self, component: int, sink: int) -> tuple[str, str] | None:
        """From the watchdog's thread."""
        return None if self._long_calls is None else self._long_calls.name(component, sink)
