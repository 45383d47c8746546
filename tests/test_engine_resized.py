"""A stream whose width changes while it is given up: nothing of it may be left behind on its link."""

from __future__ import annotations

from engine_script import BTC, ETH, Script
from subcore.engine import actions
from subcore.engine.clock import SECOND
from subcore.types import Listing, Topic


def widened_and_left_out(offset: float) -> tuple[Script, int] | None:
    """A book that was silent is widened while the limits hold its message back, and then a list names it no more.

    None where with this offset the message went out at once.
    """
    script = Script()
    script.open_with("ticker", BTC)
    script.wait(20, frames=1)
    (stream,) = script.want("orderbook", ETH, who="a", depth=5).tolist()
    link = script.engine.links[0]
    begun = script.now
    script.wait(offset, frames=1)
    more = [f"KRW-X{number}" for number in range(4)]
    for symbol in more:
        wanted = script.want("ticker", symbol)
        if script.of(actions.Send):
            script.data(wanted)
    while not link.listing_sent and script.now - begun < 6 * SECOND:
        script.wait(0.01, frames=1)
    if link.listing_sent is None:
        return None
    script.want("ticker", "KRW-Y")
    held_back = not script.of(actions.Send)
    script.want("orderbook", ETH, who="b", depth=15)
    if not held_back or script.of(actions.Send):
        return None
    script.say(
        Listing((Topic("ticker", BTC), *(Topic("ticker", code) for code in more)), link.listing_sent[1])
    )
    return script, stream


def reached() -> tuple[Script, int]:
    for twentieths in range(16, 41):
        if (made := widened_and_left_out(twentieths / 20)) is not None:
            return made
    raise AssertionError("the limits never held the message back at the right moment")


def test_its_id_may_be_given_back() -> None:
    script, stream = reached()
    script.unwant("orderbook", ETH, who="a", depth=5, tell=False)
    script.unwant("orderbook", ETH, who="b", depth=15)
    assert stream not in script.ledger.live()
    sent = [action for action in script.wait(1.5) if isinstance(action, actions.Send)]
    assert any(b"KRW-Y" in action.payload for action in sent)


def test_it_is_not_taken_for_carried() -> None:
    script, stream = reached()
    script.wait(1.5)
    assert script.engine.streams.legs.width[2 * stream] == -1
    script.unwant("orderbook", ETH, who="a", depth=5, tell=False)
    script.unwant("orderbook", ETH, who="b", depth=15)
    script.wait(120, frames=1)
    assert stream not in script.ledger.live()
