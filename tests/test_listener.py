"""The listener: frames fed by hand."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from picows.picows import WSMsgType, _make_test_ws_frame

from examples import examples
from listening import BINARY, CLOSE, CONTINUATION, PONG, TEXT, Bench, Log
from subcore._listener import FeedListener, check_picows, ping_payload


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- messages


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_whole_messages_are_handed_on_whatever_their_opcode(bench: Bench, opcode: WSMsgType) -> None:
    before = time.time_ns(), time.monotonic_ns()
    bench.feed(opcode, b'{"a":1}')
    bench.feed(opcode)
    after = time.time_ns(), time.monotonic_ns()
    assert bench.log.messages == [b'{"a":1}', b""]
    for real, monotonic in bench.log.times:
        assert before[0] <= real <= after[0]
        assert before[1] <= monotonic <= after[1]
    assert (bench.listener.frames, bench.listener.messages, bench.listener.bytes) == (2, 2, 7)
    assert bench.listener.last_receive_ns == bench.log.times[-1][1]


def test_fragments_are_joined_and_control_frames_may_stand_between(bench: Bench) -> None:
    bench.feed(TEXT, b"ab", fin=False)
    bench.feed(PONG, b"")
    bench.feed(CONTINUATION, b"", fin=False)
    bench.feed(CONTINUATION, b"cd")
    bench.feed(BINARY, b"next")
    assert bench.log.messages == [b"abcd", b"next"]
    assert (bench.listener.frames, bench.listener.messages) == (4, 2)
    assert bench.told == [("pong", -1)]


def test_an_empty_message_in_fragments(bench: Bench) -> None:
    bench.feed(BINARY, b"", fin=False)
    bench.feed(CONTINUATION, b"")
    assert bench.log.messages == [b""]


def test_an_orphan_continuation_is_a_fault(bench: Bench) -> None:
    bench.feed(CONTINUATION, b"x")
    assert bench.told == [
        (
            "fault",
            1002,
            "the venue broke the WebSocket protocol: a continuation frame came without a message to continue",
        )
    ]
    bench.feed(TEXT, b"late")
    assert bench.log.messages == []
    assert bench.listener.late_frames == 1


def test_a_message_inside_a_message_is_a_fault(bench: Bench) -> None:
    bench.feed(TEXT, b"a", fin=False)
    bench.feed(TEXT, b"b")
    assert bench.fault_code == 1002
    assert bench.listener.nbytes == 0


def test_reserved_bits_are_a_fault(bench: Bench) -> None:
    bench.feed(TEXT, b"a", rsv1=True)
    assert bench.fault_code == 1002
    assert bench.log.messages == []


def test_messages_are_bounded_by_size_and_by_fragments() -> None:
    bench = Bench(max_message_bytes=10)
    bench.feed(TEXT, b"12345", fin=False)
    bench.feed(CONTINUATION, b"67890", fin=False)
    assert bench.fault_code is None
    bench.feed(CONTINUATION, b"x", fin=False)
    assert bench.fault_code == 1009
    assert bench.listener.nbytes == 0

    bench = Bench(max_fragments=3)
    for opcode in (TEXT, CONTINUATION, CONTINUATION):
        bench.feed(opcode, b"a", fin=False)
    assert bench.fault_code is None
    bench.feed(CONTINUATION, b"a")
    assert bench.fault_code == 1009


def test_a_large_message_leaves_no_memory_behind(bench: Bench) -> None:
    part = b"x" * 100_000
    bench.feed(BINARY, part, fin=False)
    bench.feed(CONTINUATION, part)
    assert bench.log.messages == [part + part]
    assert bench.listener.nbytes == 0


def test_a_receiver_may_stop_the_listener_inside_a_fragmented_message(bench: Bench) -> None:
    bench.log.act = bench.listener.stop
    bench.feed(BINARY, b"a", fin=False)
    bench.feed(CONTINUATION, b"b")
    bench.feed(BINARY, b"c")
    assert bench.log.messages == [b"ab"]
    assert bench.listener.nbytes == 0
    assert bench.listener.late_frames == 1


@examples(200)
@given(
    frames=st.lists(
        st.tuples(
            st.sampled_from([TEXT, BINARY, CONTINUATION, PONG]),
            st.binary(max_size=6),
            st.booleans(),
            st.sampled_from([False] * 9 + [True]),
        ),
        max_size=12,
    )
)
def test_any_frames_against_a_plain_reading_of_the_rfc(frames: list[tuple]) -> None:
    bench = Bench(max_message_bytes=12, max_fragments=4)
    messages: list[bytes] = []
    parts: list[bytes] | None = None
    broken = False
    for opcode, payload, fin, rsv1 in frames:
        fin = fin or opcode == PONG
        bench.feed(opcode, payload, fin=fin, rsv1=rsv1)
        if broken:
            continue
        if rsv1:
            broken = True
        elif opcode != PONG:
            if (opcode == CONTINUATION) != (parts is not None):
                broken = True
                continue
            whole = fin and parts is None
            parts = [*(parts or []), payload]
            if not whole and (len(parts) > 4 or sum(map(len, parts)) > 12):
                broken = True
            elif fin:
                messages.append(b"".join(parts))
                parts = None
    assert bench.log.messages == messages
    assert bench.listener.stopped == broken
    assert (bench.fault_code is not None) == broken


# --- the protocol's own frames


def test_close_is_handed_on_once_and_ends_the_data(bench: Bench) -> None:
    bench.feed(TEXT, b"before")
    bench.feed(CLOSE, (1008).to_bytes(2, "big") + "시간 초과".encode())
    bench.feed(TEXT, b"after")
    bench.feed(CLOSE, b"")
    assert bench.log.messages == [b"before"]
    assert bench.told == [("close", 1008, "시간 초과")]
    assert bench.listener.end_reason == "the venue closed the connection (1008 시간 초과)"
    assert bench.listener.late_frames == 2


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"", ("close", 1005, "")),
        (b"\x03\xe8", ("close", 1000, "")),
        (b"\x0f\xa0bye", ("close", 4000, "bye")),
        (b"\x03", ("fault", 1002)),
        (b"\x00\x00", ("fault", 1002)),
        (b"\x03\xed", ("fault", 1002)),
        (b"\x03\xee", ("fault", 1002)),
        (b"\x03\xf7", ("fault", 1002)),
        (b"\x07\xd0", ("fault", 1002)),
        (b"\x13\x88", ("fault", 1002)),
        (b"\x03\xe8\xff", ("fault", 1007)),
    ],
)
def test_close_frames_are_judged(bench: Bench, payload: bytes, told: tuple) -> None:
    bench.feed(CLOSE, payload)
    assert bench.told[0][: len(told)] == told
    assert bench.listener.stopped


def test_a_pong_tells_the_round_trip(bench: Bench) -> None:
    before = time.monotonic_ns()
    payload = ping_payload()
    bench.feed(PONG, payload)
    ((kind, rtt),) = bench.told
    assert kind == "pong"
    assert 0 <= rtt <= time.monotonic_ns() - before
    for foreign in (b"", b"short", b"\xff" * 8, b"\x00" * 8, b"123456789"):
        bench.feed(PONG, foreign)
    assert [item[1] for item in bench.told[1:]] == [-1] * 5


# --- nothing escapes


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_request_to_end_the_process_is_handed_on(bench: Bench, error: type[BaseException]) -> None:
    def act() -> None:
        raise error

    bench.log.act = act
    bench.feed(TEXT, b"1")
    bench.log.act = None
    bench.feed(TEXT, b"2")
    assert bench.told == [("fatal", error)]
    assert bench.log.messages == [b"1", b"2"]


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, GeneratorExit, BaseException])
def test_other_exceptions_do_not_reach_picows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    unraisable: list = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: unraisable.append(info.exc_type))

    def act() -> None:
        raise error

    bench.log.act = act
    bench.feed(TEXT, b"1")
    bench.feed(TEXT, b"2")
    assert unraisable == [error, error]
    assert bench.told == []


def test_a_callback_that_raises_does_not_reach_picows(monkeypatch: pytest.MonkeyPatch) -> None:
    unraisable: list = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: unraisable.append(info.exc_type))

    def fail(*_: Any) -> None:
        raise LookupError

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    listener = FeedListener(Log(), 0, on_close=fail, on_pong=interrupt)
    listener.on_ws_frame(None, _make_test_ws_frame(PONG, b"", True, False))  # type: ignore[arg-type]
    listener.on_ws_frame(None, _make_test_ws_frame(CLOSE, b"", True, False))  # type: ignore[arg-type]
    assert unraisable == [KeyboardInterrupt, LookupError]


@pytest.mark.parametrize("version", ["2.3.0", "2.4.0", "2.4.0rc1", "1.9.9", "3.0", "2.3"])
def test_another_picows_is_refused(version: str) -> None:
    with pytest.raises(ImportError, match=r"pip install 'picows>=2.3.1,<2.4'"):
        check_picows(version)
    check_picows("2.3.1")
    check_picows("2.3.7")
