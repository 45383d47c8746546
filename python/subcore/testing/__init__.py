"""Run the engine in virtual time against the embedded exchange, or against your own venue.

`VirtualClock` goes only where it is sent. `PlainLedger` is a ledger made of dicts, to check the real one and
the
engine against. `EngineDriver` joins engine, ledger and exchange over a simulated network with delay and
jitter, and
jumps from one deadline to the next: an hour of a quiet market costs a moment. Everything follows from the
seed.
"""

from __future__ import annotations

from subcore.testing.clock import VirtualClock
from subcore.testing.driver import EngineDriver
from subcore.testing.frames import FrameKey, read_binance_frame, read_upbit_frame
from subcore.testing.ledger import PlainLedger
from subcore.testing.pure_exchange import PureExchange

__all__ = [
    "EngineDriver",
    "FrameKey",
    "PlainLedger",
    "PureExchange",
    "VirtualClock",
    "read_binance_frame",
    "read_upbit_frame",
]
