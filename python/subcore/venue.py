"""What a venue declares: values and pure functions. No I/O, no clock; the engine, the planner and the
pacer stay blind.

A `Venue` is a frozen dataclass. Users can make their own; the built-in ones are found by name with
`venue(...)`. Seconds here are what the venue's rules say; the engine converts to nanoseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from numbers import Real
from typing import Any
from urllib.parse import urlsplit

from subcore.errors import UnsupportedError, UsageError
from subcore.latest import Latest
from subcore.limits import Capacity, Counted, Limit, OnBreach, Scope, Window
from subcore.types import ALL, Control, Int32Array, ReasonClass, StreamColumns, Topic

__all__ = [
    "ALL",
    "Blast",
    "Capacity",
    "Channel",
    "ConnectPlan",
    "Counted",
    "EmptyTarget",
    "GroupBy",
    "Keepalive",
    "KeepaliveRole",
    "Latest",
    "Life",
    "Limit",
    "Model",
    "OnBreach",
    "Out",
    "Packing",
    "Route",
    "Scope",
    "Venue",
    "Window",
    "check_options",
]

MAX_CONTROLS = 64  # that one frame may bring; what is beyond is counted
MAX_LISTED = 16_384  # topics that one list may name; beyond, it is not understood
MAX_NAME = 200  # characters of a venue's word for something
TEXT = 1
BINARY = 2


class Model(Enum):
    """How a request acts on what its connection carries."""

    REPLACE = "replace"  # a request states the whole set
    DELTA = "delta"  # a request adds or removes


class Blast(Enum):
    """What one refused topic spoils."""

    TOPIC = "topic"
    REQUEST = "request"
    CONNECTION = "connection"


class EmptyTarget(Enum):
    """What to do with a connection that shall carry nothing."""

    CLOSE = "close"
    IDLE = "idle"


class GroupBy(Enum):
    """What the topics of one message must share."""

    NONE = "none"
    CHANNEL = "channel"
    TOPIC = "topic"


class KeepaliveRole(IntEnum):
    """Who keeps the connection alive. A venue that pings is pinged too: the socket answers its pings, which
    says nothing about the way to it.
    """

    CLIENT_PINGS = 0
    SERVER_PINGS = 1
    CLIENT_ANSWERS = 2
    CLIENT_SUBSCRIBES = 3


@dataclass(frozen=True, slots=True)
class Channel:
    """A kind of data.

    `depths`: allowed numbers of book levels, ascending (empty = the channel has none; a larger one can
    be cut to a smaller). Where each number of levels is a stream of its own, each is a Channel of its own
    with the same `name` and one depth; the first of them is meant where no depth is asked for.
    `grouping`: the channel takes a price step; `groupings_distinct`: frames show which, so that two steps
    of a market are two streams. `exclusive`: a connection carries one channel of this group for a market; give
    them routes of their own (the path may be the same), and they never meet, else one must wait for the other
    to go (then with `Packing.removes_first`). `snapshot`: a request is answered with a snapshot of each market
    that ever had data. `needs_symbol`: False = "*" asks for all, in one stream; `takes_symbol`: False = only so.
    `wire`: the venue's word for it, where it differs from `name`; no two channels share one.
    """

    name: str
    kind: str  # event: ticker, trade, orderbook, candle, order, asset
    route: str = "public"
    depths: tuple[int, ...] = ()
    grouping: bool = False
    groupings_distinct: bool = True
    exclusive: str = ""
    snapshot: bool = True
    needs_symbol: bool = True
    takes_symbol: bool = True
    wire: str = ""

    @property
    def wire_name(self) -> str:
        """The word the venue uses."""
        return self.wire or self.name


@dataclass(frozen=True, slots=True)
class Route:
    """A family of endpoints. `grant`: what must be fetched before each connect ("" = nothing, "jwt",
    "token", ...).
    """

    name: str
    path: str
    grant: str = ""


@dataclass(frozen=True, slots=True)
class Keepalive:
    """How a link is kept and judged alive, in seconds of loop-runnable time.

    Silent for `idle`, a ping goes out; unanswered for `answer`, the link is dead. The `busy_` pair holds
    for links that carried at least `busy_rate` frames a second. `payload` None = protocol ping, else a
    message sent with `opcode`. `pinged_every`: the venue pings so often, and the socket's pongs count as messages of
    ours; None = it does not, or they do not.
    """

    role: KeepaliveRole = KeepaliveRole.CLIENT_PINGS
    payload: bytes | None = None
    opcode: int = TEXT
    idle: float = 4.0
    answer: float = 4.0
    busy_idle: float = 2.0
    busy_answer: float = 2.0
    busy_rate: float = 1.0
    pinged_every: float | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """How long a connection may live. None = not known. `max_age`: it dies then; `first_subscribe`: it
    dies without a request by then (declared, not read yet); `connect_floor`: least gap after a close.
    """

    max_age: float | None = None
    first_subscribe: float | None = None
    connect_floor: float = 0.0


@dataclass(frozen=True, slots=True)
class Packing:
    """How topics go into messages (delta venues; a replace venue sends one message)."""

    group_by: GroupBy = GroupBy.NONE
    max_topics: int | None = None
    max_bytes: int | None = None
    removes_first: bool = False
    max_in_flight: int = 1


@dataclass(frozen=True, slots=True)
class ConnectPlan:
    """Where to connect, and with which headers."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)  # frozen would take twice as long to make, and one is made for each request
class Out:
    """One message. Nobody changes it. It answers for `adds` and `removes` (stream ids); on a replace venue, once it is
    sent, the wire is exactly the target it was made from.
    """

    payload: bytes
    opcode: int
    request_id: str | None
    adds: Int32Array
    removes: Int32Array


Encode = Callable[[StreamColumns, StreamColumns, StreamColumns, int], list[Out]]


def _nothing_fatal(code: int | None) -> ReasonClass:
    return ReasonClass.TRANSIENT


@dataclass(frozen=True, slots=True)
class Venue:
    """Everything subcore knows about a venue. See the field comments; functions are pure.

    check_symbol(text) raises UnknownSymbolError unless the text is how the venue writes a market.
    encode(add, remove, target, next_id) -> messages in order. A replace venue writes one of `target`, and `add` tells
    what is new in it. A delta venue writes `add` in the order given, the most important first, or `remove` (one of them
    is empty); its first message is sent, and what that left out is asked for again: it may group them, not reorder.
    decode_control(frame) -> what a frame that is not data says; never raises, and takes no long time for any frame.
    """

    name: str
    url: str  # scheme and host: wss://host[:port]
    routes: tuple[Route, ...]
    channels: tuple[Channel, ...]
    model: Model
    limits: tuple[Limit, ...]
    check_symbol: Callable[[str], None]
    encode: Encode
    decode_control: Callable[[bytes], list[Control]]
    load_fields: Callable[[], Any]  # the schema tables for the scanner, imported only when first asked for
    check_parameters: Callable[[Topic], None] | None = None  # rules that tie parameters to symbols; raises
    encode_listing: Callable[[int], Out] | None = None  # asks what the connection carries; None = cannot
    answer: Callable[[bytes, int], Out] | None = None  # reply to MustAnswer; None = echo the payload
    headers: Callable[[Route, Mapping[str, str] | None], Mapping[str, str]] | None = None
    connect_url: Callable[[str, Route, Mapping[str, str] | None], str] | None = None
    markets_url: str | None = None
    parse_markets: Callable[[bytes], frozenset[str]] | None = None
    latest: Latest | None = None  # how to ask what is newest of streams; None = cannot
    classify_close: Callable[[int | None], ReasonClass] = _nothing_fatal
    packing: Packing = Packing()
    empty_target: EmptyTarget = EmptyTarget.IDLE
    blast: Blast = Blast.REQUEST
    ack_is_proof: bool = False  # the answer to a good request, where there is one, proves its streams
    error_window: float = 0.4  # seconds; at least 3 round trips
    resnapshots: bool = True  # (replace) a rewrite gives a new snapshot of what the link carried before
    keepalive: Keepalive = Keepalive()
    life: Life = Life()
    capacities: tuple[Capacity, ...] = ()
    options: Mapping[str, Any] = field(
        default_factory=dict
    )  # what `venue(...)` was given, defaults filled in

    def channel_index(self, name: str, depth: int | None = None) -> int:
        """Place in `channels` of the channel with this depth, else of the first of that name.

        Raises UnsupportedError naming those there are.
        """
        named = self.channel_indexes(name)
        return next((index for index in named if depth in self.channels[index].depths), named[0])

    def channel_indexes(self, name: str) -> tuple[int, ...]:
        """Places in `channels` of all with that name, at least one. Raises as `channel_index`."""
        named = tuple(index for index, channel in enumerate(self.channels) if channel.name == name)
        if not named:
            known = ", ".join(dict.fromkeys(c.name for c in self.channels))
            raise UnsupportedError(f"{self.name} has no channel {name!r}; it has {known}")
        return named

    def check_topic(self, topic: Topic, grants: Container[str] = ()) -> Topic:
        """The topic as subcore keys it. No I/O, no list of markets.

        `grants`: what the caller can fetch before a connect (see Route.grant). Raises UnsupportedError or
        UnknownSymbolError, naming what can be asked for instead.
        """
        channel = self.channels[self.channel_index(topic.channel, topic.depth)]
        if not isinstance(topic.symbol, str):
            raise UnsupportedError(f"{self.name} {topic.channel}: a symbol is a text, not {topic.symbol!r}")
        grant = self.route(channel.route).grant
        if grant and grant not in grants:
            raise UnsupportedError(
                f"{self.name} {topic.channel} needs a login ({grant}); none was given: "
                "make the manager with credentials="
            )
        if topic.symbol == ALL and not channel.needs_symbol:
            topic = replace(topic, symbol="")
        if topic.symbol and not channel.takes_symbol:
            raise UnsupportedError(
                f"{self.name} {topic.channel} is about the whole account: ask for {ALL!r}, not for {topic.symbol!r}"
            )
        if channel.needs_symbol or topic.symbol:
            self.check_symbol(topic.symbol)
        if topic.depth is not None and topic.depth not in channel.depths:
            depths = (d for i in self.channel_indexes(topic.channel) for d in self.channels[i].depths)
            offered = ", ".join(map(str, sorted(depths))) or "none, leave it out"
            raise UnsupportedError(f"{self.name} {topic.channel}: no depth {topic.depth}; offered: {offered}")
        if topic.grouping is not None:
            if not channel.grouping:
                raise UnsupportedError(f"{self.name} {topic.channel} has no grouping; leave it out")
            topic = replace(topic, grouping=_price_step(topic.grouping) or None)
        if self.check_parameters is not None:
            self.check_parameters(topic)
        return topic

    def route(self, name: str) -> Route:
        """The route of that name."""
        for route in self.routes:
            if route.name == name:
                return route
        raise UsageError(
            f"{self.name} has no route {name!r}; it has {', '.join(r.name for r in self.routes)}"
        )

    def connect_plan(self, route: Route, grant: Mapping[str, str] | None = None) -> ConnectPlan:
        """Where to connect for this route; `grant` is what was fetched for it, where it needs one."""
        if route.grant and grant is None:
            raise UsageError(f"{self.name} route {route.name} needs a {route.grant} before each connect")
        url = self.connect_url(self.url, route, grant) if self.connect_url else self.url + route.path
        return ConnectPlan(url, self.headers(route, grant) if self.headers else {})

    def public_plan(self, route: Route) -> ConnectPlan:
        """Of `connect_plan`, what holds no secret: all where the route needs no grant, else the bare address."""
        return ConnectPlan(self.url + route.path) if route.grant else self.connect_plan(route)

    def limits_on(self, route: str) -> tuple[Limit, ...]:
        """The limits that count on that route."""
        return tuple(limit for limit in self.limits if not limit.routes or route in limit.routes)

    @property
    def grants(self) -> frozenset[str]:
        """Every kind of login that one of its routes asks for."""
        return frozenset(route.grant for route in self.routes if route.grant)

    @property
    def host(self) -> str:
        """host:port, the key under which the process shares IP limits."""
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        return f"{parts.hostname}:{port}"

    def at(self, url: str) -> Venue:
        """The same venue at another address (`ws://127.0.0.1:9000`). Its list of markets, and what is
        newest of streams, is not asked for there. Raises UsageError for what is no address.
        """
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
        except (ValueError, TypeError, AttributeError):  # a port beyond 65535, a bracket not closed, no text
            good = False
        if not good:
            raise UsageError(f"{url!r} is not a WebSocket address; write ws://host:port or wss://host")
        paths = {route.path for route in self.routes}
        if parts.path not in {"", "/", *paths} or parts.query or parts.fragment:
            raise UsageError(
                f"{url!r}: {self.name} has paths of its own ({', '.join(sorted(paths))}); "
                "leave out what follows the host and port"
            )
        return replace(self, url=f"{parts.scheme}://{parts.netloc}", markets_url=None, latest=None)


def check_options(venue_name: str, given: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Raises UsageError naming what may be given. For venue modules."""
    for option in given:
        if option not in allowed:
            raise UsageError(f"{venue_name} has no option {option!r}; it has {', '.join(allowed) or 'none'}")


def _price_step(given: Any) -> float:
    """As frames hold it, a double; UnsupportedError for what is none."""
    try:
        step = float(given) if isinstance(given, Real) else math.nan
    except (OverflowError, ValueError):
        step = math.inf
    if not 0 <= step < math.inf:
        raise UnsupportedError(f"grouping is a price step of the book, not {str(given)[:40]}")
    return step
