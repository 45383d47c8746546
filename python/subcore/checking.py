"""What a call was given, looked at before anything changes: UsageError says what to give instead."""

from __future__ import annotations

import inspect
import weakref
from functools import partial
from numbers import Integral, Real
from types import EllipsisType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

from ._delivery import Callback, Delivery, Latest, Queue, Ring
from ._ring import RING_KINDS
from ._strategy import Strategy
from .engine.adaptive import Adapt
from .engine.obligations import DEFAULTS, Obligations
from .errors import UsageError, WrongType
from .naming import words_of
from .seconds import MAX_SECONDS, is_number, is_span
from .types import MAX_RATE, MIN_RATE, Priority

if TYPE_CHECKING:
    from .venue import Channel

_FLAGS = bool, np.bool_
_WRAPS = partial, MethodType
_GENERATES = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR

__all__ = [
    "as_priority",
    "as_step",
    "check_count",
    "check_delivery",
    "check_depth",
    "check_flags",
    "check_handler",
    "check_interval",
    "check_on_status",
    "check_owner",
    "check_policy",
    "check_rate",
    "check_seconds",
    "check_span",
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
    """A number of seconds to wait, infinity for no limit; None is the caller's matter. UsageError."""
    if not is_number(given):
        raise UsageError(f"{name} is a number of seconds, not {given!r}")
    if MAX_SECONDS < given < float("inf"):
        raise UsageError(
            f"{name} is a number of seconds, {MAX_SECONDS:g} at most, not {given!r}: give float('inf') for no limit"
        )


def check_span(name: str, given: Any) -> None:
    """Seconds, 0 or more, and not for ever. UsageError."""
    if not is_span(given):
        raise UsageError(f"{name} is a number of seconds, 0 to {MAX_SECONDS:g}, not {given!r}")


def check_interval(name: str, given: Any) -> None:
    """None, or seconds more than 0, and not for ever. UsageError."""
    if given is not None and (not is_span(given) or not given):
        raise UsageError(
            f"{name} is a number of seconds more than 0, {MAX_SECONDS:g} at most, not {given!r}: "
            "leave it out for none"
        )


def check_count(name: str, given: Any) -> None:
    """A whole number, 1 or more. UsageError."""
    if type(given) is int and given > 0:  # at the cost of nothing, for `batch`
        return
    if not isinstance(given, Integral) or isinstance(given, bool) or given < 1:
        raise UsageError(f"{name} must be at least 1, a whole number, not {given!r}")


def check_flags(**given: Any) -> None:
    """True or False, by the names of the options: texts like "no" are true. UsageError."""
    for name, flag in given.items():
        if not isinstance(flag, _FLAGS):
            raise UsageError(f"{name}= is True or False, not {flag!r}")


def check_depth(given: Any) -> None:
    """What could be a number of book levels; which ones there are is the venue's matter. UsageError."""
    if isinstance(given, _FLAGS):
        raise UsageError(f"depth is a number of book levels a side, not {given!r}: leave it out for all")


def check_owner(given: Any) -> None:
    """None, or whoever can be asked whether he is still there. UsageError."""
    if given is None:
        return
    try:
        weakref.ref(given)
    except TypeError:
        raise WrongType(
            f"owner is a task, or an object that can be weakly referenced, not {type(given).__name__}: "
            "give the object that closes the component when it goes, or leave it out"
        ) from None


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
    _check_callable(handler)
    if delivery is None:
        return
    if isinstance(delivery, Queue) and not is_async(handler):
        raise UsageError(
            "a plain handler is called at once, not both called and queued: "
            "leave delivery= or the handler out, or make the handler async"
        )
    if isinstance(delivery, (Latest, Ring)):
        raise UsageError(f"{delivery!r} is for what is read: leave the handler out, or delivery=")


def _check_callable(handler: Any) -> None:
    """What calling, or awaiting, carries out: calling a generator function only makes a generator."""
    if type(handler) is FunctionType and not handler.__code__.co_flags & _GENERATES:
        return  # the common case, at the least cost
    if not callable(handler) and not isinstance(handler, Strategy):
        raise WrongType(
            f"a handler must be callable with one event, and {type(handler).__name__} is not: "
            "give a function, plain or async, or leave it out to read the events"
        )
    if _generates(handler):
        raise UsageError(
            f"a handler is called with each event, and a call of {words_of(handler)} only makes a generator: "
            "give a function without yield, plain or async"
        )


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


def _generates(handler: Any) -> bool:
    """Whether calling it makes a generator, plain or async; one that is marked as a coroutine function does not."""
    called = handler
    while isinstance(called, _WRAPS):
        called = called.func if isinstance(called, partial) else called.__func__
    if type(called) is not FunctionType:
        called = type(called).__call__
    if type(called) is not FunctionType or not called.__code__.co_flags & _GENERATES:
        return False
    return not is_async(handler)


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
    if given is not None and not isinstance(given, Obligations):
        raise UsageError(f"obligations is Obligations(...), or None for none, not {given!r}")
    return given
