"""Spoilt frames against json, from buffers of their exact size, to be run under a sanitizer: --count N.

A bytes object has a zero byte behind it that hides a read of one byte too many; memory from malloc has not.
"""

from __future__ import annotations

import argparse
import ctypes
import random
import sys
from collections import Counter
from pathlib import Path

from subcore._intern import Interner
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore.fields import Schema as Declared
from subcore.sim.frames import any_frame
from subcore.venues import binance_fields, upbit_fields

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from frame_mutations import mutations
from scan_oracle import Scanned, check

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p
LIBC.malloc.argtypes = [ctypes.c_size_t]
LIBC.free.argtypes = [ctypes.c_void_p]

COMBINED = (
    b'{"stream":"ftmusdt@bookTicker","data":{"u":800360982,"s":"FTMUSDT","b":"0.33989000","B":"1565.60000000",'
    b'"a":"0.34012000","A":"703.00000000"}}',
    b'{"stream":"sxpbtc@aggTrade","data":{"e":"aggTrade","E":1628952398392,"s":"SXPBTC","a":14455210,"p":"0.00007480",'
    b'"q":"39.00000000","f":17567403,"l":17567403,"T":1628952398391,"m":false,"M":true}}',
    b'{"stream":"ftm\\u0075sdt@kline_1m","data":{"e":"kline","E":1628952396573,"s":"FTMUSDT","k":{"t":1628952360000,'
    b'"T":1628952419999,"s":"FTMUSDT","i":"1m","f":38248833,"L":38248910,"o":"0.34064000","c":"0.33993000",'
    b'"h":"0.34070000","l":"0.33934000","v":"208601.00000000","n":78,"x":false,"q":"70846.76968900",'
    b'"V":"156046.30000000","Q":"52984.16932200","B":"0"}}}',
    b'{"stream":"bnbbtc@depth5@100ms","data":{"lastUpdateId":160,"bids":[["0.00240000","10.00000000"],["0.0023","1"]],'
    b'"asks":[["0.00260000","100.00000000"]]}}',
    b'{"stream":"bnbbtc@trade","data":{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.00100000",'
    b'"q":"100.00000000","T":1672515782136,"m":true,"M":true}}',
)


def scan_exact(scanner: Scanner, frame: bytes) -> Scanned:
    address = LIBC.malloc(len(frame) or 1)
    try:
        ctypes.memmove(address, frame, len(frame))
        return scanner.scan(memoryview((ctypes.c_char * len(frame)).from_address(address)))
    finally:
        LIBC.free(address)


def play(declared: Declared, frames: list[bytes], count: int, seed: int) -> Counter[str]:
    interner = Interner()
    interner.intern_many(["KRW-BTC", "FTMUSDT"])
    scanners = [Scanner(Schema(declared), interner, portable=portable) for portable in (False, True)]
    found: Counter[str] = Counter()
    for number, frame in enumerate(mutations(frames, count, seed)):
        found[check(frame, scan_exact(scanners[number % 2], frame), declared)] += 1
    for frame in frames[:5]:
        for size in range(len(frame) if count > 1000 else 40):
            found[check(frame[:size], scan_exact(scanners[size % 2], frame[:size]), declared)] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    frames = [any_frame(rng, shuffle=rng.random() < 0.2, unknown=rng.random() < 0.3) for _ in range(100)]
    found = play(upbit_fields.schema(), frames, asked.count * 4 // 5, asked.seed)
    found += play(binance_fields.schema(), list(COMBINED), asked.count // 5, asked.seed)
    states = ", ".join(f"{state} {number}" for state, number in found.most_common())
    print(f"scan_mutations: {sum(found.values())} frames agree with json, seed {asked.seed}: {states}")


if __name__ == "__main__":
    main()
