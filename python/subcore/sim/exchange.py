"""The embedded exchange: Upbit in one object, with no socket, no clock and no task of its own.

It knows nothing of the rest of the package: its tables are its own reading of the venue's documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .accounts import Accounts
from .connection import BINARY, CLOSE, PING, PONG, Connection, Output, Subscription
from .cycle import CyclingTraffic
from .desk import Desk
from .door import Door, Refusal
from .durations import SECOND, Durations
from .encode import PUBLIC_TYPES, error_frame, status_frame
from .faults import Fault, Faults
from .limits import ArrivalLog, Violation
from .machine import Machine
from .markets import Market, generate_markets, markets_for
from .private_frames import PRIVATE_TYPES
from .private_traffic import PrivateTraffic
from .requests import Refused, parse_request
from .rest import (
    MARKET_PATH,
    ORDERBOOK_PATH,
    TICKER_PATH,
    asked_markets,
    market_list,
    orderbooks,
    tickers,
)
from .rules import Rules
from .traffic import Traffic

__all__ = ["Exchange", "Refusal"]

_PUBLIC, _PRIVATE = "/websocket/v1", "/websocket/v1/private"
_PATHS: dict[str, tuple[str, ...]] = {_PUBLIC: PUBLIC_TYPES, _PRIVATE: PRIVATE_TYPES}
"""Paths that accept a WebSocket, and the types each serves."""
_HANDSHAKE_HEADERS = {"remaining-req": "group=websocket; min=300; sec=3", "limit-by-ip": "Yes"}
"""As captured; the numbers do not match the documented limits."""


_new_output = tuple.__new__  # the named tuple's own costs twice as much, for every frame


class Exchange(Machine[Connection]):
    """The venue. Not thread-safe; every call takes the present time.

    `markets` is None (855 generated ones), codes, or `Market` values. `rate` scales the generated traffic: at
    1.0 all
    books together make about 800 frames a second, at 125 about 100,000. `faults` are (seconds after the first
    use,
    `Fault`); one without a time is in force from the start. `variety`: 0 computes every frame anew; n computes n a
    stream and repeats them with fresh times and ids, which is several times cheaper; None decides by the rate.
    `keys`: access keys and their secrets, for the private route; None = the one documented pair. `order_rate`: steps of
    an account's orders a second, at rate 1.
    """

    paths = tuple(_PATHS)
    rest_paths = (MARKET_PATH, TICKER_PATH, ORDERBOOK_PATH)
    handshake_headers = _HANDSHAKE_HEADERS

    def __init__(
        self,
        seed: int = 1,
        durations: Durations | None = None,
        faults: Faults | Iterable[Fault | tuple[float, Fault]] = (),
        rate: float = 1.0,
        markets: Iterable[str] | Iterable[Market] | None = None,
        rules: Rules | None = None,
        variety: int | None = None,
        keys: Mapping[str, str] | None = None,
        order_rate: float = 1.0,
    ) -> None:
        if rate <= 0:
            raise ValueError(f"rate must be positive, not {rate}")
        super().__init__(seed, faults)
        self.rate = rate
        self.durations = durations or Durations()
        self.rules = rules or Rules()
        self.max_message = self.rules.max_message
        self._sent_touches = self.rules.sent_resets_idle
        self._door = Door(self.rules, self.durations, self.conditions, self._record)
        chosen = _markets(markets, seed)
        self.markets: dict[str, Market] = {market.code: market for market in chosen}
        d = self.durations
        self._traffic = _traffic(variety, (chosen, seed, rate, d, self._schedule, self._send_stream))
        self._idle, self._error_to_close, self._up_every = (
            d.ns("idle"),
            d.ns("error_to_close"),
            d.ns("up_every"),
        )
        self._request_delay = d.ns("request_delay")
        self.accounts = Accounts(keys)
        self.orders = PrivateTraffic(self.markets, seed, rate * order_rate, self._schedule, self._send_stream)
        shared = (self.conditions, self.rules, d, self._rng, self._schedule, self._send)
        self._desks = {_PUBLIC: Desk(self._traffic, *shared), _PRIVATE: Desk(self.orders, *shared)}

    # -- connections -------------------------------------------------------------------------------

    def connect(
        self,
        now: int,
        ip: str = "127.0.0.1",
        headers: Mapping[str, str] | None = None,
        path: str = "/websocket/v1",
    ) -> int | Refusal:
        """A client asks for a WebSocket: the connection's id, or a `Refusal`. Counts against the connect
        limit."""
        now = self._run(now)
        names = {name.lower() for name in headers or ()}
        account = self.accounts.enter(headers or {}) if path == _PRIVATE else ""
        refusal = self._door.connect(
            now, ip, known_path=path in _PATHS, origin="origin" in names, account=account
        )
        if refusal is not None:
            self.stats.refused += 1
            return refusal
        rules, d = self.rules, self.durations
        log = ArrivalLog(
            (
                ("message-short", rules.messages_short, d.ns("message_window")),
                ("message-long", rules.messages_long, d.ns("message_window_long")),
            )
        )
        conn = Connection(self._next_id, ip, path, now, _PATHS[path], log)
        conn.account = account or ""
        self._next_id += 1
        self.connections[conn.id] = conn
        self.stats.connects += 1
        self._schedule(now + self._idle, self._check_idle, conn)
        return conn.id

    def get(
        self, now: int, target: str, ip: str = "127.0.0.1", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """A REST request: (status, headers, body). Its limits are counted apart from those of WebSocket."""
        now = self._run(now)
        path, _, query = target.partition("?")
        if path not in self.rest_paths:
            return 404, {}, b'{"error":{"name":404,"message":"no such page"}}'
        origin = any(name.lower() == "origin" for name in headers or ())
        refusal = self._door.rest(now, ip, origin=origin)
        if refusal is not None:
            return refusal.status, refusal.headers, b'{"error":{"name":"too_many_requests"}}'
        status, body = self._page(path, query, now)
        return status, {"Content-Type": "application/json;charset=UTF-8"}, body

    def _page(self, path: str, query: str, now: int) -> tuple[int, bytes]:
        if path == MARKET_PATH:
            return 200, market_list(self.markets.values(), details="is_details=true" in query.split("&"))
        codes = asked_markets(query)
        if not codes:
            return 400, b'{"error":{"name":400,"message":"Missing request parameter error."}}'
        if not all(code in self.markets for code in codes):  # one bad pair fails the whole call
            return 404, b'{"error":{"name":404,"message":"Code not found"}}'
        newest = [(code, *self._traffic.newest(code, now)) for code in codes]
        if path == TICKER_PATH:
            return 200, tickers((code, trade, ticker) for code, trade, ticker, _ in newest)
        return 200, orderbooks((code, book) for code, _, _, book in newest)

    def _leave(self, conn: Connection, now: int) -> None:
        self._desks[conn.path].clear(conn, now)

    def _delist(self, code: str) -> None:
        self._traffic.delist(code)

    def _check_idle(self, at: int, conn: Connection) -> None:
        if conn.id not in self.connections or self.conditions.holds("half_open", at, conn):
            if conn.id in self.connections:
                self._schedule(at + self._idle, self._check_idle, conn)
            return
        due = conn.touched_at + self._idle
        if due > at:
            self._schedule(due, self._check_idle, conn)
            return
        self.stats.idle_drops += 1
        self._end(conn, "drop", 0, at)

    # -- what a client sends -----------------------------------------------------------------------

    def _arrive(self, conn: Connection, opcode: int, payload: bytes, now: int) -> None:
        if opcode != PING or self.rules.ping_resets_idle:
            conn.touched_at = now
        if opcode == PING:
            if not self.conditions.first("mute_pong", now, conn):
                self._send(conn, Output(conn.id, "pong", PONG, payload, 0, now), None)
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1000
            self._end(conn, "close", code, now)
        elif opcode != PONG:
            self._receive_message(conn, payload, now)

    def _receive_message(self, conn: Connection, payload: bytes, now: int) -> None:
        conn.messages += 1
        self.stats.messages += 1
        if len(payload) > self.rules.max_message:
            self._end(conn, "close", 1009, now)
            return
        is_ping = payload == b"PING"
        if (not is_ping or self.rules.text_ping_counts) and self._over_limit(conn, now):
            return
        if conn.closing:
            return
        if is_ping:
            self._text_ping(conn, now)
        else:
            self._schedule(now + self._request_delay, self._request, conn, payload, now)

    def _over_limit(self, conn: Connection, now: int) -> bool:
        """Judge a message by arrival; True = it has been dealt with."""
        broken = conn.log.arrive(now)
        if not broken:
            return False
        self._record(tuple(Violation(now, conn.id, conn.ip, *each) for each in broken))
        if self.rules.over_limit == "ignore":
            return False
        if not conn.closing:
            if self.rules.over_limit == "error":
                self._refuse(conn, Refused("TOO_MANY_REQUEST", "요청이 너무 많습니다."), now)
            else:
                self._end(conn, "close", 1008, now)
        return True

    def _text_ping(self, conn: Connection, now: int) -> None:
        if conn.subscriptions:
            if self.rules.answers_ping_when_subscribed:
                self._send_control(conn, status_frame(), now)
        elif not conn.up_running:
            conn.up_running = True
            first = self._rng.uniform(self.durations.up_first_min, self.durations.up_first_max)
            self._schedule(now + round(first * SECOND), self._status, conn)

    def _status(self, at: int, conn: Connection) -> None:
        if conn.id in self.connections:
            self._send_control(conn, status_frame(), at)
            self._schedule(at + self._up_every, self._status, conn)

    def _request(self, at: int, conn: Connection, payload: bytes, arrived: int) -> None:
        if conn.id not in self.connections or conn.closing:
            return
        try:
            request = parse_request(payload, conn.types)
            self._desks[conn.path].check(request, at)
        except Refused as refused:
            self._refuse(conn, refused, at)
            return
        self.stats.requests += 1
        self._desks[conn.path].serve(conn, request, at, arrived)

    def _refuse(self, conn: Connection, refused: Refused, now: int) -> None:
        """An error frame, and 0.15 s later the close that ends every stream of the connection."""
        self.stats.errors += 1
        conn.closing = True
        self._send_control(conn, error_frame(refused.name, refused.message), now)
        self._schedule(now + self._error_to_close, self._close_after_error, conn)

    def _close_after_error(self, at: int, conn: Connection) -> None:
        self._end(conn, "close", 1000, at)

    # -- out ---------------------------------------------------------------------------------------

    def _send_stream(self, subscription: Subscription, payload: bytes, at: int) -> None:
        conn = subscription.conn
        output = _new_output(Output, (conn.id, "frame", BINARY, payload, 0, at, True, 0))
        if self.conditions.on_links or at < conn.release_at:
            self._send(conn, output, subscription.wanted)
        else:
            self._put(at, conn, output)

    def _send_control(self, conn: Connection, payload: bytes, at: int) -> None:
        self._send(conn, Output(conn.id, "frame", BINARY, payload, 0, at), None)


def _traffic(variety: int | None, arguments: tuple[Any, ...]) -> Traffic:
    """Frames are computed anew as long as a core can keep up: up to ten times the real venue."""
    if variety is None:
        variety = 32 if arguments[2] > 10 else 0
    return CyclingTraffic(variety, *arguments) if variety else Traffic(*arguments)


def _markets(markets: Iterable[str] | Iterable[Market] | None, seed: int) -> tuple[Market, ...]:
    if markets is None:
        return generate_markets(seed)
    given: list[str | Market] = list(markets)
    named = {m.code: m for m in markets_for([m for m in given if isinstance(m, str)], seed)}
    return tuple(named[m] if isinstance(m, str) else m for m in given)
