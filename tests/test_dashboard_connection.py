"""One client against the pure end of the server: any bytes in any pieces, slow ones and deaf ones, nothing raised."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subcore.dashboard.answers import Answer, said
from subcore.dashboard.connection import DRAIN_S, HEAD_S, REST_S, Connection, Stream
from subcore.dashboard.requests import HEAD_LIMIT, Request

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport in memory. `deaf`: the peer takes nothing. Tells once that it is full, as asyncio's do."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = self.aborted = self.paused = self.deaf = self.full = False
        self.protocol: Any = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high == 0

    def write(self, data: Any) -> None:
        assert not self.closed, "written after the end"
        assert not self.full, "written behind what is not taken yet"
        self.sent += data
        if self.deaf:
            self.full = True
            self.protocol.pause_writing()

    def take(self) -> None:
        """The peer takes all that was written."""
        self.full = False
        self.protocol.resume_writing()

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Owner:
    """Answers whatever it was told to."""

    def __init__(self, answer: Any = None, admits: bool = True) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: list[Exception] = []
        self.asked: list[Request] = []
        self.viewers: list[Connection] = []
        self.gone = 0
        self._answer = answer or said(200, "hello")
        self._admits = admits

    def admit(self, connection: Connection) -> bool:
        return self._admits

    def left(self, connection: Connection) -> None:
        self.gone += 1

    def answer(self, request: Request) -> Any:
        self.asked.append(request)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def joined(self, connection: Connection) -> None:
        self.viewers.append(connection)

    def failed(self, error: Exception) -> None:
        self.errors.append(error)


class Timers:
    """In place of the loop's: what was set, called by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.handle: Any = None
        monkeypatch.setattr(Connection, "_arm", lambda connection, seconds: self.arm(connection, seconds))

    def arm(self, connection: Connection, seconds: float) -> None:
        connection._disarm()
        self.seconds = seconds

        class Handle:
            cancelled = False

            def cancel(self) -> None:
                self.cancelled = True

        self.handle = connection._timer = Handle()  # type: ignore[assignment]

    def fire(self, connection: Connection) -> None:
        assert self.handle is connection._timer
        connection._late()


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> Timers:
    return Timers(monkeypatch)


def connected(owner: Owner, deaf: bool = False) -> tuple[Connection, Wire]:
    connection, wire = Connection(owner), Wire()
    wire.protocol, wire.deaf = connection, deaf
    connection.connection_made(wire)
    return connection, wire


def statuses(wire: Wire) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]+)", wire.sent)]


def test_requests_one_after_the_other(timers: Timers) -> None:
    owner = Owner()
    connection, wire = connected(owner)
    for piece in (GET[:5], GET[5:], GET):
        connection.data_received(piece)
    assert statuses(wire) == [200, 200]
    assert not wire.closed
    assert timers.seconds == REST_S
    timers.fire(connection)
    assert wire.closed
    assert not wire.aborted
    assert owner.counts == {"requests": 2}


def test_what_comes_before_its_answer_is_not_read(timers: Timers) -> None:
    owner = Owner()
    connection, wire = connected(owner)
    connection.data_received(GET * 1000)
    assert statuses(wire) == [200]
    assert wire.closed
    assert b"Connection: close" in wire.sent
    assert len(owner.asked) == 1


def test_an_endless_head_ends(timers: Timers) -> None:
    connection, wire = connected(Owner())
    while not wire.closed:
        connection.data_received(b"GET / HTTP/1.1\r\n" + b"a" * 1000)
        assert len(connection._buffer) <= HEAD_LIMIT + 2000
    assert statuses(wire) == [431]


def test_a_head_that_dribbles_in_has_so_long(timers: Timers) -> None:
    owner = Owner()
    connection, wire = connected(owner)
    connection.data_received(GET[:3])
    first = timers.handle
    for byte in GET[3:-1]:
        connection.data_received(bytes([byte]))
    assert timers.handle is first  # each byte does not begin the time anew
    assert timers.seconds == HEAD_S
    timers.fire(connection)
    assert statuses(wire) == [408]
    assert wire.closed
    assert owner.counts["slow_clients"] == 1


def test_who_does_not_read_is_cut_off(timers: Timers) -> None:
    owner = Owner()
    connection, wire = connected(owner, deaf=True)
    connection.data_received(GET)
    assert timers.seconds == DRAIN_S
    timers.fire(connection)
    assert wire.aborted
    assert owner.counts["slow_clients"] == 1


def test_who_reads_slowly_is_waited_for(timers: Timers) -> None:
    connection, wire = connected(Owner(), deaf=True)
    connection.data_received(GET)
    wire.take()
    assert timers.seconds == REST_S
    wire.deaf = False
    connection.data_received(GET)
    assert statuses(wire) == [200, 200]


def test_who_asks_on_and_reads_nothing_gets_no_more(timers: Timers) -> None:
    owner = Owner()
    connection, wire = connected(owner, deaf=True)
    connection.data_received(GET)
    drains = timers.handle
    assert wire.paused  # what it sends from now on stays in the kernel
    connection.data_received(GET)  # was under way
    assert (statuses(wire), timers.handle) == ([200], drains)
    wire.take()
    assert (statuses(wire), wire.paused, timers.seconds) == ([200, 200], True, DRAIN_S)
    wire.take()
    assert (wire.paused, timers.seconds) == (False, REST_S)
    connection.data_received(GET[:9])
    connection.data_received(GET[9:])
    timers.fire(connection)
    assert wire.aborted
    assert (statuses(wire), owner.counts["slow_clients"]) == ([200] * 3, 1)


async def test_an_answer_that_takes_time(timers: Timers) -> None:
    future = asyncio.get_running_loop().create_future()
    connection, wire = connected(Owner(future))
    connection.data_received(GET)
    assert wire.paused
    assert wire.sent == b""
    future.set_result(Answer(200, b"late"))
    await asyncio.sleep(0)
    assert wire.sent.endswith(b"late")
    assert not wire.paused


@pytest.mark.parametrize("end", ["fails", "is cancelled", "is nobody's", "is nobody's and fails"])
async def test_an_answer_that_never_comes(timers: Timers, end: str) -> None:
    said: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: said.append(context))
    owner, future = Owner(asyncio.get_running_loop().create_future()), None
    future = owner._answer
    connection, wire = connected(owner)
    connection.data_received(GET)
    if end == "fails":
        future.set_exception(ValueError("no"))
    elif end == "is cancelled":
        future.cancel()
    else:
        connection.connection_lost(None)
        if end.endswith("fails"):
            future.set_exception(ValueError("no"))
        else:
            future.set_result(Answer(200))
    await asyncio.sleep(0)
    assert statuses(wire) == {"fails": [500], "is cancelled": [503]}.get(end, [])
    assert [str(error) for error in owner.errors] == (["no"] if end.endswith("fails") else [])
    owner._answer = future = None  # its destructor tells the loop of an error that nobody looked at
    gc.collect()
    assert said == []


def test_an_answer_that_raises(timers: Timers) -> None:
    owner = Owner(ValueError("secret"))
    connection, wire = connected(owner)
    connection.data_received(GET)
    assert statuses(wire) == [500]
    assert b"secret" not in wire.sent
    assert len(owner.errors) == 1


def test_one_too_many(timers: Timers) -> None:
    owner = Owner(admits=False)
    _, wire = connected(owner)
    assert statuses(wire) == [503]
    assert wire.closed


def test_a_stream_skips_what_its_client_has_no_room_for(timers: Timers) -> None:
    owner = Owner(Stream())
    connection, wire = connected(owner)
    connection.data_received(GET)
    assert owner.viewers == [connection]
    connection.push(b"1")
    wire.deaf = True
    connection.push(b"2")
    connection.push(b"3")
    wire.deaf = False
    wire.take()
    connection.push(b"4")
    assert wire.sent.endswith(b"\r\n\r\n124")
    assert owner.counts["skipped_events"] == 1
    connection.data_received(b"anything")  # is not read
    connection.connection_lost(None)
    connection.push(b"5")
    assert owner.gone == 1


def test_a_stream_to_nobody_is_cut_off(timers: Timers) -> None:
    connection, wire = connected(Owner(Stream()))
    connection.data_received(GET)
    wire.deaf = True
    connection.push(b"1")
    assert timers.seconds == DRAIN_S
    timers.fire(connection)
    assert wire.aborted


PARTS = st.sampled_from(
    [
        GET,
        GET[:-2],
        b"\r\n",
        b"\r\n\r\n",
        b"HEAD /a HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"\x00",
        b"a" * 5000,
        b"Host: a\r\n",
        b"Connection: close\r\n",
        b"GET /?%",
        b"\xff\r\n\r\n",
    ]
) | st.binary(max_size=8)
ANSWERS = st.sampled_from([said(200, "x"), said(404, "y"), ValueError("z"), "stream", "never"])


@given(
    pieces=st.lists(PARTS, max_size=12),
    answer=ANSWERS,
    deaf=st.booleans(),
    takes=st.booleans(),
    late=st.booleans(),
)
def test_any_client_is_bounded_and_raises_nothing(
    pieces: list[bytes], answer: Any, deaf: bool, takes: bool, late: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        timers = Timers(patch)
        made = {"stream": Stream(), "never": concurrent.futures.Future[Any]()}
        owner = Owner(made[answer] if isinstance(answer, str) else answer)
        connection, wire = connected(owner, deaf)
        for piece in pieces:
            if not wire.closed and not wire.paused:
                connection.data_received(piece)
            if takes and wire.full and not wire.closed:
                wire.take()
            assert len(connection._buffer) <= HEAD_LIMIT + 5001
            assert len(owner.asked) <= len(pieces)
        if late and connection._timer is not None and not wire.closed:
            timers.fire(connection)
            assert wire.closed
        assert (
            wire.closed or connection._timer is not None or answer in ("stream", "never")
        )  # nobody stays for ever
        connection.connection_lost(None)
        assert owner.gone == 1
        assert connection._timer is None
        assert set(statuses(wire)) <= {200, 400, 404, 405, 408, 413, 414, 431, 500, 505}
