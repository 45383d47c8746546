"""Who may look: names of this server, pages of others, tokens, and binds that everybody reaches."""

from __future__ import annotations

import re

import pytest

from subcore.dashboard.access import Access
from subcore.dashboard.requests import parse
from subcore.errors import UsageError

TOKEN = "correct horse battery"


def judged(access: Access, target: str = "/", **headers: str) -> int | None:
    access.port = 8080
    lines = [
        f"GET {target} HTTP/1.1",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    answer = access.judge(parse("\r\n".join(lines).encode()))
    return None if answer is None else answer.status


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "127.0.0.1", "127.9.9.9:1", "localhost:8080", "LOCALHOST", "[::1]:8080"]
)
def test_names_of_this_machine_are_answered(host: str) -> None:
    assert judged(Access("127.0.0.1", None), Host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.5:8080",
        "",
        "[::2]:8080",
        "0.0.0.0",
    ],
)
def test_a_rebound_name_is_refused(host: str) -> None:
    assert judged(Access("127.0.0.1", None), Host=host) == 403


def test_a_request_without_host_is_refused() -> None:
    assert judged(Access("127.0.0.1", None)) == 403


@pytest.mark.parametrize(
    ("host", "name", "fine"),
    [
        ("0.0.0.0", "10.0.0.5:80", True),
        ("0.0.0.0", "evil.example", False),
        ("0.0.0.0", "dash.example:80", True),
        ("10.0.0.5", "10.0.0.5:80", True),
        ("10.0.0.5", "10.0.0.6:80", False),
        ("10.0.0.5", "DASH.example", True),
    ],
)
def test_names_of_a_server_that_others_reach(host: str, name: str, fine: bool) -> None:
    access = Access(host, TOKEN, ["Dash.example"])
    assert judged(access, Host=name, Authorization=f"Bearer {TOKEN}") == (None if fine else 403)


def test_the_name_it_listens_by_is_its_own() -> None:
    access = Access("Trading-Host", TOKEN)
    for name, said in (("trading-host:8080", None), ("other-host:8080", 403), (":8080", 403)):
        assert judged(access, Host=name, Authorization=f"Bearer {TOKEN}") == said
    assert judged(Access("", TOKEN), Host=":8080", Authorization=f"Bearer {TOKEN}") == 403


@pytest.mark.parametrize("name", ["dash.example:9000", "http://dash.example"])
def test_names_have_no_port(name: str) -> None:
    with pytest.raises(UsageError, match="without a port"):
        Access("0.0.0.0", TOKEN, [name])


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9", "http://localhost:8080"]
)
def test_pages_of_other_origins_are_refused(origin: str) -> None:
    assert judged(Access("127.0.0.1", None), Host="127.0.0.1:8080", Origin=origin) == 403


def test_the_own_origin_is_none_of_them() -> None:
    assert judged(Access("127.0.0.1", None), Host="127.0.0.1:8080", Origin="http://127.0.0.1:8080") is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "", "example.com"])
def test_a_bind_that_others_reach_needs_a_token(host: str) -> None:
    with pytest.raises(UsageError, match="token="):
        Access(host, None)
    Access(host, TOKEN)


@pytest.mark.parametrize("token", ["short", "x" * 15, "ä" * 20, "line\nbreak" * 3, 7])
def test_a_token_that_is_none(token: str) -> None:
    with pytest.raises(UsageError, match="16"):
        Access("127.0.0.1", token)


def test_names_as_one_text_are_a_mistake() -> None:
    with pytest.raises(UsageError, match="several"):
        Access("127.0.0.1", None, "dash.example")


def test_a_token_is_asked_for() -> None:
    access = Access("127.0.0.1", TOKEN)
    host = "127.0.0.1:8080"
    assert judged(access, Host=host) == 401
    assert (
        judged(access, "/stats.json?token=correct+horse+battery", Host=host) == 401
    )  # only the page makes a cookie of it
    assert judged(access, Host=host, Authorization=f"Bearer {TOKEN}") is None
    assert judged(access, Host=host, Authorization=f"bearer {TOKEN}") is None
    assert judged(access, Host=host, Authorization=f"Basic {TOKEN}") == 401
    assert judged(access, Host=host, Authorization=f"Bearer {TOKEN}x") == 401
    assert judged(access, Host=host, Cookie=f"subcore_8080={TOKEN}") == 401
    assert judged(access, "/?token=wrong", Host=host) == 401
    assert judged(access, "/healthz", Host=host) is None
    assert judged(access, "/readyz", Host=host) == 401


def test_a_token_in_the_address_becomes_a_cookie() -> None:
    access = Access("127.0.0.1", TOKEN)
    access.port = 8080
    ask = b"GET /?a=1&token=correct+horse+battery HTTP/1.1\r\nHost: localhost:8080"
    answer = access.judge(parse(ask))
    assert answer is not None
    headers = dict(answer.headers)
    assert (answer.status, headers["Location"]) == (303, "/?a=1")
    cookie = headers["Set-Cookie"]
    assert re.fullmatch(r"subcore_8080=[0-9a-f]{64}; HttpOnly; SameSite=Lax; Path=/", cookie)
    assert TOKEN not in cookie
    held = cookie.partition(";")[0]
    assert judged(access, "/stats.json", Host="localhost:8080", Cookie=f"other=1; {held}; bad") is None
    assert judged(Access("127.0.0.1", TOKEN), Host="localhost", Cookie=held) is None  # after a restart
    assert judged(Access("127.0.0.1", TOKEN + "2"), Host="localhost", Cookie=held) == 401


def test_a_token_in_the_address_cannot_lead_elsewhere() -> None:
    access = Access("127.0.0.1", TOKEN)
    ask = b"GET /?token=correct+horse+battery&x=%0d%0aSet-Cookie:+a%3db HTTP/1.1\r\nHost: localhost"
    answer = access.judge(parse(ask))
    assert answer is not None
    where = dict(answer.headers)["Location"]
    assert where.startswith("/?x=")
    assert "\r" not in where
