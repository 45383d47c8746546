"""A manager's snapshots: taken from any thread, kept on disk, put back at a start or at any time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._holdings import holdings
from .claims import Checked, check_venue
from .closing import END_S, ThreadEnd
from .engine import events
from .engine.context import NO_STREAMS
from .engine.restored import Restore
from .engine.snapshot import NO_RATE, OWN_LINK, STANDBY, Snapshot, capture
from .errors import CapacityError, ManagerClosed
from .restoring import RestoreReport, joined
from .types import Int32Array, Int64Array, StreamState

if TYPE_CHECKING:
    from .engine.conflicts import Conflict
    from .hub import Hub
    from .keeping import Keeper, SnapshotStats
    from .members import Member

log = logging.getLogger("subcore.snapshot")

CLOSED_MEANWHILE = "the manager was closed while it restored a snapshot"


@dataclass(slots=True, eq=False)
class Waiter:
    """Somebody who waits for these streams to be restored: on one route or on several."""

    streams: Int32Array
    future: asyncio.Future[RestoreReport]
    reports: list[RestoreReport] = field(default_factory=list)


def _numbered(ids: Int32Array) -> tuple[Int64Array, Int64Array]:
    """Where each distinct id stands (once, ids ascending), and for all the place of their id among these.

    What `numpy.unique` gives, without sorting: ids are dense. O(len(ids) + the greatest).
    """
    where = np.full(int(ids.max(initial=-1)) + 1, -1, np.int64)
    where[ids] = np.arange(len(ids))
    there = where >= 0
    return where[there], (np.cumsum(there) - 1)[ids]


def _options(
    owners: Sequence[tuple[int, object]],
    held: Int32Array,
    ids: Int32Array,
    asked: Mapping[int, Mapping[int, Int32Array]],
) -> npt.NDArray[np.uint8]:
    """Of each interest, component after component. O(interests) of those who have any."""
    options = np.zeros(len(ids), np.uint8)
    for option, topics in asked.items():
        if topics:
            ends = np.cumsum(held).tolist()
            for (owner, _), end, count in zip(owners, ends, held.tolist(), strict=True):
                if owner in topics:
                    part = slice(end - count, end)
                    options[part] |= np.uint8(option) * np.isin(ids[part], topics[owner])
    return options


def _rates(
    owners: Sequence[tuple[int, object]],
    held: Int32Array,
    ids: Int32Array,
    asked: Mapping[int, Mapping[int, float]],
) -> tuple[list[float], Int64Array]:
    """Each distinct rate once, and of each interest the place of its own. As `_options`."""
    if not asked:
        return [NO_RATE], np.zeros(len(ids), np.int64)
    rates = np.full(len(ids), NO_RATE)
    ends = np.cumsum(held).tolist()
    for (owner, _), end, count in zip(owners, ends, held.tolist(), strict=True):
        if wanted := asked.get(owner):
            rates[end - count : end] = [wanted.get(id, NO_RATE) for id in ids[end - count : end].tolist()]
    values, places = np.unique(rates, return_inverse=True)
    return values.tolist(), places


class Saving:
    """What one manager keeps and brings back. Only `take`, `changed` and `stats` may be called from any thread."""

    def __init__(self, hub: Hub, path: Path | None) -> None:
        self._hub = hub
        self._keeper: Keeper | None = None
        self._restored: Int32Array = NO_STREAMS  # at the start
        self._end: ThreadEnd | None = None
        self.rejected: tuple[Conflict, ...] = ()  # of the snapshot that is being restored
        self._waiters: list[Waiter] = []
        self._closed = False
        if path is not None:
            self._open(path)

    def _open(self, path: Path) -> None:
        from .keeping import Keeper, SnapshotFile

        file = SnapshotFile(path)
        try:
            snapshot = file.read(lambda found: check_venue(found, self._hub.venue.name))
            if snapshot is not None:
                self._restored = self._hub.claims.put(snapshot)
                self.rejected = self._hub.claims.rejected
                log.info("%r is restored from %s, provisionally", snapshot, file.read_from)
        except (CapacityError, MemoryError) as error:
            name = file.set_aside().name
            log.error("nothing is restored from %s, which is kept as %s: %s", file.read_from, name, error)
        except BaseException:
            file.close()
            raise
        self._keeper = Keeper(file, self.take)

    def start(self) -> None:
        """The wire is asked for what was restored, and the file is kept from now on."""
        if len(self._restored):
            self._hub.runtime.flush()  # so that each of them begins, and ends if somebody gives it up
            self._hub.runtime.handle(events.Restoring(self._restored, "a restart"))
            self._restored = NO_STREAMS
        if self._keeper is not None:
            self._keeper.start()

    def changed(self) -> None:
        """Something else is wanted."""
        if self._keeper is not None:
            self._keeper.changed()

    def stats(self) -> SnapshotStats | None:
        """Of the file; None where there is none."""
        return None if self._keeper is None else self._keeper.stats()

    def unwritten(self) -> tuple[bool, int, str] | None:
        """(whether the file lacks something, how often it was found to lack nothing, its path); None without one."""
        return None if self._keeper is None else self._keeper.progress

    def finish(self) -> None:
        """The manager closes: what is wanted now is what stays on disk. Call it before components are closed.

        The file is let go without anybody waiting for that. Who waits for a restore gets ManagerClosed.
        """
        self._closed = True
        for waiter in self._waiters:
            if not waiter.future.done():
                waiter.future.set_exception(ManagerClosed(CLOSED_MEANWHILE))
        keeper = self._keeper
        if keeper is None:
            return
        if not keeper.is_running:
            keeper.join(0.0)
            return
        self._end = ThreadEnd()
        final = None
        try:
            final = self.take()
        finally:  # without one the file stays as it is
            keeper.finish(final, self._end.tell)

    @property
    def is_ending(self) -> bool:
        """True from `finish` until the thread has written its last and let the file go."""
        return self._end is not None and self._keeper is not None and self._keeper.is_running

    async def ended(self, timeout: float) -> list[str]:
        """After `finish`: wait for the disk; names what did not end in time, or could not be written."""
        keeper = self._keeper
        if keeper is None:
            return []
        in_time = self._end is None or await self._end.wait(timeout)
        self._keeper = None
        if not keeper.join(END_S if in_time else 0.0):
            return ["the snapshot's file"]
        error = keeper.stats().last_error
        return [] if error is None else [f"the snapshot's file: {error}"]

    # -- out --

    def take(self) -> Snapshot:
        """What everybody wants at this moment.

        Interests, names and ids are copied in one call that keeps the GIL, and never between two steps of one change:
        see `_holdings` and `Intent.whole`. Nothing waits for it but that call. O(interests).
        """
        hub = self._hub
        with hub.intent.whole:
            owners, rows, interests, texts = holdings(hub.ledger, hub.interner, hub.members)
            paused = self._paused(owners, rows[1])
            groupings = list(hub.intent.groupings)
            capped = hub.granting.caps.asked()
            asked = {STANDBY: hub.granting.standby.asked, OWN_LINK: hub.granting.own_link.asked}
        ids, classes, streams, channels, symbols, variants, cuts = interests
        first, places = _numbered(ids)
        order = np.argsort(np.repeat(np.arange(len(owners)), rows[0]) * len(first) + places)
        named, symbol_places = _numbered(symbols[first])
        rates, rate_places = _rates(owners, rows[0], ids, capped)
        columns = {
            "component_class": [int(member.priority) for _, member in owners],
            "component_paused": paused,
            "component_held": rows[0],
            "topic_channel": channels[first],
            "topic_symbol": symbol_places,
            "topic_grouping": variants[first],
            "topic_depth": cuts[first],
            "topic_link": self._links(streams[first]),
            "interest_topic": places[order],
            "interest_class": classes[order],
            "interest_options": _options(owners, rows[0], ids, asked)[order],
            "interest_rate": rate_places[order],
        }
        tables = (
            [channel.name for channel in hub.venue.channels],
            [texts[symbol] or "" for symbol in symbols[first][named].tolist()],
            groupings,
            rates,
        )
        names = [member.name for _, member in owners]
        return capture(hub.venue.name, hub.clock.time_ns(), names, tables, columns)

    def _paused(self, owners: Sequence[tuple[int, Member]], off: npt.NDArray[Any]) -> list[bool]:
        """Of each, whether it is by its own wish, and not by load alone."""
        suspends = self._hub.granting.adapting.suspends
        rows = zip(owners, off.tolist(), strict=True)
        return [member.paused or (stopped and not suspends(member)) for (_, member), stopped in rows]

    def _links(self, streams: Int32Array) -> Int32Array:
        """Which link carries each, -1 where none does: a hint, read while the engine may change it."""
        links = self._hub.engine.streams.legs.link[::2]
        found = np.full(len(streams), -1, np.int32)
        known = streams < len(links)
        found[known] = links[streams[known]]
        return found

    # -- in --

    async def restore(self, snapshot: Snapshot, adopted: bool) -> RestoreReport:
        """See SubscriptionManager.restore."""
        hub = self._hub
        checked = Checked()
        try:
            for _ in hub.claims.check(snapshot, checked):
                await asyncio.sleep(0)
                if self._closed:
                    raise ManagerClosed(CLOSED_MEANWHILE)
            streams = hub.claims.put(snapshot, checked, adopted=adopted)
        except BaseException:
            hub.claims.let_go(checked)
            raise
        rejected = hub.claims.rejected
        if not len(streams):
            return self._nothing_away(rejected)
        self.rejected += rejected
        waiter = Waiter(streams, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            hub.runtime.flush()
            hub.runtime.handle(events.Restoring(streams, "a snapshot"))
            columns = hub.engine.streams
            refused = columns.in_state(streams, StreamState.REFUSED)
            if len(refused):
                hub.runtime.handle(events.AskedAgain(refused))
            if not waiter.future.done() and not self._is_under_way(waiter):
                # Load keeps all of it off the wire.
                if not hub.engine.restores:
                    self.rejected = ()
                return self._nothing_away(rejected)
            return await waiter.future
        finally:
            self._waiters.remove(waiter)

    def _nothing_away(self, rejected: tuple[Conflict, ...]) -> RestoreReport:
        nothing = Restore(0, "a snapshot", self._hub.clock.monotonic_ns())
        return self._hub.report_of(nothing, rejected)

    def _is_under_way(self, waiter: Waiter) -> bool:
        rest = [restore.streams for restore in self._hub.engine.restores]
        return bool(np.isin(waiter.streams, np.concatenate([NO_STREAMS, *rest])).any())

    def restored(self, restore: Restore, report: RestoreReport) -> None:
        """A restore is over. There is one at a time on each route, and what is asked for meanwhile belongs to it."""
        if not self._hub.engine.restores:
            self.rejected = ()
        for waiter in self._waiters:
            if np.isin(waiter.streams, restore.streams).any():
                waiter.reports.append(report)
                if not waiter.future.done() and not self._is_under_way(waiter):
                    waiter.future.set_result(joined(waiter.reports))
