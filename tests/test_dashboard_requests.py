"""Requests of any shape: the parser against requests built from parts, and against any bytes at all."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subcore.dashboard.requests import HEAD_LIMIT, BadRequest, Request, parse

STATUSES = {400, 405, 413, 414, 431, 505}
TOKENS = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0189-_!#$", min_size=1, max_size=12)
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
UNIQUE = {"host", "origin", "authorization", "content-length", "transfer-encoding", "connection"}


@given(
    method=st.sampled_from(["GET", "HEAD"]),
    path=st.text("abcXYZ019/._-%~", max_size=20),
    query=st.dictionaries(TEXTS, TEXTS, max_size=8),
    headers=st.lists(st.tuples(TOKENS.filter(lambda t: t.lower() not in UNIQUE), VALUES), max_size=8),
    close=st.booleans(),
)
def test_what_was_written_is_what_is_read(
    method: str, path: str, query: dict[str, str], headers: list[tuple[str, str]], close: bool
) -> None:
    asked = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
    lines = [f"{method} /{path}?{asked} HTTP/1.1", "Host: here", *(f"{n}: {v}" for n, v in headers)]
    lines += ["Connection: Close"] if close else []
    request = parse("\r\n".join(lines).encode("latin-1"))
    wanted: dict[str, str] = {"host": "here"} | ({"connection": "Close"} if close else {})
    for name, value in headers:
        joint = "; " if name.lower() == "cookie" else ", "
        value = value.strip(" ")
        wanted[name.lower()] = wanted[name.lower()] + joint + value if name.lower() in wanted else value
    assert request == Request(method, "/" + path, query, wanted, not close)


PIECES = st.lists(
    st.sampled_from(
        [
            b"GET",
            b"HEAD",
            b"POST",
            b" ",
            b"/",
            b"?a=1&a=2",
            b"%zz",
            b"%ff",
            b"#",
            b" HTTP/1.1",
            b"HTTP/2.0",
            b"\r\n",
            b"\n",
            b"\r",
            b"\x00",
            b"Host: a",
            b"host:b",
            b"\tfolded",
            b": x",
            b"Content-Length: 5",
            b"x" * 3000,
            b"Transfer-Encoding: chunked",
            b"a:b\r\n" * 70,
            b"\xff\xfe",
        ]
    )
    | st.binary(max_size=6),
    max_size=14,
)


def outcome(head: bytes) -> tuple[Request | None, BadRequest | None]:
    try:
        return parse(head), None
    except BadRequest as refused:
        return None, refused


@given(PIECES)
def test_any_bytes_are_a_request_or_a_refusal(pieces: list[bytes]) -> None:
    request, refused = outcome(b"".join(pieces))
    if request is None:
        assert refused is not None
        assert refused.status in STATUSES
        assert str(refused).isprintable()
        return
    assert request.method in ("GET", "HEAD")
    assert request.path.startswith("/")
    assert request.path.isascii()
    assert request.path.isprintable()
    assert all("\r" not in value and "\n" not in value for value in request.headers.values())


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET http://elsewhere/ HTTP/1.1", 400),
        (b"GET * HTTP/1.1", 400),
        (b"GET /a#b HTTP/1.1", 400),
        (b"GET /?x=%e HTTP/1.1", 400),
        (b"GET /?x=%ff HTTP/1.1", 400),
        (b"GET /?x=a&x=a HTTP/1.1", 400),
        (b"GET /?" + b"&".join(b"p%d=1" % n for n in range(9)) + b" HTTP/1.1", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHOST: a", 400),
        (b"GET / HTTP/1.1\r\nHost : a", 400),
        (b"GET / HTTP/1.1\r\n folded: a", 400),
        (b"GET / HTTP/1.1\r\na: b\nc: d", 400),
        (b"GET / HTTP/1.1\r\na: \x00", 400),
        (b"POST / HTTP/1.1", 405),
        (b"get / HTTP/1.1", 405),
        (b"PRI * HTTP/2.0", 505),
        (b"GET / HTTP/1.1\r\nContent-Length: 1", 413),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked", 413),
        (b"GET /" + b"a" * 2048 + b" HTTP/1.1", 414),
        (b"GET / HTTP/1.1" + b"\r\na: b" * 65, 431),
    ],
)
def test_what_is_refused_and_how(head: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(head)
    assert refused.value.status == status


def test_what_is_just_within_the_limits() -> None:
    assert parse(b"GET /" + b"a" * 2047 + b" HTTP/1.1").path == "/" + "a" * 2047
    assert len(parse(b"GET / HTTP/1.1" + b"".join(b"\r\nh%d: b" % n for n in range(64))).headers) == 64
    assert parse(b"GET / HTTP/1.1\r\nContent-Length: 0").keep_alive
    assert not parse(b"GET / HTTP/1.0").keep_alive
    assert HEAD_LIMIT >= 64 * 100
