"""What a call was given, looked at before anything changes: UsageError says what to give instead."""

from __future__ import annotations

import inspect
from functools import partial
from numbers import Real
from types import EllipsisType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from ._delivery import Callback, Delivery, Latest, Queue, Ring
from ._ring import RING_KINDS
from .engine.adaptive import Adapt
from .engine.obligations import DEFAULTS, Obligations
from .errors import UsageError
from .types import Priority

if TYPE_CHECKING:
    from .venue import Channel

MIN_RATE = 0.001  # events a second that a cap may allow
MAX_RATE = 1_000_000

__all__ = [
    "as_priority",
    "as_step",
    "check_delivery",
    "check_handler",
    "check_interval",
    "check_on_status",
    "check_policy",
    "check_rate",
    "check_seconds",
    "is_async",
    "measures_of",
    "rules_of",
]


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


def check_interval(name: str, given: Any) -> None:
    """None, or seconds more than 0, and not for ever. UsageError."""
    if given is not None:
        check_seconds(name, given)
        if not 0 < given < float("inf"):
            raise UsageError(
                f"{name} is a number of seconds more than 0, not {given!r}: leave it out for none"
            )


def check_rate(given: Any) -> None:
    """A cap on events a second, or None where there is none. UsageError."""
    if given is None or (isinstance(given, Real) and MIN_RATE <= float(given) <= MAX_RATE):
        return
    raise UsageError(f"max_rate is {MIN_RATE:g} to {MAX_RATE:,.0f} events a second, or None, not {given!r}")


def as_step(given: Any) -> float:
    """A grouping as frames hold it, a double; which ones there are is the venue's matter. UsageError."""
    if not isinstance(given, Real):
        raise UsageError(f"grouping is a price step of the book, a number, not {given!r}")
    try:
        return float(given)
    except (OverflowError, ValueError) as error:
        raise UsageError(f"grouping is a price step of the book: {error}") from None


def check_delivery(given: Any) -> None:
    """A policy that a component can have."""
    if given is None or isinstance(given, (Queue, Latest, Ring)):
        return
    if isinstance(given, Callback):
        raise UsageError(
            "a component has a Queue(), Latest() or Ring(size): give Callback(), where you want it named, to subscribe"
        )
    raise UsageError(f"delivery is a Queue(), Latest() or Ring(size), not {given!r}")


def check_handler(handler: Any, delivery: Any) -> None:
    """A policy that goes with the handler, or with none."""
    if delivery is not None and not isinstance(delivery, Delivery):
        raise UsageError(
            f"delivery is a Queue(), Latest() or Ring(size), or a Callback() beside a handler, not {delivery!r}"
        )
    if handler is None:
        if isinstance(delivery, Callback):
            raise UsageError("Callback() delivery needs a handler: give one")
        return
    if isinstance(delivery, Queue) and not is_async(handler):
        raise UsageError(
            "a plain handler is called at once, not both called and queued: "
            "leave delivery= or the handler out, or make the handler async"
        )
    if isinstance(delivery, (Latest, Ring)):
        raise UsageError(f"{delivery!r} is for what is read: leave the handler out, or delivery=")


def check_policy(given: Delivery | None, default: Delivery, channel: Channel, *, raw: bool = False) -> None:
    """Whether a channel's events can go by the policy given, or the component's own. UsageError says what can be done.

    Of trades each one counts, so a component whose own policy is `Latest()` does not conflate them by that alone.
    """
    policy = given or default
    if isinstance(policy, Latest) and given is None and channel.kind == "trade":
        raise UsageError(
            f"{channel.name} has trades, of which Latest() keeps one: give delivery=Latest() to this call if that "
            "is meant, else delivery=Queue()"
        )
    if isinstance(policy, Ring) and channel.kind not in RING_KINDS:
        raise UsageError(
            f"{channel.name} has events that are no row of numbers: give delivery=Queue(), or a handler"
        )
    if isinstance(policy, Ring) and raw:
        raise UsageError(
            "a ring keeps numbers, not the frame's bytes: leave raw= out, or give delivery=Queue()"
        )


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
    while isinstance(handler, partial):  # of an object; of a function inspect knows
        handler = handler.func
    return not isinstance(handler, MethodType) and inspect.iscoroutinefunction(type(handler).__call__)


def measures_of(given: bool | Adapt) -> Adapt | None:
    """What is done against load, None = nothing. UsageError."""
    if isinstance(given, bool):
        return Adapt() if given else None
    if not isinstance(given, Adapt):
        raise UsageError(f"adapt= takes True, False or an Adapt(...), not {type(given).__name__}")
    return given


def rules_of(given: Obligations | EllipsisType | None, replay: object) -> Obligations | None:
    """A recording waits for who reads it, so nobody is judged by the time he takes unless that is asked for."""
    if isinstance(given, EllipsisType):
        return DEFAULTS if replay is None else None
    return given
