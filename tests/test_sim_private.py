"""The embedded exchange's private route: who may come in, what is asked and listed, what an account's orders say."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

import subcore
from private_keys import PRIVATE, bearer, token
from sim_play import Play, ends, frames, kinds
from subcore.sim import Fault, Refusal
from subcore.sim.private_frames import KEYS

ORDER_NULLS = {
    "trade_uuid", "price", "avg_price", "volume", "remaining_volume", "executed_volume", "time_in_force", "trade_fee",
    "is_maker", "identifier", "smp_type", "trade_timestamp",
}  # fmt: skip
"""Where the fact sheet says null."""


def ask(play: Play, conn: int, *entries: Any, format: str = "DEFAULT") -> None:
    play.send(conn, [{"ticket": "t"}, *entries, {"format": format}])


def enter(play: Play, **options: Any) -> int:
    return play.connect(path=PRIVATE, headers=bearer(**options))


def test_a_good_token_opens_and_a_bad_one_is_answered_401() -> None:
    play = Play(seed=1)
    for good in (bearer(), bearer(algorithm="HS256"), {"AUTHORIZATION": f"bearer {token()}"}):
        assert isinstance(play.try_connect(path=PRIVATE, headers=good), int)
        play.pass_time(1.1)
    once = bearer(nonce="once")
    assert isinstance(play.try_connect(path=PRIVATE, headers=once), int)
    bad: list[Any] = [
        {}, {"Authorization": token()}, {"Authorization": "Bearer"}, {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Bearer " + token()[:-4] + "AAAA"}, bearer(secret="another"), bearer(access="nobody"),
        bearer(nonce=""), bearer(nonce=7), bearer(algorithm="HS384"), once,
        {"Authorization": "Bearer " + "." * 5000}, {"Authorization": "Bearer \xff.\xff.\xff"},
    ]  # fmt: skip
    for headers in bad:
        play.pass_time(30.0)
        assert play.try_connect(path=PRIVATE, headers=headers) == Refusal("status", 401), headers
    play.pass_time(30.0)
    assert isinstance(play.try_connect(headers={}), int)  # the public route asks for none


def test_connects_count_per_account_and_failed_logins_per_address() -> None:
    play = Play(seed=1, keys={"a": "sa", "b": "sb"})
    for _ in range(5):
        assert isinstance(enter(play, access="a", secret="sa"), int)
    assert play.try_connect(path=PRIVATE, headers=bearer("a", "sa"), ip="9.9.9.9").status == 429  # type: ignore[union-attr]
    assert isinstance(enter(play, access="b", secret="sb"), int)
    assert [v.ip for v in play.exchange.violations] == ["account a"]
    for _ in range(5):
        assert play.try_connect(path=PRIVATE, headers={}).status == 401  # type: ignore[union-attr]
    assert play.try_connect(path=PRIVATE, headers={}).status == 429  # type: ignore[union-attr]


def test_codes_are_optional_for_orders_and_forbidden_for_balances() -> None:
    for wrong, name in (
        ({"type": "myAsset", "codes": []}, "WRONG_FORMAT"),
        ({"type": "myAsset", "codes": ["KRW-BTC"]}, "WRONG_FORMAT"),
        ({"type": "myOrder", "codes": "KRW-BTC"}, "WRONG_FORMAT"),
        ({"type": "ticker", "codes": ["KRW-BTC"]}, "INVALID_PARAM"),
    ):
        play = Play(seed=1)
        conn = enter(play)
        ask(play, conn, wrong)
        out = play.pass_time(1.0)
        assert [f["error"]["name"] for f in frames(out)] == [name]
        assert [(o.kind, o.code) for o in ends(out)] == [("close", 1000)]
    play = Play(seed=1)
    public = play.connect()
    ask(play, public, {"type": "myOrder"})
    assert frames(play.pass_time(0.1))[0]["error"]["name"] == "INVALID_PARAM"


@pytest.mark.parametrize(
    ("entries", "listed"),
    [
        ([{"type": "myOrder"}, {"type": "myAsset"}], [{"type": "myOrder"}, {"type": "myAsset"}]),
        ([{"type": "myOrder", "codes": []}], [{"type": "myOrder"}]),
        (
            [{"type": "myOrder", "codes": ["KRW-BTC", "KRW-NOPE"]}],
            [{"type": "myOrder", "codes": ["KRW-BTC"]}],
        ),
    ],
)
def test_the_listing_tells_what_is_in_force(entries: list[Any], listed: list[Any]) -> None:
    play = Play(seed=1, order_rate=0.0)
    conn = enter(play)
    ask(play, conn, *entries)
    play.pass_time(0.5)
    play.send(conn, [{"ticket": "x"}, {"method": "LIST_SUBSCRIPTIONS"}])
    (said,) = frames(play.pass_time(60.0 - 1.0))
    assert said["result"] == listed


def life(seconds: float = 300.0, format: str = "DEFAULT", **options: Any) -> list[Any]:
    play = Play(seed=4, order_rate=4.0, **options)
    conn = enter(play)
    ask(play, conn, {"type": "myOrder"}, {"type": "myAsset"}, format=format)
    return [f for out in play.pass_time(seconds) for f in frames([out])]


def test_an_account_lives_by_the_books() -> None:
    """Rebuilt from the frames alone: what is ordered, filled, locked and paid adds up, frame after frame."""
    seen = life()
    orders: dict[str, list[dict[str, Any]]] = {}
    for frame in seen:
        if frame["type"] == "myOrder":
            assert list(frame) == list(KEYS["myOrder"])
            assert {key for key, value in frame.items() if value is None} <= ORDER_NULLS
            orders.setdefault(frame["uuid"], []).append(frame)
        else:
            names = [name for name in KEYS["myAsset"] if name not in ("currency", "balance", "locked")]
            assert list(frame) == names
            assert all(list(asset) == ["currency", "balance", "locked"] for asset in frame["assets"])
            assert all(asset["balance"] >= 0 and asset["locked"] >= -1e-9 for asset in frame["assets"])
    assert len(orders) > 100
    done = [told for told in orders.values() if told[-1]["state"] in ("done", "cancel")]
    assert len(done) >= len(orders) - 1
    states = set()
    for told in done:
        states.add(tuple(f["state"] for f in told))
        fills = [f for f in told if f["state"] == "trade"]
        assert [f["trades_count"] for f in fills] == list(range(1, len(fills) + 1))
        assert all((f["trade_uuid"] is None) == (f["state"] != "trade") for f in told)
        if fills:
            assert sum(Decimal(str(f["volume"])) for f in fills) == pytest.approx(
                Decimal(str(fills[-1]["executed_volume"])), abs=Decimal("1e-7")
            )
        assert told[-1]["locked"] == 0
    assert {s[-1] for s in states} == {"done", "cancel"}
    kinds_seen = {f[0]["order_type"] for f in done}
    assert kinds_seen == {"limit", "price", "market", "best"}
    for told in done:
        first = told[0]
        if first["order_type"] == "price":  # a market buy
            assert (first["volume"], first["remaining_volume"], first["executed_volume"]) == (
                None,
                None,
                None,
            )
        if first["order_type"] == "market":
            assert first["price"] is None


def test_the_same_seed_tells_the_same_and_formats_only_change_names() -> None:
    assert life() == life()
    long, short = life(30.0), life(30.0, "SIMPLE")
    assert len(long) == len(short) > 20
    for one, other in zip(long, short, strict=True):
        names = KEYS[one["type"]]
        assert {names[k] for k in one} == set(other)
        for key, value in one.items():
            if key != "assets":
                said = pytest.approx(value) if isinstance(value, float) else value
                assert other[names[key]] == said, key
    assert all(isinstance(frame, list) for frame in life(5.0, "JSON_LIST"))


@pytest.mark.parametrize("format", ["DEFAULT", "SIMPLE", "SIMPLE_LIST"])
def test_subcore_reads_every_frame(format: str) -> None:
    play = Play(seed=4, order_rate=4.0)
    conn = enter(play)
    ask(play, conn, {"type": "myOrder"}, {"type": "myAsset"}, format=format)
    venue = subcore.venue("upbit", format=format)
    events = [subcore.decode(venue, o.payload) for o in play.pass_time(60.0) if o.kind == "frame"]
    assert {type(e) for e in events} == {subcore.Order, subcore.Asset}
    for event in events:
        if isinstance(event, subcore.Order):
            assert event.symbol.startswith(("KRW-", "BTC-", "USDT-"))
            assert (event.trade_id is None) == (event.state != "trade")
        elif isinstance(event, subcore.Asset):
            assert event.symbol is None
            assert all(len(balance) == 3 for balance in event.balances)


def test_an_order_goes_to_those_who_asked_for_it_once() -> None:
    play = Play(seed=2, order_rate=5.0, keys={"a": "sa", "b": "sb"}, markets=["KRW-BTC", "KRW-ETH"])
    everything, one, other, both = (
        enter(play, access=k, secret=s) for k, s in (("a", "sa"), ("a", "sa"), ("b", "sb"), ("a", "sa"))
    )
    ask(play, everything, {"type": "myOrder"})
    ask(play, one, {"type": "myOrder", "codes": ["KRW-ETH"]})
    ask(play, other, {"type": "myOrder"})
    ask(play, both, {"type": "myOrder"}, {"type": "myOrder", "codes": ["KRW-ETH"]})
    out = play.pass_time(60.0)

    def told(conn: int) -> list[str]:
        return [json.dumps(f) for f in frames(out, conn)]

    assert told(everything) == told(both)
    assert told(one) == [f for f in told(everything) if '"KRW-ETH"' in f]
    assert 10 < len(told(one)) <= len(told(everything))
    assert not set(told(other)) & set(told(everything))


def test_faults_bite_on_the_private_route() -> None:
    play = Play(seed=1, order_rate=5.0)
    conn = enter(play)
    ask(play, conn, {"type": "myOrder"})
    assert frames(play.pass_time(5.0))
    play.exchange.inject(Fault("half_open"), play.ns())
    assert not frames(play.pass_time(5.0))
    play.exchange.heal(play.ns())
    play.exchange.inject(Fault("drop_rst"), play.ns())
    assert kinds(play.pass_time(1.0))[-1:] == ["reset"]
    assert not play.pass_time(5.0)


def test_messages_are_limited_on_the_private_route_too() -> None:
    play = Play(seed=1, order_rate=0.0)
    conn = enter(play)
    for _ in range(6):
        ask(play, conn, {"type": "myOrder"})
    out = play.pass_time(1.0)
    assert frames(out)[0]["error"]["name"] == "TOO_MANY_REQUEST"
    assert [v.rule for v in play.exchange.violations] == ["message-short"]


def test_a_revoked_key_opens_nothing_more() -> None:
    play = Play(seed=1, keys={"a": "sa"}, order_rate=2.0)
    conn = enter(play, access="a", secret="sa")
    ask(play, conn, {"type": "myOrder"})
    play.exchange.accounts.revoke("a")
    assert frames(play.pass_time(20.0), conn)  # "checked there only"
    assert play.try_connect(path=PRIVATE, headers=bearer("a", "sa")) == Refusal("status", 401)
