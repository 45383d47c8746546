"""The engine on a private route, against the exchange in virtual time: proof without data, restore, refused logins."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from typing import Any

import numpy as np
import pytest

from private_keys import PRIVATE, insides, token
from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.engine.pacing import LimitRegistry
from subcore.sim import Exchange, Fault
from subcore.testing import EngineDriver
from subcore.types import DataState, Evidence, StatusKind, StreamState
from subcore.venue import Counted, Scope, Venue
from subcore.venues import venue

UPBIT = venue("upbit")


class Tokens:
    """Gives tokens and remembers them; `wrong`: signed with a key the exchange does not know."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.wrong = False

    def __call__(self) -> str:
        self.given.append(token(secret="wrong") if self.wrong else token())
        return self.given[-1]


def world(
    *, order_rate: float = 0.0, seed: int = 1, made: Venue = UPBIT, **options: Any
) -> tuple[EngineDriver, Exchange, Tokens]:
    tokens = Tokens()
    exchange = Exchange(seed=seed, order_rate=order_rate, markets=["KRW-BTC", "KRW-ETH", "KRW-XRP"])
    return EngineDriver(made, exchange, seed=seed, login=tokens, **options), exchange, tokens


def private_connections(exchange: Exchange) -> list[Any]:
    return [c for c in exchange.connections.values() if c.path == PRIVATE]


def rows(driver: EngineDriver, streams: Any) -> list[Any]:
    return [driver.engine.row(stream) for stream in streams.tolist()]


def test_a_silent_account_is_proven_by_the_listing_and_not_before() -> None:
    driver, exchange, tokens = world()
    streams = np.concatenate(
        [
            driver.subscribe("mine", "myOrder", [""]),
            driver.subscribe("mine", "myOrder", ["KRW-BTC"]),
            driver.subscribe("mine", "myAsset", [""]),
        ]
    )
    assert driver.run_until(lambda: bool(driver.sent), 5.0)
    driver.run(1.5)
    assert {row.state for row in rows(driver, streams)} == {StreamState.SENT}, "no answer is no proof"
    assert driver.run_until(driver.all_settled, 5.0)
    for row in rows(driver, streams):
        assert (row.state, row.data) == (StreamState.OPEN, DataState.NONE)
        assert row.evidence & Evidence.LISTED
        assert not row.evidence & Evidence.DATA
    request, listing = (json.loads(sent.payload) for sent in driver.sent)
    assert request[1:3] == [{"type": "myOrder"}, {"type": "myAsset"}], "all covers the one"
    assert listing[1] == {"method": "LIST_SUBSCRIPTIONS"}
    assert len(tokens.given) == 1
    driver.run(200.0)  # a quiet account accuses nobody, and is asked nothing more
    assert len(driver.sent) == 2
    assert driver.engine.stats.losses == driver.engine.stats.reasks == 0
    assert not exchange.violations


def test_an_active_account_is_proven_by_its_orders() -> None:
    driver, _, _ = world(order_rate=20.0)
    streams = driver.subscribe("mine", "myOrder", [""])
    assert driver.run_until(driver.all_settled, 1.9)
    assert rows(driver, streams)[0].evidence & Evidence.DATA


def test_an_account_that_stops_trading_is_accused_of_nothing() -> None:
    """Five orders a second, and then none for a minute: that is its owner, and neither link nor stream is at fault."""
    driver, exchange, tokens = world(order_rate=5.0)
    for channel in ("myOrder", "myAsset"):
        driver.subscribe("mine", channel, [""])
    driver.subscribe("chart", "ticker", ["KRW-BTC"])
    driver.run(60.0)
    private = next(iter(private_connections(exchange)))
    assert private.frames > 300
    exchange.orders.rate = 0.0
    frames = private.frames
    driver.run(60.0)
    assert private.frames == frames
    assert (driver.engine.stats.losses, driver.engine.stats.reasks, len(tokens.given)) == (0, 0, 1)
    assert driver.all_settled()


def test_named_orders_leave_with_their_codes_once_nobody_wants_all() -> None:
    driver, exchange, _ = world()
    driver.subscribe("one", "myOrder", ["KRW-BTC", "KRW-ETH"])
    driver.subscribe("all", "myOrder", [""])
    assert driver.run_until(driver.all_settled, 10.0)
    driver.unsubscribe("all", "myOrder", [""])
    driver.run(20.0)
    (connection,) = private_connections(exchange)
    assert {w.code for w in connection.streams} == {"KRW-BTC", "KRW-ETH"}
    assert driver.all_settled()


def test_after_a_loss_all_is_back_with_a_fresh_token_and_proven_anew() -> None:
    driver, exchange, tokens = world()
    driver.subscribe("mine", "myOrder", [""])
    driver.subscribe("mine", "myAsset", [""])
    driver.subscribe("chart", "ticker", ["KRW-BTC"])
    assert driver.run_until(driver.all_settled, 10.0)
    for _ in range(5):
        exchange.inject(Fault("drop_rst"), driver.now)
        driver.run(1.0)
        assert driver.run_until(driver.all_settled, 60.0)
        driver.run(40.0)
    assert len(tokens.given) == len(set(tokens.given)) == 6
    assert len(driver.restores) >= 5
    assert not exchange.violations


def test_no_token_reaches_the_engine() -> None:
    driver, exchange, tokens = world(order_rate=2.0)
    driver.subscribe("mine", "myOrder", [""])
    driver.run(10.0)
    exchange.inject(Fault("drop_rst"), driver.now)
    driver.run(10.0)
    said = driver.read_history(10_000) + repr(insides(driver.engine)) + repr(driver.venue)
    assert len(tokens.given) == 2
    for given in tokens.given:
        assert not any(part in said for part in given.split("."))
    assert all(not a.headers for _, a in driver.history if isinstance(a, actions.Connect))


@pytest.mark.parametrize("where", ["attribute", "entry", "key", "value"])
def test_a_token_that_a_part_of_the_engine_kept_would_be_seen(where: str) -> None:
    driver, _, tokens = world(order_rate=2.0)
    driver.subscribe("mine", "myOrder", [""])
    driver.run(5.0)
    (given,) = tokens.given
    lifecycle: Any = driver.engine._lifecycle
    assert given not in repr(insides(driver.engine))
    if where == "attribute":
        lifecycle.links[0].last_request.id = given
    elif where == "entry":
        lifecycle._accounts.add(given)
    elif where == "key":
        lifecycle.routes[given] = None
    else:
        lifecycle.routes["private"] = [(1, given)]
    assert given in repr(insides(driver.engine))


def test_refused_logins_are_told_and_not_hammered() -> None:
    driver, exchange, tokens = world()
    tokens.wrong = True
    mine = driver.subscribe("mine", "myOrder", [""])
    public = driver.subscribe("chart", "ticker", ["KRW-BTC"])
    driver.run(300.0)
    assert driver.engine.row(int(public[0])).state is StreamState.OPEN, "others go on"
    assert driver.engine.row(int(mine[0])).state is StreamState.WAITING
    tried = [
        at for at, what in driver.history
        if isinstance(what, actions.Connect) and what.route == "private"
    ]  # fmt: skip
    gaps = [(b - a) / SECOND for a, b in itertools.pairwise(tried)]
    assert len(tried) == len(tokens.given) >= 8
    assert max(gaps[:2]) < 2.0
    assert min(gaps[2:]) >= 30.0
    assert max(gaps) < 31.0
    told = [(n.kind, n.reason) for n in driver.notices if int(mine[0]) in n.streams.tolist()]
    assert [kind for kind, _ in told] == [StatusKind.WAITING, StatusKind.ERROR]
    assert re.search(r"HTTP 401", told[0][1] + told[1][1])
    assert "check the keys" in told[1][1]
    tokens.wrong = False
    driver.run(40.0)
    assert driver.engine.row(int(mine[0])).state is StreamState.OPEN
    assert not exchange.violations


def test_a_login_that_is_refused_after_a_loss_is_told_too() -> None:
    driver, exchange, tokens = world()
    mine = driver.subscribe("mine", "myOrder", [""])
    assert driver.run_until(driver.all_settled, 10.0)
    tokens.wrong = True
    exchange.inject(Fault("drop_rst"), driver.now)
    driver.run(100.0)
    told = [(n.kind, n.reason) for n in driver.notices if int(mine[0]) in n.streams.tolist()]
    assert [kind for kind, reason in told if "refused the login (HTTP 401)" in reason] == [
        StatusKind.WAITING,
        StatusKind.ERROR,
    ]
    assert driver.engine.row(int(mine[0])).state is StreamState.RECOVERING
    tokens.wrong = False
    driver.run(40.0)
    assert driver.engine.row(int(mine[0])).state is StreamState.OPEN


def test_a_login_refused_by_a_frame_is_not_hammered_either() -> None:
    """ "INVALID_AUTH: handshake 401 or error frame then close" is not known: this is the other reading."""
    driver, exchange, _ = world()
    exchange.inject(Fault("error", symbol="KRW-BTC", channel="myOrder", name="INVALID_AUTH"), driver.now)
    mine = driver.subscribe("mine", "myOrder", ["KRW-BTC"])
    driver.run(200.0)
    tried = [at for at, what in driver.history if isinstance(what, actions.Connect)]
    assert min(b - a for a, b in itertools.pairwise(tried[2:])) >= 30 * SECOND
    assert driver.engine.row(int(mine[0])).state is StreamState.WAITING, "nobody is blamed"
    told = [n.reason for n in driver.notices if n.kind is StatusKind.ERROR]
    assert len(told) == 1
    assert "INVALID_AUTH 3 times in a row" in told[0]
    exchange.heal(driver.now)
    driver.run(40.0)
    assert driver.engine.row(int(mine[0])).state is StreamState.OPEN


def narrow(amount: int) -> Venue:
    """Upbit, had it no limit by address and one of `amount` connects a second by account."""
    limits = [
        dataclasses.replace(limit, windows=(dataclasses.replace(limit.windows[0], amount=amount),))
        for limit in UPBIT.limits
        if limit.scope is Scope.ACCOUNT
    ]
    others = [limit for limit in UPBIT.limits if Counted.CONNECT not in limit.counts]
    return dataclasses.replace(UPBIT, limits=(*limits, *others))


@pytest.mark.parametrize(("accounts", "shared"), [(("a", "a"), True), (("", ""), True), (("a", "b"), False)])
def test_managers_of_one_account_share_its_connects(accounts: tuple[str, str], shared: bool) -> None:
    """Both lose their link again and again at the same moment; connects are counted as they arrive."""
    made, registry, arrivals = narrow(1), LimitRegistry(), []
    drivers = []
    for seed, account in enumerate(accounts, 1):
        login = Tokens()
        login.account = account  # type: ignore[attr-defined]
        exchange = Exchange(seed=seed, order_rate=0.0, markets=["KRW-BTC"])
        driver = EngineDriver(made, exchange, seed=seed, login=login, registry=registry, delay=(0.001, 0.002))
        driver.subscribe("mine", "myOrder", [""])
        drivers.append(driver)
    for step in range(1, 4000):
        for driver in drivers:
            if step % 400 == 0:
                driver.exchange.inject(Fault("drop_rst"), driver.now)  # type: ignore[attr-defined]
            driver.run(0.01)
    for driver in drivers:
        arrivals += [at for at, what in driver.history if isinstance(what, events.LinkUp)]
    arrivals.sort()
    assert len(arrivals) >= 12  # backoff grows
    gaps = [b - a for a, b in itertools.pairwise(arrivals)]
    assert (min(gaps) >= SECOND) is shared


def test_the_public_route_does_not_count_for_the_account() -> None:
    assert [limit.scope for limit in UPBIT.limits_on("public")] == [Scope.IP, Scope.LINK]
    assert [limit.scope for limit in UPBIT.limits_on("private")] == [Scope.IP, Scope.ACCOUNT, Scope.LINK]
    driver, _, _ = world()
    by_account = driver.registry.log("websocket-connect", UPBIT.host, Scope.ACCOUNT, "")
    driver.subscribe("chart", "ticker", ["KRW-BTC"])
    driver.run(1.0)
    assert not len(by_account)
    driver.subscribe("mine", "myOrder", [""])
    driver.run(1.0)
    assert len(by_account) == 1
