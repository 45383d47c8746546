"""Every kind of loss, and an exchange that has it in store for one client alone and keeps account of what it sent.

A kind is what ends the connections now, what their client's next connects meet and for how long, whether its requests
that name a market are refused meanwhile, and what its new connections suffer. Left out is what takes no link: a single
stream that freezes (`scripts/simulate_week.py`) and a market that is delisted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from subcore.sim.connection import Connection, Output, Subscription
from subcore.sim.exchange import Exchange, Refusal
from subcore.sim.faults import Fault
from subcore.sim.requests import Wanted

__all__ = ["KINDS", "Kind", "TroubledExchange"]

SECOND = 1_000_000_000
DRIBBLES = 40  # frames in dribbles at most: each piece of one is a turn of the loop
SOON = 0.015  # seconds after its connect, that a connection is lost again
RESET, FIN = Fault("drop_rst"), Fault("drop_fin")


@dataclass(frozen=True)
class Kind:
    """One kind of loss; times in real seconds."""

    name: str
    group: str
    now: tuple[Fault, ...]  # on the connections that are lost
    door: Fault | None = None  # what connects meet
    request: str = ""  # name of the error that a request with one market gets
    then: tuple[Fault, ...] = ()  # on the connections that follow
    seconds: float = 0.0  # how long the door, the errors and what follows last, from the next connect on
    needs_habit: bool = False  # what is silent is known by what the link was before


def _closes() -> tuple[Kind, ...]:
    codes = (1000, 1001, 1008, 1011, 1012, 1013)
    return tuple(Kind(f"close frame {code}", "end", (Fault("close", code=code),)) for code in codes)


def _doors() -> tuple[Kind, ...]:
    return (
        Kind("then connects refused", "end, then trouble", (RESET,), door=Fault("refuse"), seconds=0.3),
        Kind("then cut inside the 101", "end, then trouble", (FIN,), door=Fault("cut"), seconds=0.3),
        Kind("then no reply to connects", "end, then trouble", (RESET,), door=Fault("hang"), seconds=0.2),
        *(
            Kind(
                f"then HTTP {code}",
                "end, then trouble",
                (RESET,),
                door=Fault("status", code=code),
                seconds=0.2,
            )
            for code in (429, 418, 503)
        ),
    )


def _follows() -> tuple[Kind, ...]:
    return (
        Kind(
            "then half of the frames lost",
            "end, then trouble",
            (RESET,),
            then=(Fault("lose", probability=0.5),),
            seconds=0.4,
        ),
        Kind(
            "then garbage between",
            "end, then trouble",
            (FIN,),
            then=(Fault("garbage", count=60),),
            seconds=1.0,
        ),
        Kind("then in fragments", "end, then trouble", (RESET,), then=(Fault("fragments"),), seconds=0.5),
        Kind(
            "then in dribbles at first",
            "end, then trouble",
            (FIN,),
            then=(Fault("trickle", lag=0.0002),),
            seconds=0.2,
        ),
        Kind("then late by 2 s", "end, then trouble", (RESET,), then=(Fault("lag", lag=0.1),), seconds=0.5),
        Kind(
            "then overtaking by 2 s",
            "end, then trouble",
            (FIN,),
            then=(Fault("reorder", lag=0.1),),
            seconds=0.5,
        ),
        Kind("then lost again and again", "end, then trouble", (RESET,), then=(RESET,), seconds=0.2),
        Kind("then a market refused", "end, then trouble", (RESET,), request="INVALID_PARAM", seconds=2.5),
        Kind(
            "then refused as too many", "end, then trouble", (FIN,), request="TOO_MANY_REQUEST", seconds=0.3
        ),
    )


GONE = 25.0  # seconds, in which silence must have been noticed long ago

KINDS: tuple[Kind, ...] = (
    Kind("end without a close frame", "end", (FIN,)),
    Kind("reset", "end", (RESET,)),
    *_closes(),
    Kind("half-open", "silence", (Fault("half_open", seconds=GONE),)),
    Kind(
        "nothing comes, not even pongs",
        "silence",
        (Fault("mute_pong", seconds=GONE), Fault("lose", probability=1.0, seconds=GONE)),
    ),
    Kind(
        "nothing comes but pongs",
        "silence",
        (Fault("lose", probability=1.0, seconds=GONE),),
        needs_habit=True,
    ),
    *_doors(),
    *_follows(),
)


@dataclass
class _Trouble:
    kind: Kind
    market: str
    until: int | None  # None = its client has not come again yet
    over: asyncio.Event


class TroubledExchange(Exchange):
    """Troubles are kept by the address of the client."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._troubles: dict[str, _Trouble] = {}
        self._sent: dict[tuple[int, str, str], bytes] = {}
        self._dribbled = 0
        super().__init__(*arguments, **options)

    # -- what clients suffer --

    def trouble(self, kind: Kind, address: str, conns: set[int], market: str, now: int) -> None:
        """A loss of this kind, on these connections of that client."""
        now = self._run(now)
        self._troubles[address] = _Trouble(kind, market, None, asyncio.Event())
        for conn in conns:
            for fault in kind.now:
                self._inject(now, replace(fault, conn=conn))

    def _end_trouble(self, at: int, trouble: _Trouble) -> None:
        trouble.over.set()

    async def over(self, address: str) -> None:
        """Wait until nothing is in store for that client any more."""
        await self._troubles[address].over.wait()

    def _trouble_of(self, address: str, now: int) -> _Trouble | None:
        trouble = self._troubles.get(address)
        if trouble is None:
            return None
        if trouble.until is None:
            trouble.until = now + round(trouble.kind.seconds * SECOND)
            self._schedule(trouble.until, self._end_trouble, trouble)
        return trouble if now < trouble.until else None

    def connect(
        self,
        now: int,
        ip: str = "127.0.0.1",
        headers: Mapping[str, str] | None = None,
        path: str = "/websocket/v1",
    ) -> int | Refusal:
        trouble = self._trouble_of(ip, now)
        if trouble is None or trouble.kind.door is None:
            outcome = super().connect(now, ip, headers, path)
        else:
            self.conditions.add(trouble.kind.door, now)
            outcome = super().connect(now, ip, headers, path)
            self.conditions.clear(trouble.kind.door.kind)
        if trouble is not None and isinstance(outcome, int):
            left = ((trouble.until or now) - now) / SECOND
            for fault in trouble.kind.then:
                if fault.lasts:
                    self._inject(now, replace(fault, conn=outcome, seconds=left))
                else:
                    self._schedule(now + round(SOON * SECOND), self._inject, replace(fault, conn=outcome))
        return outcome

    def _request(self, at: int, conn: Connection, payload: bytes, arrived: int) -> None:
        trouble = self._troubles.get(conn.ip)
        if trouble is None or not trouble.kind.request or not at < (trouble.until or 0):
            super()._request(at, conn, payload, arrived)
            return
        self.conditions.add(Fault("error", symbol=trouble.market, name=trouble.kind.request), at)
        super()._request(at, conn, payload, arrived)
        self.conditions.clear("error")

    # -- its account --

    def of(self, address: str) -> list[Connection]:
        """The connections of that client."""
        return [conn for conn in self.connections.values() if conn.ip == address]

    def carried(self, address: str) -> set[tuple[str, str]]:
        """(type, market) of everything that flows to that client, its snapshot sent."""
        return {
            (wanted.type, wanted.code)
            for conn in self.of(address)
            for wanted, subscription in conn.subscriptions.items()
            if subscription.live
        }

    def fewest_markets(self, conns: set[int]) -> int:
        """Of these connections, markets on the one that carries the fewest."""
        carried = [self.connections[conn].subscriptions for conn in conns]
        return min(len({wanted.code for wanted in subscriptions}) for subscriptions in carried)

    def carried_beside(self, address: str, conns: set[int]) -> bool:
        """Whether that client has all that these connections carry on others too."""
        carried = [(conn.id in conns, set(conn.subscriptions)) for conn in self.of(address)]
        rest = set().union(*(some for theirs, some in carried if not theirs))
        return all(some <= rest for theirs, some in carried if theirs)

    def newest(self, address: str) -> dict[tuple[str, str], int]:
        """Of each stream the newest that left for that client on a connection it has: trade id, else time in ms."""
        found: dict[tuple[str, str], int] = {}
        mine = {conn.id for conn in self.of(address)}
        for (conn, type_, code), payload in self._sent.items():
            if conn in mine:
                said = json.loads(payload)
                names = ("sid", "sequential_id") if type_ == "trade" else ("tms", "timestamp")
                mark = next(said[name] for name in names if name in said)  # in either format
                found[type_, code] = max(found.get((type_, code), 0), mark)
        return found

    def _leave(self, conn: Connection, now: int) -> None:
        for wanted in conn.subscriptions:
            self._sent.pop((conn.id, wanted.type, wanted.code), None)
        super()._leave(conn, now)

    def _send_stream(self, subscription: Subscription, payload: bytes, at: int) -> None:
        wanted, conn = subscription.wanted, subscription.conn
        if not self.conditions.on_links:  # else `_send` is asked
            self._sent[conn.id, wanted.type, wanted.code] = payload
        super()._send_stream(subscription, payload, at)

    def _send(self, conn: Connection, output: Output, wanted: Any) -> None:
        swallowed = self.fault_counts["lose"] + self.fault_counts["half_open"]
        super()._send(conn, output, wanted)
        if self.fault_counts["trickle"] >= self._dribbled + DRIBBLES:
            self._dribbled = self.fault_counts["trickle"]
            self.conditions.clear("trickle")
        now_swallowed = self.fault_counts["lose"] + self.fault_counts["half_open"]
        if isinstance(wanted, Wanted) and now_swallowed == swallowed:
            self._sent[conn.id, wanted.type, wanted.code] = output.payload
