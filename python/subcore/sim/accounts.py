"""Who may come in by the private door: tokens judged as the venue's documentation has it, with the standard library.

"Authorization: Bearer <JWT> in the handshake; checked there only." "Claims: access_key, nonce (fresh UUID each time)."
"HS512 advised, HS256 still works." "Secret used as raw bytes, not base64-decoded."
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["TEST_ACCESS_KEY", "TEST_SECRET_KEY", "Accounts"]

TEST_ACCESS_KEY = "subcore-test-access-key"
TEST_SECRET_KEY = "subcore-test-secret-key-of-no-account-anywhere"
"""The one pair of keys that the embedded exchange knows unless it is given others. It opens nothing else."""
_HASHES = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}
_NONCES = 100_000
"""Nonces remembered: the oldest go."""


class Accounts:
    """Access keys and their secrets; each key is an account of its own. A nonce is good once."""

    def __init__(self, keys: Mapping[str, str] | None = None) -> None:
        self._keys = dict(keys or {TEST_ACCESS_KEY: TEST_SECRET_KEY})
        self._used: dict[tuple[str, str], None] = {}

    def revoke(self, access_key: str) -> None:
        """The key is no more; connections that it has opened stay ("checked there only")."""
        self._keys.pop(access_key, None)

    def enter(self, headers: Mapping[str, str]) -> str | None:
        """The account that a handshake's headers prove, and its nonce is used up; else None."""
        kind, _, token = _header(headers, "authorization").partition(" ")
        if kind.lower() != "bearer":
            return None
        claims = self._verified(token.strip())
        access_key, nonce = claims.get("access_key"), claims.get("nonce")
        if not isinstance(access_key, str) or not isinstance(nonce, str) or not nonce:
            return None
        if (access_key, nonce) in self._used:
            return None
        if len(self._used) >= _NONCES:
            del self._used[next(iter(self._used))]
        self._used[access_key, nonce] = None
        return access_key

    def _verified(self, token: str) -> dict[str, Any]:
        """The claims of a token that its key has signed, else none."""
        signed, _, signature = token.rpartition(".")
        head, _, body = signed.partition(".")
        try:
            algorithm = json.loads(_decode(head))["alg"]
            claims = json.loads(_decode(body))
            secret = self._keys[claims["access_key"]]
            expected = hmac.new(secret.encode(), signed.encode(), _HASHES[algorithm]).digest()
            good = hmac.compare_digest(expected, _decode(signature))
        except (ValueError, KeyError, TypeError, RecursionError):
            return {}
        return claims if good and isinstance(claims, dict) else {}


def _header(headers: Mapping[str, str], wanted: str) -> str:
    return next((value for name, value in headers.items() if name.lower() == wanted), "")


def _decode(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
