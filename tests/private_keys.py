"""Tokens for the embedded exchange's private route, signed with the standard library."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Mapping
from typing import Any

from subcore.sim import TEST_ACCESS_KEY, TEST_SECRET_KEY

PRIVATE = "/websocket/v1/private"
_nonces = itertools.count()


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def token(
    access: str = TEST_ACCESS_KEY,
    secret: str = TEST_SECRET_KEY,
    *,
    algorithm: str = "HS512",
    nonce: Any = None,
    **claims: Any,
) -> str:
    """A JWT; each has a nonce of its own unless one is given."""
    given = {"access_key": access, "nonce": f"nonce-{next(_nonces)}" if nonce is None else nonce, **claims}
    head = _part(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    signed = f"{head}.{_part(json.dumps(given).encode())}"
    hashing = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    return f"{signed}.{_part(hmac.new(secret.encode(), signed.encode(), hashing).digest())}"


def bearer(*args: Any, **options: Any) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token(*args, **options)}"}


def insides(one: Any) -> dict[str, Any]:
    """All that an object holds, by name."""
    made = type(one)  # compiled, an object says itself what it holds
    names = getattr(one, "__dict__", None) or getattr(made, "__mypyc_attrs__", None) or made.__slots__
    return {name: getattr(one, name) for name in names}
