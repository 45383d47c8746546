"""The stage of a scenario: an exchange that keeps account, and a network in virtual time with a manager on it."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable
from functools import cache
from typing import Any

from subcore.scenarios.account import Account, Key
from subcore.sim import Exchange
from subcore.sim.markets import Market, generate_markets
from subcore.testing.frames import read_upbit_frame
from subcore.testing.world import World

__all__ = ["Stage", "WatchedExchange", "market_values"]

GAPS = 64
QUICK = re.compile(rb'\{"type":"([a-z0-9.]+)","code":"([A-Z0-9-]+)",')  # as most frames begin


@cache
def _markets() -> dict[str, Market]:
    return {market.code: market for market in generate_markets()}


def market_values(codes: Iterable[str]) -> list[Market]:
    """The exchange's markets of these codes."""
    return [_markets()[code] for code in codes]


class WatchedExchange(Exchange):
    """Tells an account of every message that arrives, and of all that changes on the wire."""

    account: Account | None = None

    def carries(self) -> dict[int, set[Key]]:
        """What each connection carries now."""
        return {
            conn.id: {(wanted.type, wanted.code) for wanted in conn.subscriptions}
            for conn in self.connections.values()
        }

    def _receive_message(self, conn: Any, payload: bytes, now: int) -> None:
        before = self.stats.violations
        super()._receive_message(conn, payload, now)
        if self.account is not None:
            self.account.message(now, within_limits=self.stats.violations == before)

    def _request(self, at: int, conn: Any, payload: bytes, arrived: int) -> None:
        super()._request(at, conn, payload, arrived)
        self._changed(at)

    def _leave(self, conn: Any, now: int) -> None:
        super()._leave(conn, now)
        self._changed(now)

    def _changed(self, now: int) -> None:
        if self.account is not None:
            self.account.carries(self.carries(), now)


class Stage(World):
    """A world that knows what reached the client's side of the network, and when."""

    exchange: WatchedExchange

    def __init__(self, seed: int, markets: Iterable[str], rate: float = 0.05, **options: Any) -> None:
        super().__init__(seed, make=WatchedExchange, markets=market_values(markets), rate=rate, **options)
        self.heard: dict[Key, tuple[int, int]] = {}
        """When a data frame of a stream last arrived, and on which connection."""
        self.back: dict[Key, int] = {}
        """When the first one arrived, since this was cleared."""
        self.gaps: defaultdict[Key, deque[int]] = defaultdict(lambda: deque(maxlen=GAPS))
        """Between the latest frames of a stream."""
        self.holders: defaultdict[Key, set[str]] = defaultdict(set)

    def arrives(self, end: Any, output: Any) -> None:
        """Note whose data it is, by the bytes alone."""
        if output.kind == "frame":
            quick = QUICK.match(output.payload)
            if quick is not None:
                self._hear((quick[1].decode(), quick[2].decode()), output.conn)
            else:
                for key in read_upbit_frame(output.payload):
                    self._hear((key.channel, key.symbol), output.conn)
        super().arrives(end, output)

    def _hear(self, key: Key, conn: int) -> None:
        now = self.ns()
        if key in self.heard:
            self.gaps[key].append(now - self.heard[key][0])
        self.heard[key] = now, conn
        self.back.setdefault(key, now)

    def wanted(self) -> set[Key]:
        """Streams that somebody holds."""
        return {key for key, holders in self.holders.items() if holders}

    def open_account(self) -> Account:
        """Keep account from now on."""
        account = Account(self.ns(), self.wanted(), self.exchange.carries())
        self.exchange.account = account
        return account

    def close_account(self) -> Account:
        """The account until now; no more is written to it."""
        account = self.exchange.account
        assert account is not None
        account.until(self.ns())
        self.exchange.account = None
        return account

    def note(self, changes: Iterable[tuple[str, str, str, bool]]) -> None:
        """One turn's changes: (who, channel, symbol, whether it comes). The account learns of the edges."""
        edges: dict[Key, bool] = {}
        for who, channel, symbol, comes in changes:
            holders = self.holders[channel, symbol]
            before = bool(holders)
            (holders.add if comes else holders.discard)(who)
            if bool(holders) != before:
                edges[channel, symbol] = comes
        account = self.exchange.account
        if account is not None and edges:
            account.turn(
                [(key, comes) for key, comes in edges.items() if comes != (key in account.wanted)], self.ns()
            )
