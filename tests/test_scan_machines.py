"""The scanner's two machines, the portable one and the one for newer processors, say the same of every frame."""

from __future__ import annotations

import json
import os
import random
import shlex
import subprocess
from pathlib import Path

import pytest

from frame_mutations import mutations
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore.sim.frames import any_frame
from subcore.venues import binance_fields, upbit_fields

SPELLINGS = (
    "0 1 7 9007199254740993 123456789012345 1234567890123456 12345678901234567 1.0 0.5 10.25 100500000.00000000 "
    "0.00012340 1234567.12345678 12345678.12345678 123456789.123456789 15541320239.3462863200000000 "
    "1999999999999999999 9999999999.9999999999 12345678901234567890.5 0.1234567890123456 0.12345678901234567890 "
    "-0 -0.0 -1 -12000.00000000 -15541320239.3462863200000000 1e5 1.5E-7 -2.5e+3 1e400 4.9e-324 00 01 01.5 -01 1. .5 - "
    "-. 1.2.3 1..2 1.e5 1e 1e+ 0x1 1_0 +1 NaN 1234567890123456. 123456789012345678901234567890123.5 "
    "0.00000000000000000000000000000000001 123456789012345.6 1234567890123456.7 999999999999999999999999999999.0"
)


def machines() -> tuple[Scanner, Scanner]:
    wide = Scanner(Schema(upbit_fields.schema()))
    if wide.portable:
        pytest.skip("this processor runs the portable machine only")
    return wide, Scanner(Schema(upbit_fields.schema()), portable=True)


def agree(wide: Scanner, portable: Scanner, frame: bytes) -> None:
    assert wide.scan(frame) == portable.scan(frame), frame
    assert wide.error_position == portable.error_position, frame


def test_a_machine_can_be_asked_for() -> None:
    assert Scanner(Schema(upbit_fields.schema()), portable=True).portable


def test_they_agree_on_every_spelling_of_a_number_wherever_it_stands() -> None:
    wide, portable = machines()
    start = '{"type":"trade","code":"KRW-BTC","timestamp":1788000000123,"ask_bid":"BID","sequential_id":1,'
    for spelling in SPELLINGS.split():
        for behind in ("", " ", ",", "}", '"', "]", ',"x":1', ',"change":"RISE"', "\n,\n"):
            for key in ("trade_price", "best_bid_price", "trade_timestamp", "sequential_id"):
                agree(wide, portable, f'{start}"{key}":{spelling}{behind}}}'.encode())
                agree(wide, portable, f'{start}"trade_volume":1,"{key}" : {spelling}{behind}'.encode())
    assert wide.counters() == portable.counters()


@pytest.mark.parametrize("venue", [upbit_fields, binance_fields], ids=["upbit", "binance"])
def test_they_agree_on_spoilt_frames(venue: object) -> None:
    rng = random.Random(11)
    declared = venue.schema()  # type: ignore[attr-defined]
    wide, portable = Scanner(Schema(declared)), Scanner(Schema(declared), portable=True)
    if wide.portable:
        pytest.skip("this processor runs the portable machine only")
    frames = [any_frame(rng, shuffle=rng.random() < 0.2, unknown=rng.random() < 0.3) for _ in range(100)]
    for frame in [*frames, *mutations(frames, 20_000, 11)]:
        agree(wide, portable, frame)
    assert wide.counters() == portable.counters()


FRAMES = (
    '{"price":1.5}',
    '{"price":100500000.00000000,"note":7}',
    '{"note":"x","price":15541320239.3462863200000000}',
    '{"price":-1e-7,"note":[1,{"a":2}]}',
    '{"note":0,"other":12345,"price":0}',
    '{"price":123456789012345678901234567890}',
    '{"price":01}',
    '{"price":1.}',
    '{"price":1,"price":2}',
    '{"price":"1"}',
    '{"price":1',
    "{}",
    '{"note":-}',
)


def test_without_the_instructions_of_any_machine_it_reads_the_same(tmp_path: Path) -> None:
    """Wheels are built for other processors, too."""
    root = Path(__file__).resolve().parent
    outputs = []
    for name, options in (("plain", ["-U__SSE2__", "-U__SSE4_1__", "-U__AVX2__"]), ("usual", [])):
        program = tmp_path / name
        compiler = shlex.split(os.environ.get("CC", "cc"))
        source = root / "compiled" / "scan_plainly.c"
        command = [
            *compiler,
            "-O1",
            "-w",
            *options,
            f"-I{root.parent / 'src' / 'subcore'}",
            str(source),
            "-o",
        ]
        subprocess.run([*command, str(program), "-lm"], check=True, timeout=120)
        outputs.append(subprocess.run([program, *FRAMES], check=True, text=True, capture_output=True).stdout)
    assert outputs[0] == outputs[1]
    for frame, line in zip(FRAMES, outputs[0].splitlines(), strict=True):
        try:
            read = dict(json.loads(frame, object_pairs_hook=_distinct))
        except ValueError:
            read = None
        if read is not None and not isinstance(read.get("price", 0), str):
            assert line == f"read 0 {float(read.get('price', 0)):.17g}", frame
        else:
            assert line.startswith("refused"), frame


def _distinct(pairs: list[tuple[str, object]]) -> list[tuple[str, object]]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return pairs
