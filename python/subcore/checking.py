"""What a call was given, looked at before anything changes: UsageError says what to give instead."""

from __future__ import annotations

import inspect
from numbers import Real
from types import FunctionType, MethodType
from typing import Any

from ._delivery import Callback, Queue
from .errors import UsageError
from .types import Priority

__all__ = ["as_priority", "as_step", "check_delivery", "check_on_status", "check_seconds", "is_async"]


def as_priority(given: Any) -> Priority:
    """One of the four classes, given as such or as its number."""
    try:
        return Priority(given)
    except ValueError:
        offered = ", ".join(f"Priority.{one.name}" for one in Priority)
        raise UsageError(f"priority is one of {offered}, not {given!r}") from None


def check_seconds(name: str, given: Any) -> None:
    """A number of seconds, or None where that is allowed by the caller."""
    if not isinstance(given, Real) or given != given:
        raise UsageError(f"{name} is a number of seconds, not {given!r}")


def as_step(given: Any) -> float:
    """A grouping as frames hold it, a double; which ones there are is the venue's matter. UsageError."""
    if not isinstance(given, Real):
        raise UsageError(f"grouping is a price step of the book, a number, not {given!r}")
    try:
        return float(given)
    except (OverflowError, ValueError) as error:
        raise UsageError(f"grouping is a price step of the book: {error}") from None


def check_delivery(given: Any, *, of_component: bool) -> None:
    """A policy, and for a component the one that its queue can have."""
    if given is None or isinstance(given, Queue) or (isinstance(given, Callback) and not of_component):
        return
    if isinstance(given, Callback):
        raise UsageError("a component has a Queue(): give Callback(), where you want it named, to subscribe")
    raise UsageError(f"delivery is a Queue(), or a Callback() beside a handler, not {given!r}")


def check_on_status(given: Any) -> None:
    """A plain callable."""
    if given is None:
        return
    if not callable(given):
        raise UsageError(f"on_status is called with each Status: give a function, not {given!r}")
    if is_async(given):
        raise UsageError(
            f"on_status is called, not awaited, and {given!r} is async: pass a plain function, "
            "or read statuses with include_status=True"
        )


def is_async(handler: Any) -> bool:
    """Whether calling it makes a coroutine."""
    if (
        type(handler) is FunctionType
    ):  # what inspect finds out too, at 15 times the cost; functions are the common case
        return bool(handler.__code__.co_flags & inspect.CO_COROUTINE) or hasattr(
            handler, "_is_coroutine_mark"
        )
    if inspect.iscoroutinefunction(handler):
        return True
    return not isinstance(handler, MethodType) and inspect.iscoroutinefunction(type(handler).__call__)
