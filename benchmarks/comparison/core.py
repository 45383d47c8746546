"""The core put together as a manager does it: one feed, one component with one handler for all its topics."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from subcore._duties import DutyTable
from subcore._events import Event
from subcore._feed import Feed
from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._meter import Meter
from subcore._route import Router
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore.clock import SystemClock, call_clock, delay_table
from subcore.venues.upbit_fields import CHANNELS, schema

__all__ = ["new_feed", "new_router", "new_scanner", "subscribe"]


def new_scanner(symbols: Sequence[str]) -> Scanner:
    """A scanner of the venue's frames that knows these symbols."""
    interner = Interner()
    interner.intern_many(list(symbols))
    return Scanner(Schema(schema()), interner)


def new_feed(symbols: Sequence[str]) -> Feed:
    """A feed that knows these symbols, of which nobody wants anything yet."""
    ledger = Ledger()
    scanner = new_scanner(symbols)
    return Feed("upbit", scanner, ledger, Meter(len(CHANNELS)), Router(ledger, gone=deque()))


def subscribe(feed: Feed, channel: str, symbols: Sequence[str], handler: Callable[[Event], object]) -> None:
    """A further component, whose one handler gets the channel of these symbols."""
    ids = feed.interner.get_many(list(symbols))
    topics = feed.ledger.topics(CHANNELS.index(channel), ids)
    component = feed.ledger.open_component()
    feed.ledger.add(component, topics)
    feed.router.connect(feed.router.new_sink(component, handler), topics)


def new_router(ledger: Ledger) -> Router:
    """With all of it on, as a manager's hub has it: calls are timed, errors told, delays measured. What components owe
    is judged at ticks, not in the fan-out: in it are the name of who is called and, for queues, the duty."""
    clock = SystemClock()
    router = Router(ledger, gone=deque(), on_error=_ignore_error, clock=call_clock(clock))
    router.delays = DutyTable(delay_table(clock)).delays
    return router


def _ignore_error(component: int, sink: int, error: BaseException) -> None:
    """Nothing raises here."""
