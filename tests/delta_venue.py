"""A made-up venue whose requests add and remove, three topics a message, for the planner's tests."""

from __future__ import annotations

import json

import numpy as np

from subcore.types import StreamColumns
from subcore.venue import Blast, Channel, Counted, Limit, Model, Out, Packing, Route, Scope, Venue, Window

TOPICS_A_MESSAGE = 3


def encode(add: StreamColumns, remove: StreamColumns, target: StreamColumns, next_id: int) -> list[Out]:
    outs: list[Out] = []
    none = np.empty(0, np.int32)
    for verb, cols in (("UNSUB", remove), ("SUB", add)):
        for at in range(0, len(cols.streams), TOPICS_A_MESSAGE):
            part = cols.streams[at : at + TOPICS_A_MESSAGE]
            said = {"op": verb, "args": cols.symbols[at : at + TOPICS_A_MESSAGE], "id": next_id + len(outs)}
            adds, removes = (part, none) if verb == "SUB" else (none, part)
            outs.append(Out(json.dumps(said).encode(), 1, str(said["id"]), adds, removes))
    return outs


def answer(payload: bytes, next_id: int) -> Out:
    none = np.empty(0, np.int32)
    return Out(b"pong " + payload, 1, None, none, none)


COUNTS = frozenset({Counted.MESSAGE})
DELTA = Venue(
    name="delta",
    url="wss://delta.test",
    routes=(Route("public", "/ws"), Route("deep", "/deep")),
    channels=(Channel("trade", "trade", snapshot=False), Channel("book", "orderbook", route="deep")),
    model=Model.DELTA,
    limits=(Limit("m", Scope.LINK, COUNTS, (Window(5, 1.0, 1.1),)),),
    check_symbol=lambda symbol: None,
    encode=encode,
    decode_control=lambda frame: [],
    load_fields=lambda: None,
    answer=answer,
    packing=Packing(max_in_flight=4),
    blast=Blast.REQUEST,
    ack_is_proof=True,
)
