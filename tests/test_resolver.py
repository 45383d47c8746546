"""Name look-ups end by their deadline and never keep the program from ending."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from subcore.errors import LinkError
from subcore.resolver import Address, Resolver, run_in_daemon

HERE: Address = (socket.AF_INET, socket.SOCK_STREAM, 6, ("127.0.0.1", 80))


async def test_literals_need_no_thread() -> None:
    def never(host: str, port: int) -> list[Address]:
        raise AssertionError("asked")

    resolver = Resolver(never)
    assert (await resolver.resolve("127.0.0.1", 80))[0][3] == ("127.0.0.1", 80)
    assert (await resolver.resolve("::1", 80))[0][0] == socket.AF_INET6


async def test_each_resolve_asks_anew() -> None:
    asked: list[str] = []

    def lookup(host: str, port: int) -> list[Address]:
        asked.append(host)
        return [HERE]

    resolver = Resolver(lookup)
    await resolver.resolve("a.example", 80)
    await resolver.resolve("a.example", 80)
    assert asked == ["a.example", "a.example"]


async def test_a_hung_name_server_costs_one_thread_and_its_deadline() -> None:
    release = threading.Event()
    calls: list[int] = []

    def lookup(host: str, port: int) -> list[Address]:
        calls.append(1)
        release.wait()
        return [HERE]

    resolver = Resolver(lookup)
    for _ in range(3):
        with pytest.raises(LinkError, match="no answer for the name"):
            await resolver.resolve("hung.example", 80, timeout=0.01)
    assert len(calls) == 1
    release.set()
    assert await resolver.resolve("hung.example", 80) == [HERE]


async def test_who_is_cancelled_as_the_answer_comes_ends() -> None:
    release = threading.Event()

    def lookup(host: str, port: int) -> list[Address]:
        release.wait()
        return [HERE]

    resolver = Resolver(lookup)
    for turns in range(2):  # after two the answer is handed over
        task = asyncio.ensure_future(resolver.resolve("a.example", 80))
        await asyncio.sleep(0)
        resolver._under_way["a.example", 80].set_result([HERE])
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled(), f"cancelled {turns} turns of the loop after the answer"
    release.set()


@pytest.mark.parametrize("answer", [OSError("no such host"), UnicodeError("label empty or too long"), []])
async def test_failures_are_link_errors(answer: object) -> None:
    def lookup(host: str, port: int) -> list[Address]:
        if isinstance(answer, Exception):
            raise answer
        return []

    with pytest.raises(LinkError, match=r"bad\.example"):
        await Resolver(lookup).resolve("bad.example", 80)


def test_a_loop_that_closed_meanwhile_is_not_disturbed() -> None:
    release = threading.Event()
    threads: list[threading.Thread] = []

    async def main() -> None:
        run_in_daemon("late", lambda: release.wait())
        threads.extend(t for t in threading.enumerate() if t.name == "late")

    asyncio.run(main())
    release.set()
    threads[0].join(5)
    assert not threads[0].is_alive()
