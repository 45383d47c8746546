"""Where good requests are served: replacement of the whole set, snapshots in two bursts, late frames, the
listing."""

from __future__ import annotations

import random
from collections.abc import Callable

from .conditions import Conditions
from .connection import BINARY, Connection, Output, Subscription
from .durations import Durations
from .encode import listing_frame, style_of, wrap
from .private_traffic import PrivateTraffic
from .requests import Refused, Request, Wanted
from .rules import Rules
from .traffic import Traffic

__all__ = ["Desk"]


class Desk:
    """Keeps each connection's subscriptions as its last good request has them."""

    def __init__(
        self,
        traffic: Traffic | PrivateTraffic,
        conditions: Conditions,
        rules: Rules,
        durations: Durations,
        rng: random.Random,
        schedule: Callable[..., None],
        send: Callable[[Connection, Output, Wanted | None], None],
    ) -> None:
        self._traffic = traffic
        self._conditions = conditions
        self._rules = rules
        self._rng = rng
        self._schedule = schedule
        self._send = send
        self._late = durations.ns("late_frames")
        self._bursts = (durations.ns("snapshot_first"), durations.ns("snapshot_second"))

    def check(self, request: Request, now: int) -> None:
        """Raise `Refused` if a fault refuses one of the request's symbols."""
        for wanted in request.streams or ():
            for condition in self._conditions.active("error", now):
                fault = condition.fault
                if fault.symbol == wanted.code and fault.channel in (None, wanted.type):
                    self._conditions.count("error")
                    raise Refused(fault.name, f"{wanted.code} 은 지원하지 않는 코드입니다.")

    def serve(self, conn: Connection, request: Request, now: int, arrived: int) -> None:
        """Carry out a good request that came at `arrived`. Its format holds for the whole connection."""
        if request.format is not None:
            conn.format = request.format
        if request.streams is None:
            self._list(conn, request.ticket, now)
            return
        if request.format is None:
            conn.format = "DEFAULT"
        self._replace(conn, request.streams, now, arrived)

    def clear(self, conn: Connection, now: int) -> None:
        """The connection is over."""
        for subscription in conn.subscriptions.values():
            self._traffic.remove(subscription, now)
        conn.subscriptions = {}
        conn.streams = {}

    def _list(self, conn: Connection, ticket: str, now: int) -> None:
        rows: dict[tuple[str, int], list[str]] = {}
        for wanted, (_, realtime) in conn.streams.items():
            if realtime and (self._rules.lists_unknown or self._traffic.serves(wanted)):
                code = wanted.listed_code if self._rules.lists_suffix else wanted.code
                codes = rows.setdefault((wanted.type, wanted.level), [])
                if code not in codes:
                    codes.append(code)
        table = [
            (type_, codes, level if type_ == "orderbook" else None) for (type_, level), codes in rows.items()
        ]
        frame = wrap(listing_frame(ticket, table, style_of(conn.format)), conn.format)
        self._send(conn, Output(conn.id, "frame", BINARY, frame, 0, now), None)

    def _replace(
        self, conn: Connection, streams: dict[Wanted, tuple[bool, bool]], now: int, arrived: int
    ) -> None:
        """The request is the connection's whole set from now on."""
        before, after = conn.subscriptions, {}
        snapshots = []
        for wanted, (snapshot, realtime) in streams.items():
            if not self._traffic.serves(wanted):
                continue
            self._conditions.cure(wanted, conn, now)
            if realtime:
                after[wanted] = self._keep_or_add(
                    conn, wanted, before.pop(wanted, None), now, snapshot=snapshot
                )
            if snapshot:
                snapshots.append(wanted)
        conn.streams, conn.subscriptions = streams, after
        self._end_streams(list(before.values()), now)
        half = (len(snapshots) + 1) // 2
        for delay, part in zip(self._bursts, (snapshots[:half], snapshots[half:]), strict=True):
            if part:
                self._schedule(max(now, arrived + delay), self._burst, conn, part)

    def _keep_or_add(
        self, conn: Connection, wanted: Wanted, kept: Subscription | None, now: int, *, snapshot: bool
    ) -> Subscription:
        """A kept stream flows on; a new one flows after its snapshot, or at once if it wants none."""
        if kept is not None and not (self._rules.gap_on_replace and snapshot):
            kept.live = kept.live or not snapshot
            return kept
        if kept is not None:
            self._traffic.remove(kept, now)
        added = Subscription(conn, wanted, live=not snapshot)
        self._traffic.add(added, now)
        return added

    def _end_streams(self, dropped: list[Subscription], now: int) -> None:
        """Dropped streams may still send a few frames together, then they are silent."""
        budget = [self._rng.randint(0, self._rules.late_frames)]
        live = [subscription for subscription in dropped if subscription.live]
        for subscription in dropped:
            if budget[0] and subscription.live:
                subscription.late_budget = budget
                self._schedule(now + self._late, self._remove_late, subscription)
            else:
                self._traffic.remove(subscription, now)
        for _ in range(budget[0] if live else 0):
            chosen = live[self._rng.randrange(len(live))]
            self._schedule(now + self._rng.randrange(self._late + 1), self._late_frame, chosen)

    def _late_frame(self, at: int, subscription: Subscription) -> None:
        if not subscription.conn.over and subscription.late_budget and subscription.late_budget[0]:
            self._traffic.force(subscription, at)

    def _remove_late(self, at: int, subscription: Subscription) -> None:
        self._traffic.remove(subscription, at)

    def _burst(self, at: int, conn: Connection, part: list[Wanted]) -> None:
        """Snapshots of a request, one a stream; REALTIME follows. A stream dropped meanwhile sends none."""
        if conn.over:
            return
        for wanted in part:
            if wanted not in conn.streams:
                continue
            payload = self._traffic.snapshot(wanted, conn.format, at)
            if payload is None:
                continue
            self._send(conn, Output(conn.id, "frame", BINARY, payload, 0, at), wanted)
            subscription = conn.subscriptions.get(wanted)
            if subscription is not None:
                subscription.live = True
