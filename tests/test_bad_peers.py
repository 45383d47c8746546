"""A manager over real sockets whose peer sends nonsense, or says nothing any more."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from manager_rig import SOON, make, until
from raw_server import Peer, raw_server
from subcore.manager import SubscriptionManager
from subcore.sim.durations import Durations
from subcore.sim.faults import Fault
from subcore.sim.server import SimServer
from subcore.venue import Keepalive
from subcore.venues import get_venue

TRADE = (
    b'{"type":"trade","code":"KRW-BTC","timestamp":1788000000000,"trade_price":5,"trade_volume":0.1,'
    b'"ask_bid":"BID","sequential_id":17880000000000001,"stream_type":"REALTIME"}'
)
NOT_UTF8 = {
    "lone byte": TRADE.replace(b"KRW", b"K\xffW"),
    "overlong": TRADE.replace(b'"BID"', b'"BID","x":"\xc0\xaf"'),
    "surrogate": TRADE.replace(b'"BID"', b'"BID","x":"\xed\xa0\x80"'),
}


@pytest.mark.parametrize("opcode", [1, 2])
async def test_text_that_is_no_utf8_costs_its_frame_and_not_the_link(opcode: int) -> None:
    """The transport hands invalid UTF-8 on as it came: we judge, count, keep, and read the next frame."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.read_frame()
        for bad in NOT_UTF8.values():
            peer.frame(opcode, bad)
        peer.frame(opcode, TRADE)
        await peer.reader.read()

    async with raw_server(script) as url, SubscriptionManager("upbit", url=url) as manager:
        component = make(manager, "reader")
        component.subscribe("trade", "KRW-BTC")
        async with asyncio.timeout(SOON):
            event = await anext(aiter(component))
        assert event.to_dict()["id"] == 17880000000000001
        assert [bad.reason for bad in manager.bad_frames()] == ["bad_utf8"] * 3
        assert [bad.head for bad in manager.bad_frames()] == [bad[:256] for bad in NOT_UTF8.values()]
        assert manager.stats().losses_of_link == 0
        component.close()


@pytest.mark.parametrize("kind", ["half_open", "mute_pong"])
async def test_a_link_whose_pong_never_comes_is_given_up_and_restored(kind: str) -> None:
    quick = Keepalive(idle=0.1, answer=0.5, busy_idle=0.1, busy_answer=0.5)
    rate = 5.0 if kind == "half_open" else 0.01  # a market so slow that only pongs show the link alive
    async with SimServer(seed=3, rate=rate, durations=Durations().divided(20)) as server:
        venue = dataclasses.replace(get_venue("upbit").at(server.url), keepalive=quick)
        async with SubscriptionManager(venue, markets=None, seed=1) as manager:
            reasons: list[str] = []
            component = make(manager, "watcher", on_status=lambda status: reasons.append(status.reason))
            component.subscribe("ticker", ["KRW-BTC"])
            await component.live(SOON)
            server.exchange.inject(Fault(kind), server.clock())
            server.wake()
            await until(lambda: manager.stats().losses_of_link == 1)
            assert any("no answer to a ping" in reason for reason in reasons)
            server.exchange.heal(server.clock(), kind)
            server.wake()
            await component.live(SOON)
            component.close()
