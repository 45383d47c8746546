"""Upbit, and its houses in Singapore, Indonesia and Thailand.

Each rule is quoted beside the branch it causes. What is documented or measured is built in; what is
inferred or unknown is an option of `venue("upbit", ...)` with the safe side as default:

format                  "SIMPLE" (default), "DEFAULT", "SIMPLE_LIST", "JSON_LIST": how data frames are asked for
carried_realtime_only   False: a rewrite asks snapshots of everything; True: only of what is new
option_case             "snake" or "camel": spelling of request options (the regional pages still show camelCase)
grouping_quotes         ("KRW",): quote currencies whose books can be grouped
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Collection, Mapping
from typing import Any

from subcore.errors import UnknownSymbolError, UnsupportedError, UsageError
from subcore.types import (
    Alive,
    Control,
    Listing,
    ReasonClass,
    Refused,
    Topic,
    Unknown,
)
from subcore.venue import (
    MAX_CONTROLS,
    MAX_LISTED,
    MAX_NAME,
    Blast,
    Channel,
    Counted,
    EmptyTarget,
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
from subcore.venues.upbit_latest import make_latest
from subcore.venues.upbit_requests import Grammar

__all__ = ["make_venue"]

# "Regions: sg-api.upbit.com, id-api.upbit.com, th-api.upbit.com, same paths"; each is a venue of its own.
HOSTS = {
    "upbit": "api.upbit.com",
    "upbit-sg": "sg-api.upbit.com",
    "upbit-id": "id-api.upbit.com",
    "upbit-th": "th-api.upbit.com",
}
FORMATS = ("SIMPLE", "DEFAULT", "SIMPLE_LIST", "JSON_LIST")
OPTIONS = ("format", "carried_realtime_only", "option_case", "grouping_quotes")

# "Format QUOTE-BASE, upper case letters and digits"; "lower case is silently ignored": an error here.
SYMBOL = re.compile(r"[A-Z0-9]{2,12}-[A-Z0-9]{1,20}")

WIDEST = 30  # levels of a book asked for without suffix
CANDLES = ("1s", "1m", "3m", "5m", "10m", "15m", "30m", "60m", "240m")
CHANNELS = (
    Channel("ticker", "ticker"),
    Channel("trade", "trade"),
    # "Code suffix .N sets the number of levels: N in {1, 5, 15, 30}; no suffix = 30".
    Channel("orderbook", "orderbook", depths=(1, 5, 15, 30), grouping=True),
    *(Channel(f"candle.{unit}", "candle") for unit in CANDLES),
    # "No snapshot for private types"; "codes optional for myOrder, forbidden for myAsset".
    Channel("myOrder", "order", route="private", snapshot=False, needs_symbol=False),
    Channel("myAsset", "asset", route="private", snapshot=False, needs_symbol=False, takes_symbol=False),
)
ROUTES = (Route("public", "/websocket/v1"), Route("private", "/websocket/v1/private", grant="jwt"))

LIMITS = (
    # "websocket-connect | 5 per second | IP when unauthenticated". Numbers of the regions are not published.
    Limit(
        group="websocket-connect",
        scope=Scope.IP,
        counts=frozenset({Counted.CONNECT}),
        windows=(Window(5, 1.0, 1.1),),
        on_breach=OnBreach.REFUSE,
    ),
    # "... pocket (sub-account) when a JWT is sent". A login that is refused may count as none, so those
    # connects count in both.
    Limit(
        group="websocket-connect",
        scope=Scope.ACCOUNT,
        counts=frozenset({Counted.CONNECT}),
        windows=(Window(5, 1.0, 1.1),),
        on_breach=OnBreach.REFUSE,
        routes=("private",),
    ),
    # "websocket-message | 5 per second and 100 per minute | connection"; what a breach does is unknown.
    Limit(
        group="websocket-message",
        scope=Scope.LINK,
        counts=frozenset({Counted.MESSAGE}),
        windows=(Window(5, 1.0, 1.1), Window(100, 60.0, 61.0, reserve=7)),
        burst=5,
    ),
)

# Error frames: "message text is Korean; match on name only".
REASONS = {
    "TOO_MANY_REQUEST": ReasonClass.RATE,
    "Too Many Requests": ReasonClass.RATE,
    "I'm a teapot": ReasonClass.RATE,
    "INVALID_AUTH": ReasonClass.AUTH,
}


def check_symbol(symbol: str) -> None:
    """Raises UnknownSymbolError unless `symbol` is written as Upbit writes markets."""
    if SYMBOL.fullmatch(symbol):
        return
    upper = symbol.upper().replace("_", "-").replace("/", "-")
    hint = f"; did you mean {upper!r}?" if SYMBOL.fullmatch(upper) else ""
    raise UnknownSymbolError(f"{symbol!r} is not how Upbit writes a market: QUOTE-BASE, like 'KRW-BTC'{hint}")


def parse_markets(body: bytes) -> frozenset[str]:
    """Markets of GET /v1/market/all. Raises ValueError if the body is not that."""
    rows = json.loads(body)
    if not isinstance(rows, list) or not rows:
        raise ValueError("the list of markets is not a non-empty JSON array")
    names = (row.get("market") if isinstance(row, dict) else None for row in rows)
    markets = frozenset(n for n in names if isinstance(n, str) and SYMBOL.fullmatch(n))
    if not markets:
        raise ValueError("the list of markets holds no market")
    return markets


def decode_control(frame: bytes) -> list[Control]:
    """What a frame that is not data says. Never raises.

    "status, error, method/mthd are the only non-data top-level keys seen. LIST formats start with [".
    """
    try:
        parsed = json.loads(frame)
    except (ValueError, RecursionError):
        return [Unknown(frame)]
    objects = parsed if isinstance(parsed, list) and parsed else [parsed]
    said = [_one_control(o, frame) for o in objects[:MAX_CONTROLS]]
    beyond = len(objects) - len(said)
    return [*said, Unknown(frame, beyond)] if beyond else said


def _one_control(said: Any, frame: bytes) -> Control:
    if not isinstance(said, dict):
        return Unknown(frame)
    error = said.get("error")
    if isinstance(error, dict) and isinstance(error.get("name"), str):
        name = error["name"][:MAX_NAME]
        return Refused(name, str(error.get("message", "")), REASONS.get(name, ReasonClass.PERMANENT))
    if said.get("method", said.get("mthd")) == "LIST_SUBSCRIPTIONS":
        return _listing(said, frame)
    if isinstance(said.get("status"), str):
        return Alive()
    return Unknown(frame)


def _listing(said: dict[str, Any], frame: bytes) -> Control:
    """SIMPLE keys: "method mthd, result rslt, type ty, codes cds, level lv, ticket tckt"."""
    result = said.get("result", said.get("rslt"))
    if not isinstance(result, list):
        return Unknown(frame)
    topics: list[Topic] = []
    for entry in result:
        channel = entry.get("type", entry.get("ty")) if isinstance(entry, dict) else None
        if not isinstance(channel, str):
            return Unknown(frame)
        # "codes optional": an entry without any is about all
        codes = entry.get("codes", entry.get("cds")) or [""]
        level = entry.get("level", entry.get("lv", 0)) or 0
        if not isinstance(codes, list) or len(topics) + len(codes) > MAX_LISTED:
            return Unknown(frame)
        if not isinstance(level, (int, float)) or not 0 <= level < sys.float_info.max:
            return Unknown(frame)
        grouping = float(level) or None
        # "Whether the order-book unit suffix shows in the listed codes: unknown": both are understood, and
        # the suffix is no part of the stream.
        topics += [Topic(channel, str(c).partition(".")[0], None, grouping) for c in codes]
    ticket = said.get("ticket", said.get("tckt"))
    return Listing(tuple(topics), str(ticket) if ticket is not None else None)


def _headers(route: Route, grant: Mapping[str, str] | None) -> Mapping[str, str]:
    """ "Authorization: Bearer <JWT> in the handshake; checked there only"."""
    return {"Authorization": f"Bearer {grant[route.grant]}"} if route.grant and grant else {}


def _load_fields() -> Any:
    return importlib.import_module("subcore.venues.upbit_fields").schema()


def make_venue(
    name: str = "upbit",
    *,
    grouping_quotes: Collection[str] = ("KRW",),
    **options: Any,
) -> Venue:
    """The venue of that name. Raises UsageError for options it does not have."""
    check_options(name, options, OPTIONS)
    options.setdefault("option_case", "snake" if name == "upbit" else "camel")
    grammar = Grammar(CHANNELS, WIDEST, **options)
    if grammar.format not in FORMATS:
        raise UsageError(f"{name}: format is one of {', '.join(FORMATS)}, not {grammar.format!r}")
    if grammar.option_case not in ("snake", "camel"):
        raise UsageError(f"{name}: option_case is 'snake' or 'camel', not {grammar.option_case!r}")
    quotes = frozenset(grouping_quotes)

    def check_parameters(topic: Topic) -> None:
        # "level = price grouping size, KRW markets only"; "level on a BTC market -> nothing at all (silent)".
        if topic.grouping is not None and topic.symbol.partition("-")[0] not in quotes:
            offered = ", ".join(sorted(quotes)) or "no"
            raise UnsupportedError(f"{name} groups books of {offered} markets only, not of {topic.symbol}")

    return Venue(
        name=name,
        url=f"wss://{HOSTS[name]}",
        routes=ROUTES,
        channels=CHANNELS,
        model=Model.REPLACE,
        limits=LIMITS,
        check_symbol=check_symbol,
        check_parameters=check_parameters,
        encode=grammar.encode,
        encode_listing=grammar.encode_listing,
        decode_control=decode_control,
        load_fields=_load_fields,
        headers=_headers,
        markets_url=f"https://{HOSTS[name]}/v1/market/all",
        parse_markets=parse_markets,
        latest=make_latest(HOSTS[name], CHANNELS, WIDEST),
        packing=Packing(max_in_flight=1),  # "a newer request makes every older unanswered one meaningless"
        empty_target=EmptyTarget.CLOSE,  # "the last subscriber leaving means closing the connection"
        blast=Blast.CONNECTION,  # "any error frame is followed by a server close (code 1000)"
        resnapshots=not grammar.carried_realtime_only,
        options={
            "format": grammar.format,
            "carried_realtime_only": grammar.carried_realtime_only,
            "option_case": grammar.option_case,
            "grouping_quotes": tuple(sorted(quotes)),
        },
    )
