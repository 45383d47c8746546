"""Tokens for the embedded exchange's private route, signed with the standard library."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
from collections import deque
from collections.abc import Mapping
from enum import Enum
from types import FunctionType
from typing import Any

from subcore.sim import TEST_ACCESS_KEY, TEST_SECRET_KEY

PRIVATE = "/websocket/v1/private"
MOST = 100_000  # objects in all that one engine, or one manager, is made of
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


def insides(root: Any) -> dict[str, Any]:
    """All that an object holds, however deep, by way: what objects of the library and containers are made of."""
    found: dict[str, Any] = {}
    seen: dict[int, Any] = {}  # which keeps them: the id of one that is gone may be another's
    todo: deque[tuple[str, Any]] = deque(_parts("", root))
    while todo:
        way, one = todo.popleft()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        assert len(seen) <= MOST, f"{way}: too much to look at"
        parts = _parts(way, one)
        if not parts:
            found[way] = one
        todo.extend(parts)
    assert found, f"what {type(root).__name__} is made of cannot be seen"
    return found


def _parts(way: str, one: Any) -> list[tuple[str, Any]]:
    """What it is made of, with the way there."""
    if isinstance(one, Mapping) and one:
        return [(f"{way}.keys", list(one)), *((f"{way}[{key!r}]", value) for key, value in one.items())]
    if isinstance(one, list | tuple | set | frozenset | deque):
        return [(f"{way}[{index}]", value) for index, value in enumerate(one)]
    made = type(one)
    if isinstance(one, type | Enum | FunctionType) or not made.__module__.startswith("subcore."):
        return []
    names = set(getattr(one, "__dict__", ()))
    for base in made.__mro__:  # compiled, it says itself what it holds
        slots = getattr(base, "__slots__", ())
        names.update((slots,) if isinstance(slots, str) else slots, getattr(base, "__mypyc_attrs__", ()))
    return [(f"{way}.{name}", getattr(one, name)) for name in sorted(names) if hasattr(one, name)]
