"""What a request to Upbit says. Each rule is quoted beside the branch it causes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from subcore._encode import in_parts, join_quoted
from subcore.types import Int32Array, StreamColumns
from subcore.venue import TEXT, Channel, Out

__all__ = ["Grammar"]

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Grammar:
    """Writes requests: `[ticket, {type, codes, options} ..., format]`, always the whole set of the link."""

    channels: tuple[Channel, ...]
    widest: int  # levels of a book asked for without suffix
    format: str = "SIMPLE"
    carried_realtime_only: bool = False
    option_case: str = "snake"

    def encode(
        self, add: StreamColumns, remove: StreamColumns, target: StreamColumns, next_id: int
    ) -> list[Out]:
        """One message for all channels of all symbols, since "one request replaces everything".

        Nothing for an empty target: "empty codes -> error, then close". Entries and codes stand in order
        of class.
        """
        if not len(target.streams):
            return []
        payload = self._message(next_id, self._entries(target, add.streams))
        return [Out(payload, TEXT, f"s{next_id}", add.streams, remove.streams)]

    def encode_listing(self, next_id: int) -> Out:
        """LIST_SUBSCRIPTIONS. It names the format again: "the last request's value applies to every
        stream, even if that request was LIST_SUBSCRIPTIONS".
        """
        payload = self._message(next_id, [b',{"method":"LIST_SUBSCRIPTIONS"}'])
        nothing = np.empty(0, np.int32)
        return Out(payload, TEXT, f"s{next_id}", nothing, nothing)

    def _message(self, next_id: int, body: list[bytes]) -> bytes:
        """Pieces, joined once: with many codes each further copy would cost as much as writing them."""
        last = b',{"format":"%b"}]' % self.format.encode()
        return b"".join([b'[{"ticket":"s%d"}' % next_id, *body, last])

    def _entries(self, target: StreamColumns, added: Int32Array) -> list[bytes]:
        """One for all that share everything but the code; entries, and codes in them, in order of class."""
        carried = None
        if self.carried_realtime_only:
            carried = np.isin(target.streams, added, invert=True)
        pieces = list[bytes]()
        for rows, index, level, is_carried in in_parts(
            target.channels, target.groupings, target.priorities, carried
        ):
            self._entry(pieces, target, rows, self.channels[index], level, carried=is_carried)
        return pieces

    def _entry(
        self,
        pieces: list[bytes],
        target: StreamColumns,
        rows: Rows,
        channel: Channel,
        level: float,
        *,
        carried: bool,
    ) -> None:
        symbols = target.symbols
        pieces.append(b',{"type":"%b"' % channel.name.encode())
        # "codes optional for myOrder [= all], forbidden for myAsset"
        if channel.needs_symbol or all(symbols[row] for row in rows.tolist()):
            codes = (
                _book_codes(target, rows, self.widest) if channel.depths else (join_quoted(symbols, rows),)
            )
            pieces += (b',"codes":[', *codes, b"]")
        if level:
            pieces.append(b',"level":%b' % f"{level:.17g}".encode())
        if carried:
            pieces.append(
                b',"%b":true' % (b"is_only_realtime" if self.option_case == "snake" else b"isOnlyRealtime")
            )
        pieces.append(b"}")


def _book_codes(target: StreamColumns, rows: Rows, widest: int) -> Iterator[bytes]:
    """ "Two depths of one code on one connection can only be told apart by counting units": one depth is
    asked.
    """
    widths = target.widths[rows]
    for nth, width in enumerate(reversed(np.flatnonzero(np.bincount(widths)).tolist())):
        if nth:
            yield b","
        suffix = b"" if width in (0, widest) else b".%d" % width
        yield join_quoted(target.symbols, rows[widths == width], suffix)
