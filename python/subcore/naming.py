"""Handlers in words, for logs and statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._route import Router


def words_of(handler: object) -> str:
    """Its name; its own `repr` is not asked, which is a user's code."""
    return getattr(handler, "__qualname__", None) or type(handler).__qualname__


def handler_name(router: Router, sink: int) -> str:
    """The name of the handler of a sink, which may be gone."""
    try:
        return words_of(router.handler_of(sink))
    except KeyError:
        return "(released meanwhile)"
