"""Lists of markets that come while streams are under way, with the engine played by hand."""

from __future__ import annotations

import asyncio
import json

import numpy as np

from engine_script import BTC, ETH, Script
from manager_rig import make
from subcore.engine import actions, events
from subcore.engine.link import Phase
from subcore.engine.topics import TopicEvent
from subcore.types import Listing, StatusKind, StreamState, Topic
from virtual_manager import World


def lists(s: Script, *symbols: str) -> None:
    """The venue's list, asked for now."""
    s.tell(events.SymbolsKnown(frozenset(symbols)))
    s.wait(11, frames=1)


def test_a_stream_that_a_list_refused_can_be_asked_for_again_once_another_has_it() -> None:
    s = Script()
    s.want("ticker", BTC, ETH)
    s.up()
    s.data([0])
    lists(s, BTC)  # it was sent before there was a list
    lists(s, BTC)
    assert s.state(1) is StreamState.REFUSED
    assert s.engine.streams.reasons, "what was refused keeps its reason"
    lists(s, BTC, ETH)
    assert s.state(1) is StreamState.REFUSED, "until somebody asks anew"
    assert "not listed" in s.engine.row(1).reason
    s.tell(events.AskedAgain(s.want("ticker", ETH, who="another")))
    s.wait(3, frames=1)
    for link in s.generations:
        if s.engine.links[link].phase is Phase.CONNECTING:
            s.up(link=link)
    s.data([1], link=s.engine.row(1).link)
    assert s.state(1) is StreamState.OPEN


def test_a_stream_on_its_way_to_a_link_is_only_watched() -> None:
    s = Script()
    good = s.open_with("ticker", BTC)
    (late,) = s.want("ticker", ETH).tolist()
    s.wait(1, frames=1)
    s.down("reset")
    s.wait(0.6)
    s.up()
    s.data(good)
    s.tell(events.SymbolsKnown(frozenset({BTC})))  # it waits for the nursery
    s.wait(0.1, frames=1)
    s.tell(events.SymbolsKnown(frozenset({BTC, ETH})))
    s.wait(1, frames=1)
    for _ in range(20):
        for link in s.generations:
            if s.engine.links[link].phase is Phase.CONNECTING:
                s.up(link=link)
        s.wait(0.5, frames=1)
    targets = [link.id for link in s.engine.links.values() if late in link.wire.target()]
    assert len(targets) == 1
    s.data([late], link=targets[0])
    assert s.state(late) is StreamState.OPEN
    s.unwant("ticker", ETH)
    s.wait(20, frames=1)
    assert not [link.id for link in s.engine.links.values() if late in link.wire.target()]
    assert s.told(StatusKind.REFUSED) == []


def test_a_list_that_was_asked_for_before_a_stream_came_does_not_refuse_it() -> None:
    """Each list takes two seconds to come; the second is under way when the market opens and is asked for."""
    listed, answers = [BTC], []

    async def source() -> list[str]:
        answer = list(listed)
        answers.append(answer)
        await asyncio.sleep(2.0)
        return answer

    async def main(world: World) -> None:
        async with world.manager(markets=source) as manager:
            component = make(manager, "c")
            component.subscribe("ticker", BTC, lambda event: None)
            while len(answers) < 2:
                await asyncio.sleep(0.5)
            listed.append(ETH)
            component.subscribe("ticker", ETH, lambda event: None)
            await component.live(10.0)
            assert answers == [[BTC], [BTC], [BTC, ETH]]

    World().run(main)


def test_a_list_that_leaves_out_who_was_asked_for_anew_meanwhile_fails_nobody() -> None:
    """Refused by the venue's markets, asked for again, and on the wire still until a message says otherwise."""
    s = Script()
    known, gone = s.want("ticker", BTC, "KRW-OLD").tolist()
    s.up()
    s.data([known])
    listing = next(
        send for send in s.wait(4, frames=1) if isinstance(send, actions.Send) and not send.request
    )
    s.tell(events.SymbolsKnown(frozenset({BTC})))
    s.tell(events.SymbolsKnown(frozenset({BTC})))
    assert s.state(gone) is StreamState.REFUSED
    s.tell(events.AskedAgain(np.array([gone], np.int32)))
    assert s.state(gone) is StreamState.WAITING
    assert gone in s.engine.links[0].wire.wire()
    ticket = json.loads(listing.payload)[0]["ticket"]
    s.say(Listing((Topic("ticker", BTC),), ticket))
    assert s.state(gone) is StreamState.WAITING
    assert not s.told(StatusKind.WAITING)
    assert s.engine.streams.pairs[StreamState.WAITING, TopicEvent.FAILED] == 0
