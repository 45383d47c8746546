"""Property 4 from message to message: who waits while something of a lower class is written, and that nobody starves.

Who waits is what is wanted by the dict of wishes, less what the judge saw written to connections that are open. Two
things are still read from the engine: which link a stream waits for, since where it is placed is the engine's choice
and each connection has its own budget; and whether it is REFUSED, which the judge holds to evidence. Whoever waits for
no link at all (a list of markets, a retry, a trial) can be passed by, but not for ever where no connection fails: that
is judged without asking the engine for links.
Where a request states all that a link carries nothing is left to wait; there the judge looks at the order of entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grammar import Key
from judge import Broken

from subcore.engine import actions
from subcore.engine.clock import SECOND
from subcore.types import StreamState

if TYPE_CHECKING:
    from world import JudgedDriver

TEXT = 1
GUARD_NS = 10 * SECOND  # who waited so long goes first, whatever its class
MOST_NS = 150 * SECOND  # two windows of a minute and more: whoever waits longer starves
ELSEWHERE = -1  # the class of what another connection brings already


class Waiting:
    """Since when what is wanted is on no wire, and what a link has yet to be asked for waits."""

    def __init__(self) -> None:
        self._since: dict[Key, int] = {}
        self._served: dict[Key, int] = {}  # of them, what the venue has and nobody refused
        self._of_links: dict[tuple[int, Key], int] = {}

    def after(self, did: list[actions.Action], driver: JudgedDriver) -> None:
        """The engine did this, and what waits may be something else now."""
        written = [
            (action.link, driver.world.grammar.said(action.payload).adds)
            for action in did
            if isinstance(action, actions.Send) and action.opcode == TEXT
        ]
        if not any(adds for _, adds in written):
            return
        unsent = self._unsent(driver)
        # A removal that nobody answered may not have been done: what it named is not asked for while it may be there.
        waiting = unsent - {key for books in driver.judge.wires.values() for key in books.leaving}
        for number, (link, adds) in enumerate(written):
            later = [key for other, keys in written[number + 1 :] if other == link for key in keys]
            if adds and (rest := [*self._for_link(link, waiting, driver), *later]):
                self._judge(link, adds, rest, driver)
        self._note(unsent, driver.now)

    def wished(self, driver: JudgedDriver) -> None:
        """Wishes changed: from now on some wait."""
        self._note(self._unsent(driver), driver.now)

    def looked(self, driver: JudgedDriver) -> None:
        """Time passed: what each link has yet to be asked for, second carriers among them."""
        before, self._of_links = self._of_links, {}
        for link in driver.engine.links.values():
            for stream in link.wire.added().tolist() if link.is_up and link.wire.len_added else ():
                if driver.engine.streams.state[stream] not in (StreamState.REFUSED, StreamState.CLOSED):
                    place = (link.id, driver.key_of(stream))
                    self._of_links[place] = before.get(place, driver.now)

    def check(self, driver: JudgedDriver) -> None:
        """Each step: who has begun to wait, and who has waited for too long."""
        markets, guilty = driver.exchange.markets, driver.guilty
        refused = {driver.key_of(stream) for stream in driver.streams_in(StreamState.REFUSED)}
        self._note(unsent := self._unsent(driver), driver.now)
        self._served = {
            key: self._served.get(key, driver.now)
            for key in unsent - refused
            if key[1] in markets and guilty.get(key[1], 0.0) < driver.now
        }
        driver.judge.checks["looks at who waits"] += len(self._served)
        calm = driver.alive.died_at  # until the venue lets connections live, nobody can be asked
        if starved := [k for k, since in self._served.items() if driver.now - max(since, calm) > MOST_NS]:
            raise Broken(f"property 4: {starved} have been wanted for too long, and no connection was asked")
        self.looked(driver)
        if starved := [place for place, since in self._of_links.items() if driver.now - since > MOST_NS]:
            raise Broken(f"property 4: {starved} (link and stream) have waited for messages for too long")

    def _note(self, waiting: set[Key], now: int) -> None:
        self._since = {key: self._since.get(key, now) for key in waiting}

    def _judge(self, link: int, adds: list[Key], rest: list[Key], driver: JudgedDriver) -> None:
        driver.judge.checks["messages while others wait"] += 1
        classes, carried = driver.wishes.classes(), self._carried(link, driver)
        opened = {driver.key_of(stream) for stream in driver.streams_in(StreamState.OPEN)}
        lowest = [
            (ELSEWHERE if key in carried & opened else classes.get(key, ELSEWHERE), key)
            for key in adds
            if driver.now - self._waits_since(link, key, driver.now) < GUARD_NS
        ]
        highest = [(classes.get(key, ELSEWHERE), key) for key in rest if key not in carried]
        if lowest and highest and max(highest)[0] > min(lowest)[0]:
            raise Broken(
                f"property 4: link {link} is asked for {min(lowest)} while {max(highest)} waits for its messages"
                f" (class and stream; {ELSEWHERE}: another brings it)"
            )

    def _waits_since(self, link: int, key: Key, now: int) -> int:
        """What another connection brings waits for this link all the same."""
        return min(self._since.get(key, now), self._of_links.get((link, key), now))

    @staticmethod
    def _carried(link: int, driver: JudgedDriver) -> set[Key]:
        """What other connections were seen to bring."""
        others = (books for wire, books in driver.judge.wires.items() if wire[0] != link)
        return {key for books in others for key in books.sent if key in books.proven}

    @staticmethod
    def _unsent(driver: JudgedDriver) -> set[Key]:
        """What is wanted and no open connection was asked for."""
        sent = {key for books in driver.judge.wires.values() for key in books.sent}
        return driver.wishes.classes().keys() - sent

    @staticmethod
    def _for_link(link: int, waiting: set[Key], driver: JudgedDriver) -> list[Key]:
        """Those of them that the engine has given to that link, and has not refused."""
        if not waiting:
            return []
        state, target = driver.engine.streams.state, driver.engine.links[link].wire.target().tolist()
        good = [stream for stream in target if state[stream] not in (StreamState.REFUSED, StreamState.CLOSED)]
        return sorted(waiting.intersection(map(driver.key_of, good)))
