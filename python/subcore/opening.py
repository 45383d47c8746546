"""Makes a component: all of it, or nothing that was is another."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .members import Member

if TYPE_CHECKING:
    from ._delivery import Delivery
    from .component import Component, OnStatus
    from .hub import Hub
    from .types import Priority

__all__ = ["Terms", "open_component"]


@dataclass(slots=True)
class Terms:
    """What a component was asked for with, each checked by itself. See SubscriptionManager.component."""

    priority: Priority
    delivery: Delivery | None
    on_status: OnStatus | None
    include_status: bool
    heartbeat: float | None
    callback_budget: float | None
    owner: object | None


def open_component(hub: Hub, name: str, terms: Terms, make: Callable[[Member], Component]) -> Component:
    """What `make` makes of a new member, or of the one that waits with this name. CapacityError if there are too many.

    Whatever raises meanwhile, an owner's own code too, has changed nothing: a name that nobody has would be taken for
    good, and stand in the snapshot.
    """
    waited = hub.claims.unclaimed(name)
    id = hub.ledger.open_component() if waited is None else waited.id
    try:
        component = make(_joined(hub, id, name, terms))
        member = hub.members[id]
        member.handle = weakref.ref(component)
        if terms.owner is not None:
            member.set_owner(terms.owner)
        hub.claims.claim(name)  # the last, for it cannot be undone
    except BaseException:
        _take_back(hub, id, name, waited)
        raise
    hub.saving.changed()
    return component


def _joined(hub: Hub, id: int, name: str, terms: Terms) -> Member:
    member = Member(id, name, hub.ties, terms.priority, terms.delivery, terms.on_status, terms.include_status)
    hub.members[id] = member
    hub.names.add(name)
    hub.obligations.joined(member, terms.heartbeat, terms.callback_budget)
    return member


def _take_back(hub: Hub, id: int, name: str, waited: Member | None) -> None:
    member = hub.members.get(id)
    hub.names.discard(name)
    if member is None:
        hub.intent.close(id)
    elif waited is None:
        hub.close_member(member)
    elif member is not waited:
        member.closed = True  # so that its handle, going, says nothing about the id
        member.release_owner()
        hub.obligations.left(member)
        hub.router.set_budget(id, 0)
        hub.members[id] = waited
