"""Coverage-guided search for a frame on which the scanner and json disagree, or that crashes or hangs it.

Needs atheris (Python 3.12 or 3.13) and a build with its coverage; fuzz/README.md has the commands.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import atheris

from subcore._intern import Interner
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore.sim.frames import any_frame
from subcore.venues import binance_fields, upbit_fields

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from scan_oracle import check

DECLARED = (upbit_fields.schema(), binance_fields.schema())
INTERNER = Interner()
INTERNER.intern("KRW-BTC")
SCANNERS = [
    (Scanner(Schema(one), INTERNER, portable=portable), one) for one in DECLARED for portable in (False, True)
]


def one_input(data: bytes) -> None:
    for scanner, declared in SCANNERS:
        check(data, scanner.scan(data), declared)


def write_seeds(folder: Path) -> None:
    rng = random.Random(1)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(200):
        frame = any_frame(rng, shuffle=number % 5 == 0, unknown=number % 3 == 0)
        (folder / f"seed-{number}").write_bytes(frame)


if __name__ == "__main__":
    if "--write-seeds" in sys.argv:
        write_seeds(Path(sys.argv[sys.argv.index("--write-seeds") + 1]))
        sys.exit()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
