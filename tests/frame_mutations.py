"""Frames spoilt in the ways that find faults in a scanner: seeded, so that a failure can be played again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

PIECES = (
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\x00", b"\x1f", b"\xff", b"\xc3\xa9", b"\xc3", b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80", b"\xf4\x90\x80\x80", b"\xe0\x80\x80", b"\\u0041", b"\\ud83d\\ude00", b"\\ud83d", b"\\udc00",
    b"\\n", b"\\x", b"null", b"true", b"false", b"NaN", b"-Infinity", b"1e400", b"-0", b"0", b"01", b"1.", b".5",
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"18446744073709551616", b"1e5", b"E-8",
    b"0.00000000000000000000000000000000001", b"123456789012345678901234567890.5", b" ", b"\t\r\n", b'"":', b"[[]]",
    b'{"a":{"b":[1,{}]}}', b'"type":"trade",', b'"cd":"X",', b'"x":"' + b"y" * 100 + b'",', b"[" * 40, b"9" * 5000,
)  # fmt: skip


def flip(rng: random.Random, frame: bytearray, _others: Sequence[bytes]) -> None:
    frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)


def insert(rng: random.Random, frame: bytearray, _others: Sequence[bytes]) -> None:
    at = rng.randint(0, len(frame))
    frame[at:at] = rng.choice(PIECES)


def overwrite(rng: random.Random, frame: bytearray, _others: Sequence[bytes]) -> None:
    at, piece = rng.randrange(len(frame)), rng.choice(PIECES)
    frame[at : at + len(piece)] = piece


def cut_out(rng: random.Random, frame: bytearray, _others: Sequence[bytes]) -> None:
    at = rng.randrange(len(frame))
    del frame[at : at + rng.randint(1, 12)]


def repeat(rng: random.Random, frame: bytearray, _others: Sequence[bytes]) -> None:
    at = rng.randrange(len(frame))
    frame[at:at] = frame[at : at + rng.randint(1, 60)]


def splice(rng: random.Random, frame: bytearray, others: Sequence[bytes]) -> None:
    other = rng.choice(others)
    frame[rng.randrange(len(frame)) :] = other[rng.randrange(len(other)) :]


def swap_value(rng: random.Random, frame: bytearray, _others: Sequence[bytes]) -> None:
    """Another value behind a colon: the frame often stays JSON, of the wrong types."""
    colons = [at for at, byte in enumerate(frame) if byte == 58]
    if colons:
        at = rng.choice(colons) + 1
        end = min(end for end in (frame.find(b",", at), frame.find(b"}", at), len(frame)) if end >= 0)
        frame[at:end] = rng.choice((*PIECES[23:40], b'"text"', b"[]", b"{}", b'"1.5"', b"7"))


CHANGES: tuple[Callable[[random.Random, bytearray, Sequence[bytes]], None], ...] = (
    flip, insert, overwrite, cut_out, repeat, splice, swap_value, swap_value,
)  # fmt: skip


def mutations(frames: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` spoilt copies of random ones of `frames`, one to three changes each."""
    rng = random.Random(seed)
    for _ in range(count):
        frame = bytearray(rng.choice(frames))
        for _change in range(rng.randint(1, 3)):
            if frame:
                rng.choice(CHANGES)(rng, frame, frames)
        yield bytes(frame)
