"""When links are opened, kept, judged dead and opened again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from subcore.engine.actions import Connect, Disconnect, Ping, Send
from subcore.engine.clock import SECOND, nanoseconds
from subcore.engine.context import NO_STREAMS, Context
from subcore.engine.events import LinkDown
from subcore.engine.legs import NO_LINK, PROVEN
from subcore.engine.link import Life, Link, Phase, Role
from subcore.engine.ports import WireSet
from subcore.types import DataState, Evidence, Int32Array, StatusKind, StreamState
from subcore.venue import Counted, KeepaliveRole, Model

__all__ = ["Lifecycle"]

IDLE: Final = Phase.IDLE
SYMBOLS_AT_LEAST: Final = 3  # on a link that is judged by its silence: a market may be halted for an hour
PONGS_MOST: Final = 8  # more are lost in any window
# A ping that comes so soon after a stall is answered within the same second.
PINGED_LATE_NS: Final = 2 * SECOND
ACCOUNT_KINDS: Final = ("order", "asset")  # of events that tell what an account's owner does
DENIED: Final = (401, 403)  # HTTP statuses that mean: not with this login


class Lifecycle:
    """Opens, keeps and judges links."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.links: dict[int, Link] = {}
        self._turn_of = -1  # the retired link that was looked at last
        self.routes: dict[str, None] = {}  # that there are links of
        markets = {c.route for c in ctx.venue.channels if c.kind not in ACCOUNT_KINDS}
        bounds = (c.amount for c in ctx.venue.capacities if c.resource == "connections" and not c.soft)
        self.allowed = min(bounds, default=None)  # connections at a time, as far as the venue says
        # A silence may have begun a tick before it is seen, and the next look is a tick away.
        self.look_ahead = 2 * ctx.settings.tick
        self._accounts = {route.name for route in ctx.venue.routes} - markets
        self._snapshots = np.array([channel.snapshot for channel in ctx.venue.channels])
        self._restates = ctx.venue.model is Model.REPLACE and ctx.venue.resnapshots

    def read_clock(self, now: int) -> None:
        """The loop runs. After a stall the sockets answer all pings that waited together, and the venue counts that:
        limits leave room for one, and the others are spent here. What came before a frame that was read is answered."""
        self._ctx.clock.read(now)
        if stalled := self._ctx.clock.stalled:
            for link in self.open_links():
                unheard = now - max(link.life.last_receive, link.up_since)
                self._spend_pongs(link, min(stalled, unheard), now)

    def _spend_pongs(self, link: Link, unheard: int, now: int) -> None:
        every = self._ctx.venue.keepalive.pinged_every
        if every is not None:
            pongs = (unheard + PINGED_LATE_NS) // nanoseconds(every)
            link.pacer.note(Counted.PONG, now, min(pongs, PONGS_MOST))

    def may_open(self, link: Link | None = None) -> bool:
        """Whether the venue allows `link` a connection, or one more beside those that carry something or shall."""
        if self.allowed is None:
            return True
        used = [other for other in self.links.values() if other.phase is not IDLE or other.wire.len_target]
        return len(used) < self.allowed or link in used

    def open_links(self) -> Iterator[Link]:
        """Those that are up."""
        return (link for link in self.links.values() if link.is_up)

    def wires(self) -> list[WireSet]:
        """What each link shall carry and carries, by its number: they are numbered from 0 on."""
        return [link.wire for link in self.links.values()]

    def carriers(self, streams: Int32Array) -> list[tuple[Link, Int32Array]]:
        """Every link on which some of these have a leg, with those: a stream comes once for each of its legs."""
        return [(self.links[ident], part) for ident, part in self._ctx.streams.legs.by_link(streams)]

    def homes(self, streams: Int32Array) -> list[tuple[Link, Int32Array]]:
        """The home links of these, with those that live there."""
        return [(self.links[ident], part) for ident, part in self._ctx.streams.legs.by_link(streams, True)]

    def twice(self, streams: Int32Array) -> npt.NDArray[np.bool_]:
        """Which of these have a second carrier. One that has left its wire, so that its leg is kept for late frames
        alone, is none: another may take its place."""
        legs = self._ctx.streams.legs
        found: npt.NDArray[np.bool_] = legs.has_other(streams)
        second = 2 * streams.astype(np.int64) + 1
        left = found & (legs.width[second] < 0) & (legs.width[second - 1] >= 0)
        if left.any():
            for ident in set(legs.link[second[left]].tolist()):
                link, here = self.links[ident], left & (legs.link[second] == ident)
                kept = link.wire.aims_at(streams[here])
                if link.trial is not None:
                    kept |= link.trial.holds(streams[here])
                found[here] = kept
        return found

    def untargeted(self, streams: Int32Array) -> Int32Array:
        """Those of these that no link is to carry."""
        for carrier, part in self.carriers(streams):
            streams = np.setdiff1d(streams, part[carrier.wire.aims_at(part)]).astype(np.int32)
        return streams

    def unclaimed(self, streams: Int32Array) -> Int32Array:
        """Those of these that no link is to carry, nor has on trial."""
        streams = self.untargeted(streams)
        for link in self.links.values():
            if link.trial is not None:
                mine, _ = self._ctx.streams.legs.on(link.id, streams)
                streams = np.setdiff1d(streams, mine[link.trial.holds(mine)]).astype(np.int32)
        return streams

    def held_elsewhere(
        self, link: Link, streams: Int32Array
    ) -> Iterator[tuple[Link, Int32Array, Int32Array]]:
        """The other links that carry some of these and shall: (link, those it was asked for, those it holds)."""
        legs = self._ctx.streams.legs
        streams = legs.doubled(streams)
        if not len(streams):
            return
        others = legs.other_link(link.id, streams)
        for ident in sorted(set(others.tolist()) - {NO_LINK}):
            part = streams[others == ident]
            part = part[self.links[ident].wire.aims_at(part)]
            rows = legs.rows(ident, part)
            carried, proven = legs.width[rows] >= 0, self.has_shown(part, legs.evidence[rows])
            yield self.links[ident], part[carried & ~proven], part[carried & proven]

    def has_shown(self, streams: Int32Array, evidence: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Which of these a link has shown to bring. What it only lists shows nothing of one that has a newest event
        to be sent at once: a connection may answer, and bring no data."""
        shown: npt.NDArray[np.bool_] = (evidence & np.uint8(Evidence.DATA)) != 0
        if not shown.all():
            due = self._snapshots[self._ctx.table.columns_to_write(streams).channels]
            due &= self._ctx.streams.data[streams] != DataState.NONE
            shown |= ~due & ((evidence & PROVEN) != 0)
        return shown

    def in_turn(self, now: int) -> set[int]:
        """Which retired links are looked at now: as many as carry what a tick may look at, each in its turn."""
        turn: set[int] = set()
        retired = [
            link
            for link in self.links.values()
            if link.role is Role.RETIRED and link.wire.len_target and now >= link.doubled_from
        ]
        left, last = self._ctx.settings.looks, self._turn_of
        for link in sorted(retired, key=lambda link: (link.id <= last, link.id)):
            if left <= 0:
                break
            left -= link.wire.len_target
            turn.add(link.id)
            self._turn_of = link.id
        return turn

    def some_of(self, link: Link, streams: Int32Array) -> Int32Array:
        """As many of these as a tick may look at, each in its turn: where there is one link for all, all of them leave
        it, and their first data may have come at once."""
        most = self._ctx.settings.looks
        if len(streams) <= most:
            return streams
        first = link.looked_from % len(streams)
        link.looked_from = first + most
        return streams[first : first + most]

    def want(self, link: Link, now: int) -> None:
        """There is something to carry: open the link as soon as may be."""
        if link.phase is IDLE:
            link.phase, link.connect_at = Phase.BACKOFF, max(now, link.connect_at)

    def service(self, link: Link, now: int) -> int | None:
        """Do what is due on a link that is not up; when to look again."""
        if link.phase is Phase.BACKOFF:
            if not link.wire.len_target:
                link.phase = Phase.IDLE
                return None
            if now >= link.connect_at:
                self._connect(link, now)
        if link.phase is Phase.BACKOFF:
            return link.connect_at
        return link.connect_by if link.phase is Phase.CONNECTING else None

    def _connect(self, link: Link, now: int) -> None:
        open_ones = sum(other.phase in (Phase.CONNECTING, Phase.UP) for other in self.links.values())
        if self.allowed is not None and open_ones >= self.allowed:
            # One of them carries nothing any more, and is closed.
            link.connect_at = now + self._ctx.settings.tick
            return
        if not link.pacer.try_spend(Counted.CONNECT, now):
            link.connect_at = link.pacer.next_allowed(Counted.CONNECT, now)
            return
        plan = self._ctx.venue.public_plan(link.route)  # a login is added where nothing is kept of it
        link.phase, link.connect_at = Phase.CONNECTING, now
        link.generation += 1
        settings = self._ctx.settings
        link.connect_by = now + settings.connect_timeout + settings.login_timeout * bool(link.route.grant)
        self._ctx.stats.connects += 1
        self._ctx.out.append(Connect(link.id, link.generation, link.route.name, plan.url, plan.headers))

    def up(self, link: Link, now: int, rtt_ns: int) -> None:
        """The handshake succeeded. The watchdog is armed here, before the first message."""
        link.phase = Phase.UP
        link.up_since, link.rtt_ns = now, rtt_ns
        link.no_token, link.last_request = False, None
        link.first_request = link.requests + 1
        link.pacer.renew()
        link.widen()
        # The venue may have had it open, and pinged, while the loop was stuck.
        self._spend_pongs(link, now - link.connect_at, now)
        runnable = self._ctx.clock.runnable
        link.life = Life(idle_since=runnable, counted_at=runnable, spoke_at=runnable)
        link.has_other_set()
        link.unanswered, link.refused_moves, link.kept = None, 0, 0
        self._ctx.info("link open", link=link.id, generation=link.generation, rtt_ns=rtt_ns)

    def down(self, link: Link, now: int, *, blamed: bool = False) -> None:
        """The connection is over: schedule the next one, if there is anything to carry.

        `blamed`: what killed it is known and is asked for no more, so that the next one need not wait longer.
        """
        settings = self._ctx.settings
        link.in_flight.clear()
        link.answered.clear()
        link.snapshots_due.clear()
        link.resized.clear()
        link.unproven = NO_STREAMS
        link.listing_sent = link.remove_by = link.linger_by = None
        link.list_first = link.ping_first = False
        most = min(
            settings.backoff_most_seconds, settings.backoff_first_seconds * 2.0 ** min(link.attempts, 32)
        )
        wait = max(self._ctx.rng.uniform(0.0, most), self._ctx.venue.life.connect_floor)
        if link.denied >= settings.denied_patience:  # keys that are wrong now are wrong in a second
            wait = max(wait, settings.denied_wait_seconds)
        link.attempts += not blamed
        link.connect_at = now + nanoseconds(wait)
        link.phase = Phase.BACKOFF if link.wire.len_target else Phase.IDLE

    def finish(self, link: Link, now: int, reason: str) -> None:
        """End a connection that nobody needs. Not a fault: the next one need not wait."""
        self._ctx.out.append(Disconnect(link.id, link.generation, reason))
        attempts = link.attempts
        self.down(link, now)
        link.attempts = attempts
        link.connect_at = now + nanoseconds(self._ctx.venue.life.connect_floor)

    def refused(self, link: Link, now: int, event: LinkDown) -> None:
        """A handshake failed. After HTTP 429 or 418 nobody in this process tries that host before the told
        time."""
        self._ctx.stats.refused_connects += 1
        settings = self._ctx.settings
        if event.http_status in DENIED and link.route.grant:
            self.denied(link, f"the venue refused the login (HTTP {event.http_status})")
        if event.no_token and not link.no_token:
            link.no_token = True
            if link.attempts:  # else it is told as any failed connect
                self._tell_at_home(link, f"no connection: {event.reason}")
        fallback = {429: settings.block_429, 418: settings.block_418}.get(event.http_status or 0)
        if fallback is None:
            return
        until = now + max(event.retry_after_ns or fallback, 0)
        host, seconds = self._ctx.venue.host, round((until - now) / SECOND, 1)
        self._ctx.registry.block(host, until)
        text = f"{host} answered HTTP {event.http_status}: no connection to it for {seconds} s"
        self._ctx.warn(text, host=host, status=event.http_status)

    def denied(self, link: Link, said: str) -> None:
        """A login was refused. Every stream of the link is told at the first time, and that it goes on at the last."""
        link.denied += 1
        target, settings = link.wire.target(), self._ctx.settings
        if link.denied == settings.denied_patience:
            each = settings.denied_wait_seconds
            said = (
                f"{said} {link.denied} times in a row: check the keys and their permissions; "
                f"tried again each {each:g} s at most"
            )
            self._ctx.notify(StatusKind.ERROR, target, said)
        elif link.denied == 1 and link.attempts:  # else it is told as any failed connect
            self._ctx.notify(StatusKind.WAITING, self.waiting(link), f"no connection: {said}")

    def _tell_at_home(self, link: Link, said: str) -> None:
        """What waits for this link is told. What waits for two of them is told once, by that where it lives."""
        for home, streams in self.homes(self.waiting(link)):
            if home is link:
                self._ctx.notify(StatusKind.WAITING, streams, said)

    def waiting(self, link: Link) -> Int32Array:
        """What waits for this link. What is to move there, or to be carried a second time, is open meanwhile."""
        return self._ctx.streams.in_state(link.wire.target(), StreamState.WAITING, StreamState.RECOVERING)

    def activity(self, link: Link, last_receive: int, frames: int) -> None:
        """The tick's report of what the link received."""
        life, runnable = link.life, self._ctx.clock.runnable
        if frames > life.frames or last_receive > life.last_receive:
            life.idle_since, life.pinged, link.ping_first = runnable, None, False
            new = frames - life.frames
            if new > 0:
                link.unanswered = None
            if life.frames and new > 0 and last_receive > life.last_receive:
                gap = min(last_receive - life.last_receive, runnable - life.spoke_at)  # a stall is no habit
                link.habit.learn(gap)
                if link.bound.gaps:
                    link.bound.learn(gap)
            life.spoke_at = runnable
        life.count(frames, runnable, self._ctx.venue.keepalive.busy_rate)
        life.last_receive = max(life.last_receive, last_receive)

    def pong(self, link: Link, rtt_ns: int) -> None:
        """The path works. It says nothing about the data, so only the ping clock starts anew."""
        if rtt_ns > 0:
            link.rtt_ns = rtt_ns
        if link.life.pinged is not None:
            link.life.pinged = None
            link.life.idle_since = self._ctx.clock.runnable

    def alive(self, link: Link) -> None:
        """An answer to a keepalive message came."""
        self.pong(link, 0)

    def tick(self, link: Link, now: int) -> str | None:
        """Ping a silent link; the reason to drop it, if it is dead."""
        settings, keep, life = self._ctx.settings, self._ctx.venue.keepalive, link.life
        if link.attempts and now - link.up_since >= settings.backoff_reset and self._has_shown(link):
            link.attempts = link.denied = 0
        if keep.role not in (KeepaliveRole.CLIENT_PINGS, KeepaliveRole.SERVER_PINGS):
            return None
        idle, answer = (keep.busy_idle, keep.busy_answer) if life.busy else (keep.idle, keep.answer)
        if (silent := self._silent_against_habit(link)) is not None:
            return silent
        runnable = self._ctx.clock.runnable
        if life.pinged is not None:
            # Limits may have kept the ping from going: the end is due all the same, but for a round trip.
            late = min(max(0, life.pinged - life.idle_since - nanoseconds(idle)), nanoseconds(answer) // 2)
            if runnable - life.pinged >= nanoseconds(answer) - late:
                return f"no frame and no answer to a ping for {(runnable - life.pinged) / SECOND:.2g} s"
        elif runnable - life.idle_since >= nanoseconds(idle):
            self.ping_now(link, now)
        return None

    def ping_now(self, link: Link, now: int) -> None:
        """The ping that is due, if it may go; else it goes before changes and restores, which could keep it long."""
        link.ping_first = not link.pacer.try_spend(Counted.PING, now, repair=link.ping_first)
        if not link.ping_first:
            link.life.pinged = self._ctx.clock.runnable
            self._ctx.stats.pings += 1
            self._ping(link)

    def _has_shown(self, link: Link) -> bool:
        """Whether it has shown that it serves: by data, or, where there may be none for days, by what it lists."""
        if link.life.frames:
            return True
        legs = self._ctx.streams.legs
        _, rows = legs.on(link.id, link.wire.wire())
        return bool(np.any(legs.evidence[rows] & PROVEN))

    def _silent_against_habit(self, link: Link) -> str | None:
        """Why the link is to be replaced although its pongs come: all of it is silent, for longer than ever."""
        if link.route.name in self._accounts:  # an account is silent when its owner does nothing
            return None
        runnable, least = self._ctx.clock.runnable, self._ctx.settings.silent_link
        silent = runnable - link.life.spoke_at + self.look_ahead
        if runnable < link.rests_until or silent < least:
            return None
        limit = link.former.limit(least) if link.life.frames else least  # what was never spoken has no habit
        by_snapshots = silent < link.silence_limit(least)
        if by_snapshots and (silent < limit or not self._is_unanswered(link)):
            return None
        spoke = self._spoke_once(link.wire.wire())
        if by_snapshots:
            spoke = spoke[self._snapshots[self._ctx.table.columns_to_write(spoke).channels]]
        if len(set(self._ctx.table.columns(spoke).symbols)) < SYMBOLS_AT_LEAST:
            return None
        return f"no frame for {(silent - self.look_ahead) / SECOND:.1f} s, while pings are answered"

    def _is_unanswered(self, link: Link) -> bool:
        """Its set was stated anew and nothing came since, not even the snapshots that this gives: so what was usual
        before still counts, although some of it was removed."""
        settings = self._ctx.settings
        never = settings.silent_link - self.look_ahead
        due = self._ctx.clock.before(settings.snapshot_due if link.life.frames else never)
        return self._restates and link.unanswered is not None and link.unanswered <= due

    def _spoke_once(self, streams: Int32Array) -> Int32Array:
        """Those that have a newest to be sent: others may have nothing to say, or were asked for just now."""
        some: Int32Array = streams[self._ctx.streams.data[streams] != DataState.NONE]
        return some

    def _ping(self, link: Link) -> None:
        keep = self._ctx.venue.keepalive
        if keep.payload is None:
            self._ctx.out.append(Ping(link.id, link.generation))
        else:
            self._ctx.out.append(Send(link.id, link.generation, keep.payload, keep.opcode))
