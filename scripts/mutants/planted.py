"""The bugs that are planted: what other libraries have, and at least one for each promise and file of the engine."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` stands once in `file`: of the package, or a .pyx of the core. `by` finds it: the soak, or arguments of
    pytest."""

    name: str
    file: str
    old: str
    new: str
    by: str

    @property
    def is_quick(self) -> bool:
        """Whether a test finds it and nothing need be compiled."""
        return self.by != "soak" and not self.file.endswith(".pyx")


MUTANTS = (
    Mutant(
        "watchdog armed only after the first message",
        "engine/links.py",
        "        if (silent := self._silent_against_habit(link)) is not None:",
        "        if not life.frames:\n            return None\n"
        "        if (silent := self._silent_against_habit(link)) is not None:",
        "tests/test_engine_watch.py",
    ),
    Mutant(
        "silence of a link ended by pongs",
        "engine/links.py",
        "        if link.life.pinged is not None:\n            link.life.pinged = None\n",
        "        link.life.spoke_at = self._ctx.clock.runnable\n"
        "        if link.life.pinged is not None:\n            link.life.pinged = None\n",
        "tests/test_link_silence.py",
    ),
    Mutant(
        "a frame under way is not waited for",
        "engine/asking.py",
        "        return since >= wait and",
        "        return since >= 0 and",
        "tests/test_asking.py",
    ),
    Mutant(
        "late answer about an id that is another stream's believed",
        "engine/asking.py",
        " & (habits.serial[streams] == event.serials[fit])",
        "",
        "tests/test_asking.py",
    ),
    Mutant(
        "a link that rests beside one frozen stream taken for dead",
        "engine/asking.py",
        "        return late if 0 < min(2, len(on_link)) <= len(late) else []",
        "        return late",
        "tests/test_asking.py",
    ),
    Mutant(
        "a list that is not understood accuses everybody",
        "engine/proof.py",
        "        return (streams[~there], True) if there.any() else (NO_STREAMS, not len(streams))",
        "        return streams[~there], True",
        "tests/test_health_listing.py",
    ),
    Mutant(
        "a refusal to tell what is newest not heeded by the rest of the process",
        "newest.py",
        "                self.source.block(wait, error.status)",
        "                pass",
        "tests/test_newest.py",
    ),
    Mutant(
        "backoff reset before health is proven",
        "engine/links.py",
        "        link.phase = Phase.UP\n",
        "        link.phase = Phase.UP\n        link.attempts = 0\n",
        "tests/test_engine_loss.py tests/test_engine.py tests/test_engine_watch.py",
    ),
    Mutant(
        "limiter bypassed by listings",
        "engine/proof.py",
        "        if self._planner.is_waiting(link) or not link.pacer.try_spend(Counted.MESSAGE, now):",
        "        if self._planner.is_waiting(link):",
        "tests/test_engine.py",
    ),
    Mutant(
        "a token bucket in place of a rolling window",
        "engine/pacing.py",
        "                when = max(when, sent[-amount] + window.planned_ns, log.arrived[-amount] + window.wire_ns)",
        "                when = max(when, sent[-1] + window.planned_ns // amount)",
        "tests/test_pacing.py",
    ),
    Mutant(
        "budget of an address forgotten at a reconnect",
        "engine/pacing.py",
        "        for log in self._own:\n            log.clear()",
        "        for log in [log for rules in self._rules.values() for _, log, _ in rules]:\n            log.clear()",
        "tests/test_pacing.py tests/test_engine_loss.py",
    ),
    Mutant(
        "state changed before the limit is asked",
        "engine/links.py",
        "        if not link.pacer.try_spend(Counted.CONNECT, now):\n",
        "        link.phase = Phase.CONNECTING\n        if not link.pacer.try_spend(Counted.CONNECT, now):\n",
        "tests/test_engine.py tests/test_engine_loss.py tests/test_pacing.py",
    ),
    Mutant(
        "marked subscribed before proof",
        "engine/planner.py",
        "        self._restores.asked(out.adds, now)\n",
        "        self._restores.asked(out.adds, now)\n"
        "        streams.apply(TopicEvent.PROVEN_DATA, out.adds, now)\n",
        "soak",
    ),
    Mutant(
        "a refused stream keeps the restore open",
        "engine/proof.py",
        "        self._restores.ended(moved.state, now)\n        for link, part",
        "        for link, part",
        "tests/test_engine_loss.py tests/test_simulation_guilty.py tests/test_manager_links.py",
    ),
    Mutant(
        "late reply of an old generation accepted",
        "engine/engine.py",
        "        if link is None or link.generation != generation or link.phase is not phase:",
        "        if link is None or link.phase is not phase:",
        "tests/test_engine.py",
    ),
    Mutant(
        "watchdog drops intent",
        "engine/losses.py",
        "            self._ctx.out.append(Disconnect(link.id, link.generation, reason))\n",
        "            self._ctx.out.append(Disconnect(link.id, link.generation, reason))\n"
        "            link.wire.set_target(link.wire.target(), False)\n",
        "soak",
    ),
    Mutant(
        "a leg that a wire carries given up for one that none does",
        "engine/legs.py",
        "        idle = self.width[rows] < 0\n",
        "        idle = (self.width[rows] < 0) & (self.link[rows + 1] == NO_LINK)\n",
        "tests/test_engine_refusals.py",
    ),
    Mutant(
        "arbitration ended while both wires carry a stream",
        "engine/moves.py",
        "            over = (legs.width[rows] < 0) & (legs.left[rows] <= late)\n",
        "            over = np.ones(len(rows), np.bool_)\n",
        "soak",
    ),
    Mutant(
        "all suspects refused",
        "engine/bisection.py",
        "        if len(suspects) == 1:\n",
        "        if len(suspects):\n",
        "tests/test_simulation_guilty.py tests/test_engine_refusals.py",
    ),
    Mutant(
        "a refused request refuses all of it",
        "engine/control.py",
        "        elif refused.topics is None:\n            return Accused(self._on_wire(streams), refused.name)\n",
        "",
        "tests/test_engine_refusals.py",
    ),
    Mutant(
        "ids given back while late frames may come",
        "engine/departures.py",
        "        later, never = columns.legs.were_carried(fresh)\n",
        "        later, never = fresh[:0], fresh\n",
        "soak",
    ),
    Mutant(
        "a restore on no evidence",
        "engine/restore.py",
        "        restore.evidence[rows] = columns.legs.evidence[legs] | columns.legs.evidence[legs + 1]\n",
        "",
        "soak",
    ),
    Mutant(
        "the same message sent for another name of the same depth",
        "engine/planner.py",
        "        return np.where(widths == 0, self._widest[columns.channels], widths).astype(np.int32)",
        "        return np.where(widths == 0, np.iinfo(np.int32).max, widths).astype(np.int32)",
        "tests/test_engine_refusals.py",
    ),
    Mutant(
        "the least important first",
        "engine/queueing.py",
        "        first = np.where(starves, since, -classes)\n",
        "        first = np.where(starves, since, classes)\n",
        "tests/test_planner_classes.py",
    ),
    Mutant(
        "nothing guards against starving",
        "engine/queueing.py",
        "        return now - since >= self._ctx.settings.starvation, classes, since",
        "        return now - since < 0, classes, since",
        "tests/test_planner_classes.py",
    ),
    Mutant(
        "what was never proven comes back with what was",
        "engine/placement.py",
        "        if not proven.any() or proven.all():\n            return\n",
        "        return\n",
        "tests/test_engine_loss.py",
    ),
    Mutant(
        "wanted again is not awaited",
        "engine/wants.py",
        "            self._ctx.out.append(AwaitEvidence(link.id, link.generation, part, since))\n",
        "",
        "tests/test_engine.py tests/test_planner.py tests/test_changes.py",
    ),
    Mutant(
        "a list asked for before a stream came refuses it",
        "engine/symbols.py",
        "            elif self._asked is not None and since <= self._asked:\n",
        "            else:\n",
        "tests/test_engine.py tests/test_waits.py tests/test_engine_watch.py",
    ),
    Mutant(
        "a lost stream forgets that it was proven",
        "engine/topics.py",
        "    TopicEvent.LOST_PROVEN: (LATE, KEEP, _RECOVERING, _RECOVERING, KEEP, KEEP),\n",
        "    TopicEvent.LOST_PROVEN: (LATE, KEEP, _WAITING, _WAITING, KEEP, KEEP),\n",
        "tests/test_topics.py tests/test_docs.py tests/test_engine_loss.py",
    ),
    Mutant(
        "the wait for proof begun anew by every frame",
        "engine/proof.py",
        "        silent = np.any(ctx.streams.since[link.unproven] <= now - settings.listing_silence)\n",
        "        silent = ctx.clock.runnable - link.life.spoke_at >= settings.listing_silence\n",
        "tests/test_engine_watch.py tests/test_engine.py tests/test_private_engine.py",
    ),
    Mutant(
        "one refused stream ends the restore",
        "engine/proof.py",
        "        self._restores.ended(moved.state, now)\n        for link, part",
        "        self._restores.present = None\n        for link, part",
        "tests/test_engine_loss.py",
    ),
    Mutant(
        "a stall is taken for silence",
        "engine/clock.py",
        "            self.runnable += min(max(now - self._last, 0), 2 * self.tick_ns)",
        "            self.runnable += now - self._last",
        "tests/test_engine_watch.py tests/test_engine.py",
    ),
    Mutant(
        "broken before it is made",
        "engine/moves.py",
        "        arrived = streams[wanted & there]\n",
        "        arrived = streams[wanted]\n",
        "tests/test_arbiter_links.py tests/test_engine.py tests/test_two_carriers.py",
    ),
    Mutant(
        "waiting explained as sent",
        "engine/explain.py",
        "        if link.phase is Phase.CONNECTING:\n",
        "        if link.phase is Phase.UP:\n",
        "tests/test_explain.py",
    ),
    Mutant(
        "an overflow ends the reading",
        "_queue.pyx",
        "            oldest, lost, sequence = self.items[slot], self.topics[slot], self.head\n",
        "            oldest, lost, sequence = self.items[slot], self.topics[slot], self.head\n"
        "            self.closed = True\n",
        "tests/test_delivery.py tests/test_delivery_model.py",
    ),
    Mutant(
        "the oldest kept where the newest should be",
        "_queue.pyx",
        "        if self.overflow == DROP_OLDEST and self.tail > self.head:\n",
        "        if self.overflow == CLOSE and self.tail > self.head:\n",
        "tests/test_delivery.py tests/test_delivery_model.py",
    ),
    Mutant(
        "a newer event takes the place of the older, and not the last",
        "_latest.pyx",
        "            if index != self.newest:\n",
        "            if False:\n",
        "tests/test_latest.py tests/test_latest_model.py",
    ),
    Mutant(
        "rows that were overrun not counted",
        "_ring.pyx",
        "            self.overrun += oldest - self.sequence\n",
        "",
        "tests/test_ring.py",
    ),
    Mutant(
        "a box read past what arrived in another before",
        "_inbox.pyx",
        "            taken += box.take_list(max - len(taken), before)\n",
        "            taken += box.take_list(max - len(taken), UINT64_MAX)\n",
        "tests/test_inbox.py",
    ),
    Mutant(
        "a box dropped with what waits in it",
        "_inbox.pyx",
        "            self.leaving.append(box)\n",
        "            self.remove(box)\n",
        "tests/test_inbox.py",
    ),
    Mutant(
        "trades conflated because the component conflates the rest",
        "checking.py",
        " and given is None and channel.kind",
        " and False and channel.kind",
        "tests/test_policies.py",
    ),
    Mutant(
        "a slow reader told at every change",
        "notices.py",
        '        if member.boxes.told_of(queue, "high", on=queue.is_high):\n',
        "        if True:\n",
        "tests/test_policies.py",
    ),
    Mutant(
        "an older state from the other link passes",
        "_arbiter.pyx",
        "        if time != ABSENT and time < carried.last_exchange_ns:\n            return True\n",
        "",
        "tests/test_arbiter.py tests/test_arbiter_links.py",
    ),
    Mutant(
        "the second copy of an event delivered",
        "_arbiter.pyx",
        "        if self.has_key(carried, key):\n            return True\n",
        "",
        "tests/test_arbiter.py tests/test_arbiter_links.py",
    ),
    Mutant(
        "what is on its way to a link placed a second time",
        "engine/wants.py",
        "        waiting = self._lifecycle.untargeted(waiting)  # some are on their way to a link: only watched\n",
        "",
        "tests/test_engine_markets.py",
    ),
    Mutant(
        "what a successor was asked for handed to a third link",
        "engine/placement.py",
        "self._lifecycle.untargeted(streams)",
        "streams",
        "tests/test_engine_handover.py",
    ),
    Mutant(
        "a released id named by a restore",
        "engine/restore.py",
        "        restore.states[gone] = StreamState.CLOSED  # of some that were back already\n",
        "",
        "tests/test_engine_handover.py",
    ),
    Mutant(
        "what the venue has and did not send taken for a rest",
        "engine/asking.py",
        "            elif self._is_late(stream, newer, LATE) and not",
        "            elif len(self._newer) < 0 and not",
        "tests/test_asking.py",
    ),
    Mutant(
        "a late frame taken for a frozen stream",
        "engine/asking.py",
        "        return bool(another or habits.latest[stream] >= newer.told - MARGIN)",
        "        return bool(another)",
        "tests/test_asking.py",
    ),
    Mutant(
        "any news calls an accusation right",
        "engine/health.py",
        "        right &= heard.snapshots[at] > habits.snapshots[ids]  # else it spoke by itself\n",
        "        right[:] = True\n",
        "tests/test_health.py",
    ),
    Mutant(
        "a link of its own forgotten",
        "engine/own_links.py",
        "        columns.own_link[event.streams] = event.on\n",
        "        columns.own_link[event.streams] = False\n",
        "tests/test_own_links.py",
    ),
    Mutant(
        "links merged beyond what one takes",
        "engine/proposals.py",
        "if carried + load <= capacity]",
        "if carried + load <= 2 * capacity]",
        "tests/test_efficiency.py",
    ),
    Mutant(
        "the ideal sends removals at once",
        "engine/efficiency.py",
        "LEAVING, now + REMOVAL_WAITS)",
        "LEAVING, now)",
        "tests/test_efficiency.py",
    ),
    Mutant(
        "more streams than all connections take",
        "engine/conflicts.py",
        "    if needed <= bounds.links:\n",
        "    if needed <= bounds.links + 1:\n",
        "tests/test_conflicts.py",
    ),
    Mutant(
        "a snapshot believed whatever its checksum",
        "engine/snapshot.py",
        "        if len(body) > size or _digest(data[: _HEAD.size], body) != data[_HEAD.size : _START]:\n",
        "        if False:\n",
        "tests/test_snapshot.py",
    ),
    Mutant(
        "an async handler called while its component is paused",
        "pumping.py",
        "        while not (self._held or self._ended):",
        "        while not self._ended:",
        "tests/test_pumping.py tests/test_pumping_model.py",
    ),
    Mutant(
        "another queue of an async handler read before the present one",
        "pumping.py",
        "            event = self._queues[0].get_nowait()\n",
        "            event = self._queues[-1].get_nowait() or self._queues[0].get_nowait()\n",
        "tests/test_pumping.py tests/test_pumping_model.py",
    ),
    Mutant(
        "an event handed to an async handler is done before the call returned",
        "pumping.py",
        "            calls_done=True,",
        "            calls_done=False,",
        "tests/test_pumping_model.py",
    ),
    Mutant(
        "merge reads one component to its end before the next",
        "merging.py",
        "heapq.heapreplace(ready, (at, place))",
        "heapq.heapreplace(ready, (0, place))",
        "tests/test_merging.py",
    ),
    Mutant(
        "a cancelled close leaves the handlers at work",
        "closing.py",
        "        finally:\n            for member in self._at_work:",
        "        except asyncio.CancelledError:\n            raise\n        else:\n"
        "            for member in self._at_work:",
        "tests/test_closing_walk.py tests/test_closing_drain.py",
    ),
    Mutant(
        "a watchdog that drops intent",
        "obligations.py",
        "        member.stopped = flag\n",
        "        member.stopped = flag\n"
        "        self._hub.ledger.pause(member.id, flag)\n        self._hub.runtime.changed()\n",
        "tests/test_obligations.py",
    ),
    Mutant(
        "a late tick accuses those who had no time",
        "engine/liveness.py",
        "        return late and not self._forbore",
        "        return False",
        "tests/test_liveness.py",
    ),
    Mutant(
        "what a full queue lost counted as progress",
        "engine/liveness.py",
        "if look.lost is None else look.lost",
        "if look.lost is None else 0 * look.lost",
        "tests/test_liveness.py",
    ),
    Mutant(
        "what was reaped keeps what was queued",
        "members.py",
        "        while self.reaped is not None and self.inbox.get_many(DROPPED_AT_ONCE):",
        "        while False:",
        "tests/test_obligations.py",
    ),
    Mutant(
        "a busy handler taken for one that holds the loop",
        "watchdog.py",
        "self._router.sink_info(sink).delivered)",
        "int(self._router.sink_info(sink).delivered < 0))",
        "tests/test_watchdog.py",
    ),
)
