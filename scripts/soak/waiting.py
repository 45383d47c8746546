"""Property 4 from message to message: who waits for a link's messages while something of a lower class is written.

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
    """Since when what each open link has yet to be asked for waits, by what was seen after every event."""

    def __init__(self) -> None:
        self._since: dict[int, dict[Key, int]] = {}

    def after(self, did: list[actions.Action], driver: JudgedDriver) -> None:
        """The engine did this, and what waits may be something else now."""
        written = [
            (action.link, driver.world.grammar.said(action.payload).adds)
            for action in did
            if isinstance(action, actions.Send) and action.opcode == TEXT
        ]
        waiting = self._waiting(driver)
        for number, (link, adds) in enumerate(written):
            later = [key for other, keys in written[number + 1 :] if other == link for key in keys]
            if adds and (rest := [*waiting.get(link, ()), *later]):
                self._judge(link, adds, rest, driver)
        for link, keys in waiting.items():
            before = self._since.get(link, {})
            self._since[link] = now = {key: before.get(key, driver.now) for key in keys}
            starved = [key for key, since in now.items() if driver.now - since > MOST_NS]
            if starved:
                raise Broken(f"property 4: {starved} have waited for messages of link {link} for too long")
        for link in self._since.keys() - waiting.keys():
            del self._since[link]

    def _judge(self, link: int, adds: list[Key], rest: list[Key], driver: JudgedDriver) -> None:
        driver.judge.checks["messages while others wait"] += 1
        since, classes = self._since.get(link, {}), driver.wishes.classes()
        carried = self._carried(link, driver)
        opened = {driver.key_of(stream) for stream in driver.streams_in(StreamState.OPEN)}
        lowest = [
            (ELSEWHERE if key in carried & opened else classes.get(key, ELSEWHERE), key)
            for key in adds
            if driver.now - since.get(key, driver.now) < GUARD_NS
        ]
        highest = [(classes.get(key, ELSEWHERE), key) for key in rest if key not in carried]
        if lowest and highest and max(highest)[0] > min(lowest)[0]:
            raise Broken(
                f"property 4: link {link} is asked for {min(lowest)} while {max(highest)} waits for its messages"
                f" (class and stream; {ELSEWHERE}: another brings it)"
            )

    @staticmethod
    def _carried(link: int, driver: JudgedDriver) -> set[Key]:
        """What other connections were seen to bring."""
        others = (books for wire, books in driver.judge.wires.items() if wire[0] != link)
        return {key for books in others for key in books.sent if key in books.proven}

    @staticmethod
    def _waiting(driver: JudgedDriver) -> dict[int, list[Key]]:
        """By link that is open: what it shall carry and was not asked for."""
        states = driver.engine.streams.state
        return {
            link.id: [
                driver.key_of(stream)
                for stream in link.wire.added().tolist()
                if states[stream] not in (StreamState.REFUSED, StreamState.CLOSED)
            ]
            for link in driver.engine.links.values()
            if link.is_up and link.wire.len_added
        }
