"""Random interning, look-ups and releases against a dict, to be run under a sanitizer: --count N."""

from __future__ import annotations

import argparse
import random

from subcore._intern import MAX_TEXT_SIZE, Interner


def churn(count: int, seed: int) -> None:
    """`count` operations on one interner that grows, fills and reuses ids; texts of every size class."""
    chance = random.Random(seed)
    interner = Interner(capacity=200, seed=seed, hash_bits=chance.choice([3, 32]))
    ids: dict[str, int] = {}
    for step in range(count):
        size = chance.choice([1, 7, 22, 23, MAX_TEXT_SIZE])
        text = f"{chance.randrange(400)}".rjust(size, chance.choice("aé"))[-size:]
        if len(text.encode()) > MAX_TEXT_SIZE:
            continue
        if text in ids and chance.random() < 0.5:
            interner.release(ids.pop(text))
        elif text in ids or len(ids) < interner.capacity:
            ids[text] = interner.intern(text)
        assert interner.get(text) == ids.get(text, -1), f"seed {seed}, step {step}, text {text!r}"
    assert {interner.text(number): number for number in ids.values()} == ids, f"seed {seed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    count = parser.parse_args().count
    for seed in range(4):
        churn(count // 4, seed)
    print(f"intern_churn: {count} operations agree with a dict, seeds 0 to 3")


if __name__ == "__main__":
    main()
