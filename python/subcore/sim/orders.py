"""An account that trades by itself: one order after another is placed, filled in parts, done or cancelled.

Money and sizes are ints in units of 1e-8, so that what is locked, paid and left always adds up exactly.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field

from .markets import UNIT, Market

__all__ = ["Account", "Order", "Report"]

FEE = 2_000  # one part in so many of what is traded
_KINDS = ("limit", "limit", "limit", "price", "market", "best")


@dataclass
class Order:
    """One order as it stands."""

    market: Market
    id: str
    side: str
    kind: str
    price: int | None
    """Limit; what a market buy (`price`) spends; None for a market sale."""
    volume: int | None
    """None for a market buy: how much comes of it is not known before."""
    time_in_force: str | None
    identifier: str | None
    placed_ms: int
    state: str = "wait"
    executed: int = 0
    funds: int = 0
    fills: int = 0
    reserved_fee: int = 0
    paid_fee: int = 0
    locked: int = 0
    plan: list[int] = field(default_factory=list)
    """Sizes of the fills to come."""
    cancels: bool = False
    """It is cancelled before its last fill."""


@dataclass(frozen=True)
class Report:
    """What one step of an account's life changed, as the venue tells it."""

    order: Order
    state: str
    fill: tuple[str, int, int, int, bool] | None
    """(id, price, size, fee, maker) of a fill."""
    executed: int
    funds: int
    fills: int
    paid_fee: int
    locked: int
    balances: tuple[tuple[str, int, int], ...]
    """(currency, available, locked) of what changed."""
    at_ms: int


class Account:
    """Balances and the order under way. Driven by its own random numbers: the same for the same seed and name."""

    def __init__(self, name: str, seed: int) -> None:
        self.rng = random.Random(f"account {seed} {name}")
        self.id = self._uuid()
        self.balances: dict[str, list[int]] = {}
        self.order: Order | None = None

    def step(self, markets: list[Market], now_ms: int) -> Report | None:
        """Place an order, or go on with the one under way; None where no market is left."""
        order = self.order
        if order is None:
            return self._place(self.rng.choice(markets), now_ms) if markets else None
        if order.plan and not (order.cancels and len(order.plan) == 1):
            return self._fill(order, now_ms)
        return self._end(order, "cancel" if order.plan else "done", now_ms)

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def _balance(self, currency: str) -> list[int]:
        return self.balances.setdefault(currency, [self.rng.randint(10**6, 10**8) * UNIT, 0])

    def _place(self, market: Market, now_ms: int) -> Report:
        rng, kind = self.rng, self.rng.choice(_KINDS)
        side = {"price": "BID", "market": "ASK"}.get(kind) or rng.choice(("BID", "ASK"))
        sizes = [rng.randint(1, 4 * market.typical_size) for _ in range(rng.randint(1, 3))]
        volume, cost = sum(sizes), _money(market.price, sum(sizes))
        order = self.order = Order(
            market, self._uuid(), side, kind,
            {"price": cost, "market": None}.get(kind, market.price),
            None if kind == "price" else volume,
            rng.choice(("ioc", "fok")) if kind == "best" else rng.choice((None, None, "post_only")) if kind == "limit"
            else None,
            f"mine-{rng.randrange(10**6)}" if rng.random() < 0.3 else None,
            now_ms, plan=sizes, cancels=kind == "limit" and rng.random() < 0.3,
        )  # fmt: skip
        order.reserved_fee = cost // FEE if side == "BID" else 0
        order.locked = cost + order.reserved_fee if side == "BID" else volume
        own = self._balance(market.quote if side == "BID" else market.base)
        own[0] += max(0, 2 * order.locked - own[0])  # a deposit, if it is too poor
        own[0] -= order.locked
        own[1] += order.locked
        return self._report(order, "wait", None, (market.quote if side == "BID" else market.base,), now_ms)

    def _fill(self, order: Order, now_ms: int) -> Report:
        market, size = order.market, order.plan.pop(0)
        worth = _money(market.price, size)
        fee = worth // FEE
        quote, base = self._balance(market.quote), self._balance(market.base)
        if order.side == "BID":
            quote[1] -= worth + fee
            order.locked -= worth + fee
            base[0] += size
        else:
            base[1] -= size
            order.locked -= size
            quote[0] += worth - fee
        order.executed += size
        order.funds += worth
        order.fills += 1
        order.paid_fee += fee
        fill = (self._uuid(), market.price, size, fee, self.rng.random() < 0.5)
        return self._report(order, "trade", fill, (market.quote, market.base), now_ms)

    def _end(self, order: Order, state: str, now_ms: int) -> Report:
        """What rounding or a cancel has left over is given back."""
        self.order = None
        currency = order.market.quote if order.side == "BID" else order.market.base
        own = self._balance(currency)
        own[0] += order.locked
        own[1] -= order.locked
        order.locked = 0
        return self._report(order, state, None, (currency,), now_ms)

    def _report(
        self,
        order: Order,
        state: str,
        fill: tuple[str, int, int, int, bool] | None,
        changed: tuple[str, ...],
        now_ms: int,
    ) -> Report:
        order.state = state
        balances = tuple((currency, *self._pair(currency)) for currency in changed)
        return Report(
            order, state, fill, order.executed, order.funds, order.fills, order.paid_fee, order.locked, balances, now_ms
        )  # fmt: skip

    def _pair(self, currency: str) -> tuple[int, int]:
        available, locked = self._balance(currency)
        return available, locked


def _money(price: int, size: int) -> int:
    return price * size // UNIT
