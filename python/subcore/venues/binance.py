"""Binance spot, public market data by combined streams.

Each rule is quoted beside the branch it causes, with how sure it is: A documented and captured, B documented, C
captured, D inferred, ? unknown. What is D or ? is an option of `venue("binance", ...)` with the safe side as default:

endpoint            "stream" (default) or "data": the house that also trades, or its twin for market data alone
book_speed          "100ms" (default) or "1000ms": how often a book of 5, 10 or 20 levels is sent
names_per_message   100: how many streams one request names; the venue's own limit is not documented
bytes_per_message   4096: how long one request may be; a request that is too long is said to be ignored
"""

from __future__ import annotations

import importlib
import json
from typing import Any

from subcore.errors import UnknownSymbolError, UsageError
from subcore.types import (
    Accepted,
    Control,
    GoingAway,
    Listing,
    ReasonClass,
    Refused,
    Topic,
    Unknown,
)
from subcore.venue import (
    MAX_LISTED,
    MAX_NAME,
    Blast,
    Capacity,
    Channel,
    Counted,
    EmptyTarget,
    Keepalive,
    KeepaliveRole,
    Life,
    Limit,
    Model,
    OnBreach,
    Packing,
    Route,
    Scope,
    Venue,
    Window,
    check_options,
)
from subcore.venues.binance_fields import DEPTHS, INTERVALS
from subcore.venues.binance_requests import Grammar, encode_listing

__all__ = ["make_venue"]

# "Public wss://stream.binance.com:9443 or :443; market-data-only twin wss://data-stream.binance.vision" [B].
ENDPOINTS = {
    "stream": ("wss://stream.binance.com:9443", "https://api.binance.com"),
    "data": ("wss://data-stream.binance.vision", "https://data-api.binance.vision"),
}
# "combined at /stream: {"stream":NAME,"data":{...}}" [A]; "use /stream always: partial-depth payloads carry no
# symbol and bookTicker no event type" [A].
ROUTES = (Route("public", "/stream"),)
MARKETS_PATH = "/api/v3/exchangeInfo?showPermissionSets=false"
OPTIONS = ("endpoint", "book_speed", "names_per_message", "bytes_per_message")
BOOK_SPEEDS = {"100ms": "@100ms", "1000ms": ""}
LONGEST_SYMBOL = 50

CHANNELS = (
    # Nothing is sent on subscribing: "no snapshot on subscribe for diff depth; a trade stream starts with the next
    # trade" [B].
    Channel("book_ticker", "ticker", snapshot=False, wire="bookTicker"),
    Channel("agg_trade", "trade", snapshot=False, wire="aggTrade"),
    Channel("trade", "trade", snapshot=False),
    # "<s>@depth5/10/20: complete top" [A]. Each is a stream of its own: stopping one does not stop another.
    *(Channel("orderbook", "orderbook", depths=(n,), snapshot=False, wire=f"depth{n}") for n in DEPTHS),
    *(Channel(f"candle.{i}", "candle", snapshot=False, wire=f"kline_{i}") for i in INTERVALS),
)
LIMITS = (
    # "connection attempts 300 per 5 min per IP" [B].
    Limit(
        group="connect",
        scope=Scope.IP,
        counts=frozenset({Counted.CONNECT}),
        windows=(Window(300, 300.0, 305.0),),
        on_breach=OnBreach.REFUSE,
    ),
    # "5 per second per connection; PING, PONG and JSON all count" [B]. One of the five is left to the pong that the
    # socket sends by itself when the server pings, every 20 s. "Over the limit: disconnect; IPs disconnected often may
    # be banned" [B]. "4 per 1 s and 1 per 220 ms all got closed sooner or later; 1 per 250 ms held" [C].
    Limit(
        group="message",
        scope=Scope.LINK,
        counts=frozenset({Counted.MESSAGE, Counted.PING, Counted.PONG}),
        windows=(Window(4, 1.0, 1.1),),
        min_gap_seconds=0.3,
        on_breach=OnBreach.CLOSE,
    ),
)
# "Error code 4: Too many subscriptions" [C, futures]. 0 to 3 say that the request itself is wrong [B].
ERROR_REASONS = {4: ReasonClass.CAPACITY}
TOO_MANY_REQUESTS = 1008  # "close code seen: 1008 Too many requests" [C]


def check_symbol(symbol: str) -> None:
    """Raises UnknownSymbolError unless `symbol` is written as Binance writes markets in frames."""
    if _is_symbol(symbol):
        return
    upper = symbol.upper().replace("/", "").replace("-", "").replace(" ", "")
    hint = f"; did you mean {upper!r}?" if upper != symbol and _is_symbol(upper) else ""
    raise UnknownSymbolError(
        f"{symbol!r} is not how Binance writes a market: BASEQUOTE, like 'BTCUSDT'{hint}"
    )


def _is_symbol(symbol: str) -> bool:
    """ "Payload s is upper case. Non-ASCII symbols exist; frames may hold UTF-8" [B].

    What has a case must be ASCII, so that the way to lower case on the wire and back is the same everywhere.
    """
    return 0 < len(symbol) <= LONGEST_SYMBOL and all(
        c in "-_." or (c.isalnum() and (not ("a" <= c <= "z") if c.isascii() else c.lower() == c.upper()))
        for c in symbol
    )


def parse_markets(body: bytes) -> frozenset[str]:
    """Symbols of GET /api/v3/exchangeInfo. Raises ValueError if the body is not that.

    Whether a market that is halted still sends is not documented [?]: everything the list names may be asked for.
    """
    said = json.loads(body)
    rows = said.get("symbols") if isinstance(said, dict) else None
    if not isinstance(rows, list):
        raise ValueError("the list of markets has no array of symbols")
    names = (row.get("symbol") if isinstance(row, dict) else None for row in rows)
    markets = frozenset(name for name in names if isinstance(name, str) and _is_symbol(name))
    if not markets:
        raise ValueError("the list of markets holds no market")
    return markets


def decode_control(frame: bytes) -> list[Control]:
    """What a frame that is not data says. Never raises."""
    try:
        said = json.loads(frame)
    except (ValueError, RecursionError):
        return [Unknown(frame)]
    if not isinstance(said, dict):
        return [Unknown(frame)]
    # "serverShutdown: raw {"e":"serverShutdown"}; combined under stream name !serverShutdown; connect anew" [B].
    if said.get("e") == "serverShutdown" or said.get("stream") == "!serverShutdown":
        return [GoingAway()]
    # "docs: {"code":0..3,"msg":...,"id":?} [B]; seen on futures: {"error":{"code":4,"msg":...},"id":..} [C]".
    error = said.get("error", said)
    if isinstance(error, dict) and isinstance(error.get("code"), int) and isinstance(error.get("msg"), str):
        return [_refusal(error["code"], error["msg"], _request_id(said))]
    # "ack {"result":null,"id":1}: per request, echoing id" [A]; "LIST_SUBSCRIPTIONS: {"result":[names],"id":3}" [A].
    result = said.get("result", Unknown)
    if "id" in said and result is None:
        return [Accepted(_request_id(said))]
    if "id" in said and _are_names(result):
        return [Listing(tuple(map(_topic, result)), _request_id(said))]
    return [Unknown(frame)]


def _are_names(result: Any) -> bool:
    if not isinstance(result, list) or len(result) > MAX_LISTED:
        return False
    return all(isinstance(name, str) for name in result)


def _request_id(said: dict[str, Any]) -> str:
    """ "id: int64, text of 36 at most, or null" [B]. Ours all have one: an answer without answers none of them."""
    ident = said.get("id")
    return str(ident) if isinstance(ident, (int, str)) else ""


def _refusal(code: int, message: str, request_id: str) -> Refused:
    return Refused(
        f"error {code}"[:MAX_NAME], message, ERROR_REASONS.get(code, ReasonClass.PERMANENT), request_id
    )


def _topic(name: str) -> Topic:
    """A stream's name as the venue lists it; the speed of a book is no part of what the book is."""
    symbol, _, kind = name.partition("@")
    return Topic(kind.partition("@")[0], symbol.upper())


def classify_close(code: int | None) -> ReasonClass:
    """What a close code says of the cause."""
    return ReasonClass.RATE if code == TOO_MANY_REQUESTS else ReasonClass.TRANSIENT


def _load_fields() -> Any:
    return importlib.import_module("subcore.venues.binance_fields").schema()


def make_venue(
    name: str = "binance",
    *,
    endpoint: str = "stream",
    book_speed: str = "100ms",
    names_per_message: int = 100,
    bytes_per_message: int = 4096,
    **options: Any,
) -> Venue:
    """Binance spot. Raises UsageError for options it does not have."""
    check_options(name, options, OPTIONS)
    _check_choice(name, "endpoint", endpoint, ENDPOINTS)
    _check_choice(name, "book_speed", book_speed, BOOK_SPEEDS)
    _check_size(name, "names_per_message", names_per_message)
    _check_size(name, "bytes_per_message", bytes_per_message)
    url, rest_url = ENDPOINTS[endpoint]
    # "names per SUBSCRIBE: not documented. At most 100 names and 4,096 bytes" [D]; "437 names in one frame were
    # silently lost in one report" [D].
    packing = Packing(max_topics=names_per_message, max_bytes=bytes_per_message, max_in_flight=5)
    grammar = Grammar(CHANNELS, packing, BOOK_SPEEDS[book_speed])
    return Venue(
        name=name,
        url=url,
        routes=ROUTES,
        channels=CHANNELS,
        model=Model.DELTA,
        limits=LIMITS,
        check_symbol=check_symbol,
        encode=grammar.encode,
        encode_listing=encode_listing,
        decode_control=decode_control,
        load_fields=_load_fields,
        markets_url=rest_url + MARKETS_PATH,
        parse_markets=parse_markets,
        classify_close=classify_close,
        packing=packing,
        # An idle connection is of no use, and its end costs no UNSUBSCRIBE.
        empty_target=EmptyTarget.CLOSE,
        blast=Blast.REQUEST,
        ack_is_proof=False,  # "unknown, misspelt or upper-case names are acknowledged and then silent" [C]
        resnapshots=False,
        # "The server sends a protocol ping every 20 s; answer with a pong carrying the same payload within 1 min" [B]:
        # the socket does. Our own pings prove the path, and count: "PING, PONG and JSON all count" [B].
        keepalive=Keepalive(role=KeepaliveRole.SERVER_PINGS, pinged_every=20.0),
        life=Life(max_age=24 * 3600.0),  # "lifetime 24 h exactly" [B]
        capacities=(Capacity("streams", 1024),),  # "streams per connection: 1,024" [B]
        options={
            "endpoint": endpoint,
            "book_speed": book_speed,
            "names_per_message": names_per_message,
            "bytes_per_message": bytes_per_message,
        },
    )


def _check_choice(name: str, option: str, given: object, offered: dict[str, Any]) -> None:
    if given not in list(offered):
        raise UsageError(f"{name}: {option} is one of {', '.join(offered)}, not {given!r}")


def _check_size(name: str, option: str, given: object) -> None:
    if not isinstance(given, int) or given < 1:
        raise UsageError(f"{name}: {option} is a whole number of at least 1, not {given!r}")
