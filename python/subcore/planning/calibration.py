"""What a frame, a delivery and a wake-up take on this machine, now: frames are played through a manager over a socket.

They come as they do in life, a few at a time with pauses between, since a processor that has just woken is slower than
one in a tight loop. Only the processor time of the thread that runs the loop is counted.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from subcore.engine.forecast import Costs
from subcore.manager import SubscriptionManager
from subcore.planning.cast import delivery_of, handler_of, read
from subcore.planning.plans import BOXES, POLICIES
from subcore.planning.player import Player
from subcore.planning.samples import Sample, renamed, sample_of, symbols_like
from subcore.venue import Venue

__all__ = ["Key", "calibrate"]

Key = tuple[str, int]
GAP_S = 0.002  # between two pieces, at least ...
LONGEST_GAP_S = 0.01  # ... and at most
ROUND_S = 0.08
LEAST = 12  # pieces in a round ...
ROUNDS = 5  # ... and rounds of each kind
MANY = 32  # frames in a piece, to tell what each takes ...
FEW = 8  # ... where each goes to many
HOLDERS = 16
READ = ("queue", "latest", "async")  # policies that wake somebody
TIMERS = 50
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of round: these frames, so many in a piece."""

    name: str
    frames: tuple[bytes, ...]
    batch: int


def calibrate(
    venue: Venue, keys: Iterable[Key], policies: Iterable[str] = POLICIES, gap_s: float = GAP_S
) -> Costs:
    """Costs of frames of these (channel, depth) of a built-in venue, and of deliveries by these policies.

    `gap_s`: between two readings of the socket (2 to 10 ms are played): the longer, the dearer each is. Takes about
    half a second for each of the former and 1.5 s for each of the latter. A thread of its own runs a loop, so it may be
    called from anywhere, but holds whoever calls (from a coroutine: `await asyncio.to_thread(...)`).
    """
    found: list[Costs | BaseException] = []
    keys, policies = sorted(set(keys)), [p for p in POLICIES if p in {"callback", *policies}]

    def run() -> None:
        try:
            found.append(asyncio.run(_Calibration(venue, keys, policies, gap_s).run()))
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run, name="subcore-calibration")
    thread.start()
    thread.join()
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


class _Calibration:
    def __init__(self, venue: Venue, keys: Sequence[Key], policies: Sequence[str], gap_s: float) -> None:
        self._venue = venue
        self._keys = keys
        self._policies = policies
        self._gap_s = min(max(gap_s, GAP_S), LONGEST_GAP_S)
        self._count = max(LEAST, round(ROUND_S / self._gap_s))
        self._symbols = iter(symbols_like(venue.name))
        self._model = next(self._symbols)
        self._kinds: list[_Kind] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._held: list[Any] = []  # components, which live as long as this
        self._feed: Any = None
        self._took: dict[str, list[float]] = {}

    async def run(self) -> Costs:
        player = Player()
        try:
            manager = SubscriptionManager(
                self._venue.at(player.url), markets=None, latest=False, obligations=None
            )
            async with manager, asyncio.timeout(PATIENCE_S):
                self._subscribe(manager)
                self._feed = manager._hub.feed
                while not any(link.is_up for link in manager._hub.runtime.links.values()):
                    await asyncio.sleep(0.01)
                await self._play_all(player)
                self._took.clear()  # that was to warm up
                for _ in range(ROUNDS):
                    await self._play_all(player)
                timer = await self._timers()
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            player.close()
        return self._costs(timer)

    async def _play_all(self, player: Player) -> None:
        """A round of each kind; what it took of the processor, for each piece."""
        expected = self._feed.frames
        for kind in self._kinds:
            began = time.thread_time_ns()
            await player.play(kind.frames, kind.batch, self._count, self._gap_s)
            expected += kind.batch * self._count
            while self._feed.frames < expected:
                await asyncio.sleep(GAP_S)
            self._took.setdefault(kind.name, []).append((time.thread_time_ns() - began) / self._count)

    # -- what is played --

    def _subscribe(self, manager: SubscriptionManager) -> None:
        for number, key in enumerate(self._keys):
            frames = self._hold(manager, f"frames {number}", "callback", key, 1)
            self._kinds.append(_Kind(f"frame {number}", frames, MANY))
            if not number:
                self._kinds.append(_Kind("alone", frames, 1))
        for policy in self._policies:
            frames = self._hold(manager, policy, policy, self._keys[0], HOLDERS)
            self._kinds += [_Kind(f"{policy} 1", frames, 1), _Kind(f"{policy} {FEW}", frames, FEW)]
            if policy in READ:
                frames = self._hold(manager, f"{policy} by one", policy, self._keys[0], 1)
                self._kinds.append(_Kind(f"{policy} by one", frames, 1))

    def _hold(
        self, manager: SubscriptionManager, name: str, policy: str, key: Key, count: int
    ) -> tuple[bytes, ...]:
        """So many components take a stream of their own by this policy; its frames."""
        symbol = next(self._symbols)
        for number in range(count):
            component = manager.component(f"{name} {number}")
            self._held.append(component)
            handler = handler_of(policy)
            delivery = None if handler is not None else delivery_of(policy)
            component.subscribe(key[0], symbol, handler, delivery=delivery, depth=key[1] or None)
            if policy in BOXES:
                self._tasks.append(read(component))
        return self._of(*key, symbol)

    def _of(self, channel: str, depth: int, symbol: str) -> tuple[bytes, ...]:
        index = self._venue.channel_index(channel, depth or None)
        sample: Sample = sample_of(self._venue.name, index, depth, self._model)
        return tuple(renamed(frame, self._model, symbol) for frame in sample.frames)

    async def _timers(self) -> float:
        began = time.thread_time_ns()
        for _ in range(TIMERS):
            await asyncio.sleep(self._gap_s)
        return (time.thread_time_ns() - began) / TIMERS

    # -- what follows --

    def _costs(self, timer: float) -> Costs:
        # What else the machine does makes some rounds dearer and none cheaper.
        usual = (len(next(iter(self._took.values()))) + 1) // 2
        took = {name: statistics.fmean(sorted(rounds)[:usual]) for name, rounds in self._took.items()}
        spread = statistics.median(
            (max(rounds) - min(rounds)) / (2 * statistics.median(rounds)) for rounds in self._took.values()
        )
        each = (took["frame 0"] - took["alone"]) / (MANY - 1)  # a frame and one delivery
        delivery: dict[str, float] = {}
        wake = dict.fromkeys(self._policies, 0.0)
        turns: list[float] = []  # what readers take together, however many they are
        for policy in ("callback", *(p for p in self._policies if p != "callback")):
            more = (took[f"{policy} {FEW}"] - took[f"{policy} 1"]) / (FEW - 1)
            shared = each if policy == "callback" else each - delivery["callback"]
            others = HOLDERS - (policy == "callback")  # one is in `each` already
            delivery[policy] = max(0.0, (more - shared) / others)
            if policy in READ:
                apart = (took[f"{policy} 1"] - took[f"{policy} by one"]) / (HOLDERS - 1)
                wake[policy] = max(0.0, apart - delivery[policy])
                turns.append(took[f"{policy} by one"] - took["alone"] - wake[policy])
        read = max(0.0, took["alone"] - each)
        frames = {
            key: max(0.0, (took[f"frame {number}"] - read) / MANY - delivery["callback"])
            for number, key in enumerate(self._keys)
        }
        return Costs(read, frames, delivery, wake, max(0.0, *turns, 0.0), timer, spread)
