"""Binance spot's market streams in one object, with no socket, no clock and no task of its own.

It knows nothing of the rest of the package: its tables are its own reading of the venue's documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from subcore.sim.connection import CLOSE, PING, PONG, TEXT, Output
from subcore.sim.door import Door, Refusal
from subcore.sim.faults import Fault, Faults
from subcore.sim.limits import ArrivalLog, Violation
from subcore.sim.machine import Machine
from subcore.sim.markets import Market, generate_markets, markets_for

from . import frames
from .connection import BinanceConnection
from .requests import INVALID_REQUEST, TOO_MANY, Refused, Request, Stream, parse_request, parse_stream
from .rules import BinanceDurations, BinanceRules
from .traffic import BinanceTraffic, Listener

__all__ = ["BinanceExchange"]

_POLICY_VIOLATION = 1008
_GOING_AWAY = 1001
_QUOTES = ("USDT", "BTC")


class BinanceExchange(Machine[BinanceConnection]):
    """The venue. Not thread-safe; every call takes the present time.

    `markets` is None (some hundred generated ones) or symbols that end in USDT or BTC. `rate` scales the generated
    traffic. `faults` are (seconds after the first use, `Fault`); one without a time is in force from the start.
    """

    paths = ("/stream", "/ws")
    rest_paths = ("/api/v3/exchangeInfo",)

    def __init__(
        self,
        seed: int = 1,
        durations: BinanceDurations | None = None,
        faults: Faults | Iterable[Fault | tuple[float, Fault]] = (),
        rate: float = 1.0,
        markets: Iterable[str] | None = None,
        rules: BinanceRules | None = None,
    ) -> None:
        if rate <= 0:
            raise ValueError(f"rate must be positive, not {rate}")
        super().__init__(seed, faults)
        self.durations = d = durations or BinanceDurations()
        self.rules = rules or BinanceRules()
        self.max_message = self.rules.max_message
        self.markets: dict[str, Market] = _markets(markets, seed)
        self._door = Door(self.rules, d, self.conditions, self._record)
        self._traffic = BinanceTraffic(self.markets, seed, rate, d, self._schedule, self._send_stream)
        self._max_age, self._ping_every, self._pong_within = (
            d.ns("max_age"),
            d.ns("ping_every"),
            d.ns("pong_within"),
        )
        self._request_delay, self._late = d.ns("request_delay"), d.ns("late_frames")
        self._ack_spread = d.ns("ack_spread")

    # -- connections -------------------------------------------------------------------------------

    def connect(
        self,
        now: int,
        ip: str = "127.0.0.1",
        headers: Mapping[str, str] | None = None,
        path: str = "/stream",
    ) -> int | Refusal:
        """See Machine. A connection lives 24 hours and is pinged every 20 s."""
        now = self._run(now)
        refusal = self._door.connect(now, ip, known_path=path in self.paths, origin=False)
        if refusal is not None:
            self.stats.refused += 1
            return refusal
        log = ArrivalLog((("message", self.rules.messages, self.durations.ns("message_window")),))
        conn = BinanceConnection(self._next_id, ip, path, now, log)
        self._next_id += 1
        self.connections[conn.id] = conn
        self.stats.connects += 1
        self._schedule(now + self._max_age, self._grow_old, conn)
        self._schedule(now + self._ping_every, self._ping, conn)
        return conn.id

    def get(
        self, now: int, target: str, ip: str = "127.0.0.1", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """See Machine."""
        now = self._run(now)
        if target.partition("?")[0] not in self.rest_paths:
            return 404, {}, b"{}"
        refusal = self._door.rest(now, ip, origin=False)
        if refusal is not None:
            return refusal.status, refusal.headers, b'{"code":-1003,"msg":"Too many requests"}'
        body = frames.exchange_info(self.markets.items(), now // 1_000_000)
        return 200, {"Content-Type": "application/json;charset=UTF-8"}, body

    def _leave(self, conn: BinanceConnection, now: int) -> None:
        for listener in conn.streams.values():
            if listener is not None:
                self._traffic.remove(listener)
        conn.streams = {}

    def _delist(self, code: str) -> None:
        self._traffic.delist(code)

    def _grow_old(self, at: int, conn: BinanceConnection) -> None:
        self._end(conn, "close", _GOING_AWAY, at)

    def _ping(self, at: int, conn: BinanceConnection) -> None:
        if conn.id not in self.connections:
            return
        payload = str(at // 1_000_000).encode()
        conn.pings[payload] = at
        self._send(conn, Output(conn.id, "ping", PING, payload, 0, at), None)
        self._schedule(at + self._ping_every, self._ping, conn)
        self._schedule(at + self._pong_within, self._miss_pong, conn, payload)

    def _miss_pong(self, at: int, conn: BinanceConnection, payload: bytes) -> None:
        if payload in conn.pings and conn.id in self.connections:
            self.stats.idle_drops += 1
            self._end(conn, "drop", 0, at)

    # -- what a client sends -----------------------------------------------------------------------

    def _arrive(self, conn: BinanceConnection, opcode: int, payload: bytes, now: int) -> None:
        conn.touched_at = now
        if opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1000
            self._end(conn, "close", code, now)
            return
        conn.messages += 1
        self.stats.messages += 1
        if self._is_over_limit(conn, now):
            return
        if opcode == PONG:
            if payload in conn.pings:  # one that nobody asked for does not keep the connection
                sent = conn.pings[payload]
                conn.pings = {each: at for each, at in conn.pings.items() if at > sent}
        elif opcode == PING:
            if not self.conditions.first("mute_pong", now, conn):
                self._send(conn, Output(conn.id, "pong", PONG, payload, 0, now), None)
        elif len(payload) > self.rules.max_message:
            self._end(conn, "close", 1009, now)
        else:
            self._schedule(now + self._request_delay, self._request, conn, payload)

    def _is_over_limit(self, conn: BinanceConnection, now: int) -> bool:
        """Judge an arrival, pings and pongs among them; True = the connection is over."""
        broken = conn.log.arrive(now)
        self._record(tuple(Violation(now, conn.id, conn.ip, *each) for each in broken))
        if not broken or self.rules.over_limit == "ignore":
            return False
        self._end(conn, "close", _POLICY_VIOLATION, now)
        return True

    def _request(self, at: int, conn: BinanceConnection, payload: bytes) -> None:
        if conn.id not in self.connections:
            return
        try:
            request = parse_request(payload)
            if len(request.params) > self.rules.names_ignored_above:
                return
            self._check(request, at)
        except Refused as refused:
            self._refuse(conn, refused, at)
            return
        self.stats.requests += 1
        try:
            answer = self._serve(conn, request, at)
        except Refused as refused:
            self._refuse(conn, refused, at)
            if self.rules.over_streams == "close":
                self._end(conn, "close", _POLICY_VIOLATION, at)
            return
        delay = self._rng.randrange(self._ack_spread + 1)
        self._schedule(at + delay, self._answer, conn, answer)

    def _answer(self, at: int, conn: BinanceConnection, payload: bytes) -> None:
        self._send(conn, Output(conn.id, "frame", TEXT, payload, 0, at), None)

    def _refuse(self, conn: BinanceConnection, refused: Refused, at: int) -> None:
        self.stats.errors += 1
        wrapped = self.rules.wrapped_errors
        self._answer(at, conn, frames.error(refused.code, refused.message, refused.ident, is_wrapped=wrapped))

    def _check(self, request: Request, now: int) -> None:
        """Raise `Refused` if a fault refuses one of the request's symbols."""
        if request.method != "SUBSCRIBE":
            return
        for stream in filter(None, map(parse_stream, request.params)):
            for condition in self.conditions.active("error", now):
                fault = condition.fault
                if fault.symbol == stream.code and fault.channel in (None, stream.type):
                    self.conditions.count("error")
                    raise Refused(INVALID_REQUEST, f"Invalid request: {fault.name}", request.ident)

    def _serve(self, conn: BinanceConnection, request: Request, now: int) -> bytes:
        """Carry out a good request; its answer. Raises `Refused` for a stream too many."""
        if request.method == "LIST_SUBSCRIPTIONS":
            return frames.result(list(conn.streams), request.ident)
        if request.method == "GET_PROPERTY":
            return frames.result(conn.is_combined, request.ident)
        if request.method == "SET_PROPERTY":
            conn.is_combined = request.params[1]
        elif request.method == "SUBSCRIBE":
            self._subscribe(conn, request, now)
        else:
            for name in request.params:  # one that was never asked for is acknowledged like any other
                self._drop(conn, conn.streams.pop(name, None), now)
        return frames.ack(request.ident)

    def _subscribe(self, conn: BinanceConnection, request: Request, now: int) -> None:
        added = [name for name in dict.fromkeys(request.params) if name not in conn.streams]
        if len(conn.streams) + len(added) > self.rules.streams:
            raise Refused(TOO_MANY, "Too many subscriptions", request.ident)
        for name in request.params:
            stream = parse_stream(name)
            if stream is not None:
                self.conditions.cure(stream, conn, now)
        for name in added:
            conn.streams[name] = self._listen(conn, parse_stream(name), now)

    def _listen(self, conn: BinanceConnection, stream: Stream | None, now: int) -> Listener | None:
        """Unknown names are acknowledged, listed, and silent."""
        if stream is None or not self._traffic.serves(stream):
            return None
        listener = Listener(conn, stream)
        self._traffic.add(listener, now)
        return listener

    def _drop(self, conn: BinanceConnection, listener: Listener | None, now: int) -> None:
        """The stream may send a little longer."""
        if listener is not None:
            self._schedule(now + self._rng.randrange(self._late + 1), self._silence, listener)

    def _silence(self, at: int, listener: Listener) -> None:
        self._traffic.remove(listener)

    # -- out ---------------------------------------------------------------------------------------

    def _send_stream(self, listener: Listener, name: str, data: bytes, at: int) -> None:
        conn = listener.conn
        payload = frames.wrapped(name, data) if conn.is_combined else data
        self._send(conn, Output(conn.id, "frame", TEXT, payload, 0, at), listener.stream)


def _markets(symbols: Iterable[str] | None, seed: int) -> dict[str, Market]:
    if symbols is None:
        return {f"{m.base}{m.quote}": m for m in generate_markets(seed) if m.quote in _QUOTES}
    codes = {}
    for symbol in symbols:
        quote = next((quote for quote in _QUOTES if symbol.endswith(quote) and symbol != quote), None)
        if quote is None:
            raise ValueError(f"symbol {symbol!r} does not end in {' or '.join(_QUOTES)}")
        codes[symbol] = f"{quote}-{symbol.removesuffix(quote)}"
    made = {market.code: market for market in markets_for(codes.values(), seed)}
    return {symbol: made[code] for symbol, code in codes.items()}
