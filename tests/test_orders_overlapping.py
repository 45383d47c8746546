"""All orders of an account beside those of one market, on links of their own: each has every change of its own once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from manager_rig import make
from private_keys import token
from subcore import Order
from subcore.types import Priority
from virtual_manager import World

ETH = "KRW-ETH"
STANDBY = {"standby": True}
OWN_LINK = {"own_link": True, "priority": Priority.CRITICAL}
HELD_S = 30.0


async def good() -> str:
    return token()


class Heard(World):
    """Notes what arrived, from whichever link."""

    def __init__(self) -> None:
        super().__init__(1, rate=5.0)
        self.frames: dict[bytes, None] = {}

    def arrives(self, end: Any, output: Any) -> None:
        if output.kind == "frame" and output.payload.startswith(b'{"ty":"myOrder"'):
            self.frames[output.payload] = None
        super().arrives(end, output)


@pytest.mark.parametrize(
    ("of_all", "of_one"), [(STANDBY, {}), ({}, STANDBY), (OWN_LINK, {}), ({}, OWN_LINK), (STANDBY, OWN_LINK)]
)
def test_each_change_comes_once_to_whom_it_is_due(of_all: dict[str, Any], of_one: dict[str, Any]) -> None:
    async def main(world: Heard) -> None:
        got: dict[str, list[Order]] = {"*": [], ETH: []}
        async with world.manager(credentials=good) as manager:
            for symbol, options in (("*", of_all), (ETH, of_one)):
                desk = make(manager, symbol)
                desk.subscribe("myOrder", symbol, got[symbol].append, raw=True, **options)
            await asyncio.sleep(HELD_S)
            await manager.rotate()
            await asyncio.sleep(HELD_S)
            assert len(world.exchange.connections) > 1
            came = sorted(world.frames)
        named = f'"cd":"{ETH}"'.encode()
        assert sorted(order.raw or b"" for order in got["*"]) == came
        assert sorted(order.raw or b"" for order in got[ETH]) == [frame for frame in came if named in frame]
        assert len(got[ETH]) > 100

    Heard().run(main)
