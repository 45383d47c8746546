"""Names to addresses, in threads of our own.

`getaddrinfo` cannot be cancelled and asyncio's default executor is joined when the loop closes, so a hung name server
would hang the program's exit. These threads are daemons and nobody joins them: a caller waits at most its deadline.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .errors import LinkError

T = TypeVar("T")
Address = tuple[int, int, int, Any]  # family, type, protocol, sockaddr
Lookup = Callable[[str, int], list[Address]]
LOOKUP_DEADLINE_S = 5.0


def system_lookup(host: str, port: int) -> list[Address]:
    """Ask the system's resolver. Blocks; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, kind, protocol, address) for family, kind, protocol, _, address in found]


class Resolver:
    """Resolves anew at each call: a venue behind a rotating set of addresses makes an old answer a fault.

    Callers of one name share the look-up under way, so a hung name server costs one thread a name, not one a retry.
    """

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._under_way: dict[tuple[str, int], asyncio.Future[list[Address]]] = {}

    async def resolve(self, host: str, port: int, timeout: float = LOOKUP_DEADLINE_S) -> list[Address]:
        """Addresses of `host`, at least one. Raises LinkError when none came within `timeout` seconds. Cancel-safe."""
        literal = _literal_address(host, port)
        if literal is not None:
            return [literal]
        try:
            async with asyncio.timeout(timeout):  # wait_for of 3.11 may lose a cancellation
                answer = await asyncio.shield(self._shared(host, port))
        except TimeoutError:
            raise LinkError(
                f"no answer for the name {host!r} within {timeout:g} s: check the name server of this machine"
            ) from None
        except (
            OSError,
            ValueError,
        ) as error:  # ValueError: what no name can be, as a part of over 63 characters
            raise LinkError(
                f"the name {host!r} does not resolve ({error}): check the url and the network"
            ) from error
        if not answer:
            raise LinkError(f"the name {host!r} has no address: check the url")
        return answer

    def _shared(self, host: str, port: int) -> asyncio.Future[list[Address]]:
        key = (host, port)
        future = self._under_way.get(key)
        if future is None:
            future = run_in_daemon(f"subcore-dns-{host}", lambda: self._lookup(host, port))
            self._under_way[key] = future
            future.add_done_callback(lambda done: self._forget(key, done))
        return future

    def _forget(self, key: tuple[str, int], done: asyncio.Future[list[Address]]) -> None:
        self._under_way.pop(key, None)
        if not done.cancelled():
            done.exception()  # every waiter may have left: an unread exception would be logged by asyncio


def run_in_daemon(name: str, work: Callable[[], T]) -> asyncio.Future[T]:
    """Run blocking `work` in a daemon thread of its own; the result arrives in the running loop, if it still lives.

    So does whatever it raises, and LinkError where there is no thread to be had.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(_for_a_future(error))
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def body() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = work()
        except (
            BaseException
        ) as caught:  # SystemExit ends this thread at most, and somebody waits for the answer
            error = caught
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(settle, result, error)
            except RuntimeError:
                return  # the loop closed between the question and the call: nobody waits any more

    try:
        threading.Thread(target=body, name=name, daemon=True).start()
    except (RuntimeError, MemoryError) as error:
        future.set_exception(
            LinkError(f"the system gives no thread ({error}): raise its limit on threads or memory")
        )
    return future


def _for_a_future(error: BaseException) -> BaseException:
    """A future takes no StopIteration, and with SystemExit whoever awaits it would end the loop."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"{type(error).__name__} was raised in a thread")
    wrapped.__cause__ = error
    return wrapped


def _literal_address(host: str, port: int) -> Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if address.version == 4:
        return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, (host, port))
    return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, (host, port, 0, 0))
