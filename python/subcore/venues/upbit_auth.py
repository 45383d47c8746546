"""Logging in to Upbit: a fresh JWT for each connect. Needs the extra `subcore[auth]`.

"Claims: access_key, nonce (fresh UUID each time). No query_hash for WebSocket." "HS512 advised now." "Secret used as
raw bytes, not base64-decoded." "No exp/renewal documented; make a new token for each (re)connect."
"""

from __future__ import annotations

import importlib
import uuid
from typing import Any

from subcore.errors import UsageError

__all__ = ["JwtCredentials", "jwt_credentials"]

ALGORITHMS = {"HS512": 64, "HS256": 32}  # bytes of a digest


class JwtCredentials:
    """Gives a fresh token at each call. Neither its text nor an error of it shows a key, and it cannot be pickled."""

    __slots__ = ("__key", "account")

    def __init__(self, access_key: str, secret_key: str, algorithm: str, account: str) -> None:
        self.account = account
        # HMAC itself pads a short key with zeros. Padded here, the venue's 40 characters are no reason for a warning.
        key = secret_key.encode().ljust(ALGORITHMS[algorithm], b"\0")

        def sign(encode: Any) -> str:
            # in a closure: what shows the attributes of objects shows no key
            claims = {"access_key": access_key, "nonce": str(uuid.uuid4())}
            token: str = encode(claims, key, algorithm)
            return token

        self.__key = sign

    async def __call__(self) -> str:
        """A JWT that no other call has given."""
        return self.__key(_load_jwt().encode)

    def __repr__(self) -> str:
        return f"<JwtCredentials of account {self.account!r}>"

    def __reduce__(self) -> Any:
        raise TypeError("credentials are not to be pickled or copied: make them where they are needed")


def jwt_credentials(
    access_key: str, secret_key: str, *, algorithm: str = "HS512", account: str = ""
) -> JwtCredentials:
    """What `SubscriptionManager(credentials=...)` takes, made of the two keys of an Upbit API key.

    `account`: a name for whose keys they are (no secret: it shows in the repr). The venue counts connects per account,
    and keys of one account count together; so do all keys without a name, which is the safe side.
    Raises UsageError where a key is empty or PyJWT is not installed.
    """
    for name, key in (("access_key", access_key), ("secret_key", secret_key)):
        if not isinstance(key, str) or not key.strip():
            raise UsageError(f"{name} must be a text that is not empty")
    if algorithm not in ALGORITHMS:
        raise UsageError(f"algorithm is one of {', '.join(ALGORITHMS)}, not {algorithm!r}")
    _load_jwt()
    return JwtCredentials(access_key, secret_key, algorithm, account)


def _load_jwt() -> Any:
    try:
        return importlib.import_module("jwt")
    except ImportError:
        raise UsageError("logging in to Upbit needs PyJWT: pip install 'subcore[auth]'") from None
