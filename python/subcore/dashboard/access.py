"""Who may look: by the names the server is known by, by where a request comes from, and by its token. Pure.

A page of another site may have its own name lead to this machine (DNS rebinding): its requests name that site as their
Host, so only addresses that mean this server, and names that it was given, are answered.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlencode

from ..errors import UsageError
from .answers import Answer, said
from .requests import Request

__all__ = ["OPEN_TO_ALL", "TOKEN_LEAST", "Access"]

TOKEN_LEAST = 16
"""Characters of a token, at least."""
OPEN_TO_ALL = "/healthz"
"""Says no more than that the process is there, so it asks for no token."""
_LOCAL = "localhost"


class Access:
    """What one server answers. UsageError for a bind that everybody reaches, without a token."""

    def __init__(self, host: str, token: str | None, hosts: Iterable[str] = ()) -> None:
        if isinstance(hosts, str):
            raise UsageError(f"hosts= takes several names, so give [{hosts!r}]")
        address = _address(host)
        self._address = address
        self.is_local = host == _LOCAL or (address is not None and address.is_loopback)
        self._names = {_checked(name) for name in hosts}
        if host and address is None:
            self._names.add(host.lower())
        _check(host, token, self.is_local)
        self._token = token
        self.port = 0

    @property
    def cookie(self) -> str:
        """Its name: browsers send a host's cookies to all of its ports."""
        return f"subcore_{self.port}"

    def judge(self, request: Request) -> Answer | None:
        """What keeps this request from being answered, or None."""
        host = request.headers.get("host", "")
        if not self._is_ours(_name_of(host)):
            return said(
                403, "this server is not known by that name: ask for its address, or give hosts=[name]"
            )
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
            return said(403, "pages of other sites may not read this one")
        if self._token is None or request.path == OPEN_TO_ALL:
            return None
        if request.path == "/" and "token" in request.query:
            return self._log_in(request)
        return None if self._is_known(request) else _WHO

    def _is_ours(self, name: str) -> bool:
        if name in self._names:
            return True
        if name == _LOCAL:
            return True
        address = _address(name)
        if address is None:
            return False
        if self.is_local or address.is_loopback:
            return address.is_loopback
        asked = self._address
        return asked is None or asked.is_unspecified or asked == address

    def _log_in(self, request: Request) -> Answer:
        """The token in the address becomes a cookie, so that it is in no history and no link."""
        if not self._is_token(request.query["token"]):
            return _WHO
        rest = urlencode({name: value for name, value in request.query.items() if name != "token"})
        cookie = f"{self.cookie}={self._made_of_token()}; HttpOnly; SameSite=Lax; Path=/"
        where = f"/?{rest}" if rest else "/"
        return said(303, "logged in", ("Location", where), ("Set-Cookie", cookie))

    def _is_known(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(given.strip()):
            return True
        cookies = (each.strip().partition("=") for each in request.headers.get("cookie", "").split(";"))
        held = next((value for name, _, value in cookies if name == self.cookie), "")
        return hmac.compare_digest(held.encode(), self._made_of_token().encode())

    def _is_token(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())

    def _made_of_token(self) -> str:
        """The same after a restart, so that an open page goes on."""
        return hmac.new((self._token or "").encode(), b"subcore dashboard", hashlib.sha256).hexdigest()


_WHO = said(
    401,
    "this page asks for its token: open /?token=..., or send the header Authorization: Bearer ...",
    ("WWW-Authenticate", "Bearer"),
)


def _check(host: str, token: str | None, is_local: bool) -> None:
    if token is None:
        if not is_local:
            raise UsageError(
                f"host={host!r} is reached from other machines: give token= (say, secrets.token_urlsafe()), "
                "or leave host= at 127.0.0.1"
            )
    elif (
        not isinstance(token, str)
        or len(token) < TOKEN_LEAST
        or not token.isascii()
        or not token.isprintable()
    ):
        raise UsageError(
            f"token= takes at least {TOKEN_LEAST} printable ASCII characters: try secrets.token_urlsafe()"
        )


def _checked(name: str) -> str:
    if ":" in name and _address(name) is None:
        raise UsageError(f"hosts= takes names without a port, such as 'dash.example.com', not {name!r}")
    return name.lower()


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _name_of(host: str) -> str:
    """Of a Host header, without the port: through a tunnel it is another one."""
    if host.startswith("["):
        return host.partition("]")[0][1:].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()
