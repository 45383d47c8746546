"""The scanner on recorded frames: every one, in order, against json, float() and int()."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frame_mutations import mutations
from scan_oracle import check
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore.sim.encode import KEYS
from subcore.venues import upbit_fields

DECLARED = upbit_fields.schema()

# Typed from the venue's field tables again, not taken from what is tested.
TICKER = {
    "opening_price": "open", "high_price": "high", "low_price": "low", "trade_price": "price",
    "prev_closing_price": "previous_close", "change": "change", "change_price": "change_price",
    "signed_change_price": "signed_change_price", "change_rate": "change_rate",
    "signed_change_rate": "signed_change_rate", "trade_volume": "size", "acc_trade_volume": "volume",
    "acc_trade_volume_24h": "volume_24h", "acc_trade_price": "turnover", "acc_trade_price_24h": "turnover_24h",
    "trade_date": "trade_date", "trade_time": "trade_time", "acc_ask_volume": "ask_volume",
    "acc_bid_volume": "bid_volume", "highest_52_week_price": "high_52w", "highest_52_week_date": "high_52w_date",
    "lowest_52_week_price": "low_52w", "lowest_52_week_date": "low_52w_date", "market_state": "market_state",
    "is_trading_suspended": "is_trading_suspended", "delisting_date": "delisting_date",
    "market_warning": "market_warning",
}  # fmt: skip
TRADE = {
    "trade_price": "price", "trade_volume": "size", "prev_closing_price": "previous_close", "change": "change",
    "change_price": "change_price", "trade_date": "trade_date", "trade_time": "trade_time", "sequential_id": "id",
    "best_ask_price": "best_ask_price", "best_ask_size": "best_ask_size", "best_bid_price": "best_bid_price",
    "best_bid_size": "best_bid_size",
}  # fmt: skip
ORDERBOOK = {"total_ask_size": "total_ask_size", "total_bid_size": "total_bid_size"}
CANDLE = {
    "opening_price": "open", "high_price": "high", "low_price": "low", "trade_price": "close",
    "candle_acc_trade_volume": "volume", "candle_acc_trade_price": "turnover",
}  # fmt: skip
ORDER = {
    "uuid": "order_id", "order_type": "order_type", "state": "state", "trade_uuid": "trade_id", "price": "price",
    "avg_price": "average_price", "volume": "size", "remaining_volume": "remaining_size",
    "executed_volume": "executed_size", "trades_count": "trade_count", "reserved_fee": "reserved_fee",
    "remaining_fee": "remaining_fee", "paid_fee": "paid_fee", "locked": "locked", "executed_funds": "executed_funds",
    "time_in_force": "time_in_force", "trade_fee": "trade_fee", "is_maker": "is_maker",
    "identifier": "client_order_id", "smp_type": "self_trade_prevention", "prevented_volume": "prevented_size",
    "prevented_locked": "prevented_locked",
}  # fmt: skip
MEMBERS = {
    "ticker": TICKER, "trade": TRADE, "orderbook": ORDERBOOK, "candle": CANDLE, "myOrder": ORDER,
    "myAsset": {"asset_uuid": "asset_id"},
}  # fmt: skip
TIMES = {
    "timestamp": "exchange_time_ns", "trade_timestamp": "trade_time_ns", "order_timestamp": "order_time_ns",
    "asset_timestamp": "asset_time_ns",
}  # fmt: skip


def lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield from (line.rstrip(b"\n") for line in file)


def recorded(recordings: Path) -> Iterator[tuple[bytes, bool]]:
    """Each recorded frame, and whether its source says that it was trimmed."""
    folder = recordings / "upbit"
    paths = [*folder.glob("rec_*.jsonl.gz"), *folder.glob("wire_samples*.jsonl")]
    paths += [folder / "fixtures_not_recorded.jsonl"]
    for path in sorted(path for path in paths if ".sources." not in path.name and ".sent." not in path.name):
        sources = path.with_name(path.name.replace(".jsonl", ".sources.jsonl"))
        trimmed = set()
        if sources.exists():
            said = [json.loads(line) for line in lines(sources)]
            trimmed = {one["line"] for one in said if "trimmed" in one["fidelity"]}
        for number, frame in enumerate(lines(path), 1):
            yield frame, number in trimmed


def long_names(said: dict[str, Any]) -> dict[str, Any]:
    """A frame by the keys of DEFAULT, whatever format it is in."""
    if "ty" not in said:
        return said
    keys = {short: long for long, short in KEYS[said["ty"].partition(".")[0]].items()}
    return {keys[key]: value for key, value in said.items()}


def levels(units: list[dict[str, float]], side: str) -> list[list[float]]:
    price, size = (
        (f"{side}_price", f"{side}_size") if f"{side}_price" in units[0] else (f"{side[0]}p", f"{side[0]}s")
    )
    return [[unit[price], unit[size]] for unit in units if unit[price] != 0]


def by_hand(frame: bytes) -> dict[str, Any]:
    said = long_names(json.loads(frame))
    values = {
        member: said[key]
        for key, member in MEMBERS[said["type"].partition(".")[0]].items()
        if said.get(key) is not None
    }
    values |= {member: said[key] * 10**6 for key, member in TIMES.items() if said.get(key) is not None}
    if "ask_bid" in said:
        values["side"] = {"ASK": "SELL", "BID": "BUY"}[said["ask_bid"]]
    if "code" in said:
        values["symbol"] = said["code"]
    if "orderbook_units" in said:
        values |= {f"{side}s": levels(said["orderbook_units"], side) for side in ("bid", "ask")}
        values |= {"grouping": said["level"]} if said.get("level") else {}
    if "assets" in said:
        values["balances"] = [[one["currency"], one["balance"], one["locked"]] for one in said["assets"]]
    return values


def test_every_recorded_frame_decodes_to_what_json_reads(recordings: Path) -> None:
    scanner = Scanner(Schema(DECLARED))
    counts: Counter[str] = Counter()
    for frame, trimmed in recorded(recordings):
        scanned = scanner.scan(frame)
        state = check(frame, scanned, DECLARED)
        counts[state] += 1
        if state != "ok":
            assert trimmed, f"{state} at {scanner.error_position} of {frame!r}"
            assert state == "missing_field"
        for _, event in scanned:
            if event is None:
                counts["control"] += 1
                continue
            found = event.to_dict()
            for name, value in by_hand(frame).items():
                assert found.pop(name) == value, f"{name} of {frame!r}"
            assert set(found) <= {
                "venue", "channel", "is_snapshot", "is_realtime", "is_image", "receive_time_ns", "start_time_ns",
            }, f"unexplained: {found}"  # fmt: skip
    assert counts["ok"] >= 1470
    assert 1 <= counts["control"] <= 10


def test_nearly_all_recorded_numbers_take_the_fast_path(recordings: Path) -> None:
    scanner = Scanner(Schema(DECLARED))
    for frame, _ in recorded(recordings):
        scanner.scan(frame)
    counts = scanner.counters()
    assert counts["numbers_fast"] > 60_000
    assert counts["numbers_slow"] <= counts["numbers_fast"] / 1000


def sample(recordings: Path, count: int) -> list[bytes]:
    """Recorded frames of every kind: all single samples, then some of the long recording."""
    frames = [frame for frame, _ in recorded(recordings)]
    rare = [frame for frame in frames if b'"ty":' not in frame]
    return rare + frames[:: len(frames) // (count - len(rare)) + 1][: count - len(rare)]


def test_every_truncation_ends_in_a_named_state(recordings: Path) -> None:
    scanner = Scanner(Schema(DECLARED))
    for frame in sample(recordings, 50):
        for size in range(len(frame)):
            assert check(frame[:size], scanner.scan(frame[:size]), DECLARED) != "ok"


def test_mutated_recordings_obey_json(recordings: Path) -> None:
    scanner = Scanner(Schema(DECLARED))
    states = Counter(
        check(frame, scanner.scan(frame), DECLARED)
        for frame in mutations(sample(recordings, 100), 2_000, seed=11)
    )
    assert len(states) >= 8, states
