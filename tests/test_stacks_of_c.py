"""Stacks in spite of the interpreter: a call in C keeps it to itself, and faulthandler writes who it was, for real."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

CHILD = """
import asyncio, ctypes, sys
import subcore
from subcore.sim.durations import Durations
from subcore.sim.server import SimServer

usleep = ctypes.PyDLL(None).usleep  # does not let the interpreter go, as much code in C does not
done = set()

def hold_unseen(event):
    if "unseen" not in done:
        done.add("unseen")
        usleep(900_000)

def hold_seen(event):
    if "seen" not in done:
        done.add("seen")
        usleep(900_000)

async def play(url, dumps, handler):
    rules = subcore.Obligations(blocked=0.1, dump_stacks=dumps)
    async with subcore.SubscriptionManager("upbit", url=url, seed=1, obligations=rules) as manager:
        component = manager.component("blocker")
        component.subscribe("ticker", "KRW-BTC", handler)
        while not (manager.blockers and manager.blockers[0].over):
            await asyncio.sleep(0.01)
        found = manager.blockers[0]
        print(found.component, found.handler.rsplit(".", 1)[-1], found.seconds >= 0.5)
        component.close()

async def main():
    async with SimServer(seed=3, rate=5.0, durations=Durations().divided(20)) as server:
        await play(server.url, False, hold_unseen)
        await play(server.url, True, hold_seen)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no usleep there")
def test_the_stack_of_c_code_that_keeps_the_interpreter_is_written_where_that_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=60.0)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["blocker hold_unseen True", "blocker hold_seen True"]
    dumps = re.split(r"Timeout \(0:00:00\.5\d*\)!", done.stderr)[1:]
    assert any("in hold_seen" in dump for dump in dumps), done.stderr
    assert "hold_unseen" not in "".join(dumps)
