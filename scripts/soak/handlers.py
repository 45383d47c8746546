"""What components are given: each frame goes through the core's own feed to handlers; the dict of wishes says whose.

Handlers act on wishes themselves now and then, some are methods of objects that go without a word, and frames are
anything. Judged: properties 7 and 13, and 12 as far as what reads frames can show it.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from grammar import Key

from subcore._feed import Feed
from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._meter import Meter
from subcore._route import Router
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore.types import Int32Array
from subcore.venue import Venue

ACTS = 0.01  # of calls of handlers are used to act
BAD_KEPT, BAD_BYTES = 32, 4096
KEPT_BACK = ("repeats", "duplicates", "unknown_symbols", "unknown_streams", "bad")
COUNTED = ("events", "controls", "repeats", "duplicates", "unknown_symbols", "unknown_streams", "bad")


class Given(AssertionError):
    """A promise about handlers does not hold."""


class Owner:
    """Has a method for a handler, which is to be held weakly."""

    def __init__(self, give: Callable[[Any], None]) -> None:
        self._give = give

    def on_event(self, event: Any) -> None:
        """One event."""
        self._give(event)


class Handlers:
    """The delivering half of a manager, with the handlers of all components."""

    def __init__(self, venue: Venue, interner: Interner, ledger: Ledger, seed: int) -> None:
        self.gone: deque[int] = deque()
        self.router = Router(ledger, gone=self.gone, on_error=self._failed)
        self.act: Callable[[], None] = lambda: None  # what a handler does, now and then
        # How many events of a frame each shall have; and the same, if nobody were paused.
        self.due: Callable[[list[Key]], Counter[str]] = lambda keys: Counter()
        self.held: Callable[[list[Key]], Counter[str]] = lambda keys: Counter()
        self.marks: Callable[[bytes], list[tuple[Key, int | None]]] = lambda payload: []  # see Grammar
        self.calling = 0  # public calls under way
        self.counts: Counter[str] = Counter()
        self._meter = Meter(len(venue.channels))
        self._channels = venue.channels
        wire_names, names = [c.wire_name for c in venue.channels], [c.name for c in venue.channels]
        self._interner = interner
        self._scanner = Scanner(Schema(venue.load_fields(), wire_names, names), interner)
        self._feed = Feed(venue.name, self._scanner, ledger, self._meter, self.router)
        self._rng = random.Random(f"handlers {seed}")
        self._owners: dict[str, Owner] = {}
        self._live: dict[str, object] = {}  # a component's name to what stands for its present life
        self._ended: set[str] = set()  # closed since the present frame began
        self._got: Counter[str] = Counter()
        self._keys: list[Key] = []
        self._most: Counter[str] = Counter()
        self._newest: dict[Key, int] = {}  # the greatest mark of all frames of a stream
        self._acting = False
        self._broken: BaseException | None = None

    # -- life --

    def handler(self, name: str) -> Callable[[Any], None]:
        """One for a component that begins: a function, or now and then a method of an object that nobody else holds."""
        life = self._live[name] = object()

        def give(event: Any) -> None:
            self._give(name, life, event)

        if self._rng.random() < 0.7:
            return give
        owner = self._owners[name] = Owner(give)
        return owner.on_event

    def end(self, name: str) -> None:
        """The component is closed: from now on nothing reaches it."""
        self._live.pop(name, None)
        self._owners.pop(name, None)
        self._ended.add(name)

    def lose(self, name: str) -> bool:
        """The object of its handler goes, if that is a method: only the note of its sink may come of it."""
        if name not in self._owners or self._acting:  # a handler that is called holds its object
            return False
        before, kept = len(self.gone), self.sizes
        del self._owners[name]
        if len(self.gone) != before + 1:
            raise Given(f"property 13: {len(self.gone) - before} notes of the one handler that went")
        if self.sizes != kept:
            raise Given(f"property 13: of {kept} routes and sinks {self.sizes} are left as an object went")
        self.gone.clear()
        self.counts["owners lost"] += 1
        return True

    @property
    def sizes(self) -> tuple[int, int]:
        """Routes and sinks there are."""
        return self.router.interest_count, self.router.sink_count

    # -- what the engine and the venue do --

    def release(self, streams: Int32Array) -> None:
        """These ids are given back."""
        self._meter.reset_streams(streams)

    def arbitrate(self, streams: Int32Array, on: bool) -> None:
        """Two links carry these, or one again."""
        self._meter.arbitrate(streams, on)

    def group(self, variants: dict[float, int]) -> None:
        """Frames may have one of these groupings."""
        for index, channel in enumerate(self._channels):
            if channel.grouping:
                self._scanner.set_variants(index, variants)

    def frame(self, link: int, payload: bytes, now: int, keys: list[Key]) -> None:
        """One frame came, which is about `keys`."""
        due, self._keys, self._most = self.due(keys), keys, Counter()
        news = self._is_news(payload)
        self._got.clear()
        self._ended.clear()
        known, before = len(self._interner), self._feed.counters()
        acted = self.counts["acts of handlers"]
        self._feed.feed(link, payload, now)
        self._feed.give_images()
        self._raise()
        after = self._feed.counters()
        if not any(after[name] > before[name] for name in COUNTED):
            raise Given(f"property 12: nothing counts {payload[:200]!r}")
        if not keys and after["events"] > before["events"]:
            raise Given(f"property 12: an event was made of {payload[:200]!r}")
        if acted == self.counts["acts of handlers"] and len(self._interner) != known:
            raise Given(f"property 12: a frame made the table of symbols grow: {payload[:200]!r}")
        then = due if acted == self.counts["acts of handlers"] else self.due(keys)
        kept_back = not news and any(after[name] > before[name] for name in KEPT_BACK)
        most, least = due | then | self._most, due & then
        self.counts["news that was due"] += news and bool(least)
        try:
            self._check_shares(most, least, kept_back)
        except Given as error:
            raise Given(f"{error}: {payload[:300]!r}") from None

    def turn(self) -> None:
        """The loop turns: who joined gets what is newest."""
        self._feed.give_images()
        self._raise()

    def check(self) -> None:
        """Property 12: what is kept of bad frames is bounded."""
        kept = self._feed.bad_frames()
        if len(kept) > BAD_KEPT or any(len(frame.head) > BAD_BYTES for frame in kept):
            raise Given(
                f"property 12: {len(kept)} bad frames are kept, {BAD_KEPT} of {BAD_BYTES} bytes allowed"
            )
        if self._feed.counters()["bad"] and not all(frame.reason for frame in kept):
            raise Given("property 12: a frame is called bad without a reason")

    def _is_news(self, payload: bytes) -> bool:
        """Whether all in a frame is newer than whatever came of its streams: nothing may keep that back. Else a feed
        could lose frames and call them repeats."""
        marks = self.marks(payload)
        news = bool(marks)
        for key, mark in marks:
            if mark is None or mark <= self._newest.get(key, -1):
                news = False
            else:
                self._newest[key] = mark
        return news

    def _check_shares(self, most: Counter[str], least: Counter[str], kept_back: bool) -> None:
        """All who shall have a frame get it, once for each topic; or it is rightly kept back, and nobody does. Who
        was paused, resumed or let go meanwhile, by a handler that was called before, may or may not."""
        for name in self._got:
            if self._got[name] > most[name]:
                raise Given(f"property 13: {name} was given {self._got[name]} events, {most[name]} were due")
        if self._got or not kept_back:
            short = [name for name in least if self._got[name] < least[name] and name not in self._ended]
            if short:
                others = "others were given a frame" if self._got else "a frame was not to be kept back"
                raise Given(f"property 13: {others}, and {short} were not given it")

    # -- what handlers see --

    def _give(self, name: str, life: object, event: Any) -> None:
        self.counts["calls of handlers"] += 1
        if self.calling:
            raise Given(f"property 13: the handler of {name} is called inside a public call")
        if self._live.get(name) is not life:
            raise Given(f"property 13: {event.symbol} reaches {name}, which is closed")
        if not event.is_image:
            self._got[name] += 1
        if self._rng.random() < ACTS:
            self.counts["acts of handlers"] += 1
            self._most |= self.held(self._keys)  # resumed now, whoever held it as the frame began may have it
            self._acting = True
            try:
                self.act()
            finally:
                self._acting = False

    def _failed(self, component: int, sink: int, error: BaseException) -> None:
        self._broken = self._broken or error

    def _raise(self) -> None:
        if self._broken is not None:
            raise self._broken
