"""What a request to Binance says. Each rule is quoted beside the branch it causes, see binance.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from subcore.batching import batches
from subcore.types import Int32Array, StreamColumns
from subcore.venue import TEXT, Channel, Out, Packing

__all__ = ["Grammar", "encode_listing"]

NOTHING: Int32Array = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class Grammar:
    """Writes requests: `{"method":"SUBSCRIBE","params":[names],"id":1}` [A], each of streams that share a verb."""

    channels: tuple[Channel, ...]
    packing: Packing
    book_suffix: str = "@100ms"

    def encode(
        self, add: StreamColumns, remove: StreamColumns, target: StreamColumns, next_id: int
    ) -> list[Out]:
        """Additions, then removals, in the order given; `target` says nothing that these do not."""
        outs: list[Out] = []
        for names, streams in self._messages(add):
            outs.append(_out("SUBSCRIBE", names, next_id + len(outs), adds=streams))
        for names, streams in self._messages(remove):
            outs.append(_out("UNSUBSCRIBE", names, next_id + len(outs), removes=streams))
        return outs

    def _messages(self, columns: StreamColumns) -> Iterator[tuple[list[str], Int32Array]]:
        if not len(columns.streams):
            return
        kinds = {index: self._suffix(self.channels[index]) for index in set(columns.channels.tolist())}
        # "Stream names and symbols lower case to subscribe" [B]; the rest of the name keeps its case.
        named = zip(columns.symbols, columns.channels.tolist(), strict=True)
        names = [f'"{symbol.lower()}{kinds[channel]}"' for symbol, channel in named]
        sizes = [len(name.encode()) + 1 for name in names]
        for part in batches(sizes, self.packing, len(_payload("UNSUBSCRIBE", [], 1 << 31))):
            yield names[part], columns.streams[part]

    def _suffix(self, channel: Channel) -> str:
        return f"@{channel.wire_name}{self.book_suffix if channel.depths else ''}"


def encode_listing(next_id: int) -> Out:
    """ "LIST echoes names that do not exist" [C]: it proves that a request arrived, not that data will."""
    return Out(b'{"method":"LIST_SUBSCRIPTIONS","id":%d}' % next_id, TEXT, str(next_id), NOTHING, NOTHING)


def _out(
    verb: str, names: list[str], number: int, adds: Int32Array = NOTHING, removes: Int32Array = NOTHING
) -> Out:
    return Out(_payload(verb, names, number), TEXT, str(number), adds, removes)


def _payload(verb: str, names: list[str], number: int) -> bytes:
    # "One error text in the docs still says unsigned integer: use a positive int" [B].
    return f'{{"method":"{verb}","params":[{",".join(names)}],"id":{number}}}'.encode()
