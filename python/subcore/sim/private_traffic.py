"""What the private route sends: each account's own life, to the connections that its keys have opened.

Nobody listens, nothing happens: an account goes on when somebody asks again. Private streams have no snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .connection import Connection, Subscription
from .durations import SECOND
from .encode import style_of, wrap
from .markets import Market
from .orders import Account, Report
from .private_frames import asset_frame, order_frame
from .requests import Wanted

__all__ = ["PrivateTraffic"]

MS = 1_000_000
TRADED = 8
"""An account trades the first so many of the exchange's markets, and whatever is asked for by name."""


class PrivateTraffic:
    """All accounts. `rate`: steps a second of each (an order placed, filled, ended); 0 = it does nothing.

    `schedule(at, function, *arguments)` and `send(subscription, payload, at)` are the exchange's.
    """

    def __init__(
        self,
        markets: Mapping[str, Market],
        seed: int,
        rate: float,
        schedule: Callable[..., None],
        send: Callable[[Subscription, bytes, int], None],
    ) -> None:
        self._markets = markets
        self._seed = seed
        self.rate = rate
        """May be set to 0: then every account rests for good."""
        self._schedule = schedule
        self._send = send
        self.accounts: dict[str, Account] = {}
        self._listeners: dict[str, dict[Subscription, None]] = {}
        self._running: set[str] = set()

    def serves(self, wanted: Wanted) -> bool:
        """Whether the venue would ever send this stream."""
        return not wanted.code or wanted.code in self._markets

    def add(self, subscription: Subscription, now: int) -> None:
        """Send the stream's events to a subscriber from now on."""
        name = subscription.conn.account
        self._listeners.setdefault(name, {})[subscription] = None
        if name not in self._running and self.rate:
            self._running.add(name)
            self._schedule_step(name, now)

    def remove(self, subscription: Subscription, now: int) -> None:
        """Forget a subscriber."""
        self._listeners.get(subscription.conn.account, {}).pop(subscription, None)

    def snapshot(self, wanted: Wanted, format: str, now: int) -> bytes | None:
        """ "No snapshot for private types"."""
        return None

    def force(self, subscription: Subscription, now: int) -> None:
        """Have the account do now what it would do soon."""
        if self.rate:
            self._step(subscription.conn.account, now)

    def account(self, name: str) -> Account:
        """An account by its access key, made when first asked for."""
        if name not in self.accounts:
            self.accounts[name] = Account(name, self._seed)
        return self.accounts[name]

    def _schedule_step(self, name: str, now: int) -> None:
        wait = self.account(name).rng.expovariate(self.rate)
        self._schedule(now + max(1, round(wait * SECOND)), self._run, name)

    def _run(self, at: int, name: str) -> None:
        if not self._listeners.get(name) or not self.rate:
            self._running.discard(name)
            return
        self._step(name, at)
        self._schedule_step(name, at)

    def _step(self, name: str, now: int) -> None:
        listeners = list(self._listeners.get(name, ()))
        named = [self._markets[s.wanted.code] for s in listeners if s.wanted.code in self._markets]
        account = self.account(name)
        report = account.step(named or list(self._markets.values())[:TRADED], now // MS)
        if report is not None:
            self._tell(account, report, listeners, now)

    def _tell(self, account: Account, report: Report, listeners: list[Subscription], now: int) -> None:
        """An order's frame and then the balances', each once a connection."""
        told: set[tuple[str, int]] = set()
        for kind in ("myOrder", "myAsset"):
            for subscription in listeners:
                wanted, conn = subscription.wanted, subscription.conn
                fits = wanted.type == kind and wanted.code in ("", report.order.market.code)
                if fits and (kind, conn.id) not in told and _may_send(subscription):
                    told.add((kind, conn.id))
                    self._send(subscription, _frame(account, report, kind, conn), now)


def _may_send(subscription: Subscription) -> bool:
    """A dropped stream has a few late frames left, which it shares with the others of its connection."""
    budget = subscription.late_budget
    if budget is None:
        return subscription.live
    budget[0] -= 1
    return budget[0] >= 0


def _frame(account: Account, report: Report, kind: str, conn: Connection) -> bytes:
    style = style_of(conn.format)
    made = order_frame(report, style) if kind == "myOrder" else asset_frame(account.id, report, style)
    return wrap(made, conn.format)
