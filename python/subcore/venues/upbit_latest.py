"""What is newest of Upbit's streams, by its quote REST: each rule is quoted beside the branch it causes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from subcore.latest import Latest, Question
from subcore.limits import Counted, Limit, OnBreach, Scope, Window
from subcore.types import StreamColumns
from subcore.venue import Channel

__all__ = ["make_latest"]

MS = 1_000_000
LAST_MS = 1 << 43  # a time beyond it, some 280 years from the epoch, is none

LIMITS = (
    # "quote REST: market, candle, trade, ticker, orderbook | 10 per second each | IP" [B]. Less than half of one is
    # used for both pages together: others may ask from the same address.
    Limit(
        group="latest",
        scope=Scope.IP,
        counts=frozenset({Counted.CONNECT}),
        windows=(Window(4, 1.0, 1.1),),
        min_gap_seconds=0.2,
        on_breach=OnBreach.REFUSE,
    ),
)


def make_latest(host: str, channels: tuple[Channel, ...], widest: int) -> Latest:
    """How to ask `host`."""
    kinds = np.array([channel.kind for channel in channels])
    by_trade = np.isin(kinds, ("ticker", "trade", "candle"))
    book = kinds == "orderbook"

    def can_ask(columns: StreamColumns) -> npt.NDArray[np.bool_]:
        """Whether frames of a book of fewer levels, or of a grouped one, come at each change of the whole is not
        documented [?]: of those nothing is asked."""
        whole = np.isin(columns.widths, (0, widest)) & (columns.groupings == 0)
        can: npt.NDArray[np.bool_] = by_trade[columns.channels] | (book[columns.channels] & whole)
        return can

    def questions(columns: StreamColumns, most: int) -> list[Question]:
        # "ticker.trade_timestamp": a trade is told by a trade frame, a ticker and the candles, none dated before it.
        # A ticker's own timestamp may move without a frame [?], so it is not used.
        ticker = partial(_read, name="trade_timestamp")
        # "timestamp is the time of the book's last change"; it "matched the socket frame with the same timestamp
        # level for level" [C].
        orderbook = partial(_read, name="timestamp")
        is_book = book[columns.channels]
        pages = (("/v1/ticker?", "", ~is_book, ticker), ("/v1/orderbook?", "&count=1", is_book, orderbook))
        return [
            question
            for start, end, mine, read in pages
            for question in _in_parts(columns, np.flatnonzero(mine), most, start, end, read)
        ]

    return Latest(f"https://{host}", can_ask, questions, LIMITS)


def _in_parts(
    columns: StreamColumns,
    rows: npt.NDArray[np.intp],
    most: int,
    start: str,
    end: str,
    read: Callable[[bytes], Mapping[str, int]],
) -> list[Question]:
    by_symbol: dict[str, list[int]] = {}
    for row in rows.tolist():
        by_symbol.setdefault(columns.symbols[row], []).append(row)
    names = list(by_symbol)
    made = []
    for first in range(0, len(names), most):
        part = names[first : first + most]
        mine = np.array([row for name in part for row in by_symbol[name]])
        path = f"{start}markets={','.join(part)}{end}"
        made.append(
            Question(path, columns.streams[mine], [columns.symbols[row] for row in mine.tolist()], read)
        )
    return made


def _read(body: bytes, name: str) -> dict[str, int]:
    """Times by market. Raises ValueError if the body is not a list of rows; rows that say nothing are left out."""
    try:
        rows = json.loads(body)
    except RecursionError:
        raise ValueError("the answer nests too deep") from None
    if not isinstance(rows, list):
        raise ValueError("the answer is not a JSON array")
    found = {}
    for row in rows:
        market, ms = (row.get("market"), row.get(name)) if isinstance(row, dict) else (None, None)
        if isinstance(market, str) and type(ms) is int and 0 < ms < LAST_MS:
            found[market] = ms * MS
    return found
