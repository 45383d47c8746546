"""Hostile components of every kind in one manager, in virtual time, against a judge that knows what each of them did.

    python scripts/hostile_virtual.py --ci      some seeds, under a minute
    python scripts/hostile_virtual.py --full    200 seeds, three of each kind
    python scripts/hostile_virtual.py --seed 7  one of them

They crash, hang, raise, beat without reading, read without beating, leave at any await, are collected, lose their
owners; subscribe, found and close others from inside their handlers; change their policies in flight; are of several
tasks, and of a thread. Judged: each that breaks an obligation is named within 10 s of its fault, and gone in time; the
others get everything in order and at once, and are never accused; nobody's wishes are touched; nothing is left of who
is gone, in the ledger or on the wire; no handler runs inside a public call, and none of a closed component. Exit 1 = a
promise is broken, with the seed.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from hostile_world import HostileWorld

CI_S, FULL_SEEDS = 10.0, 200


def main() -> int:
    """Play until the time is up, or all seeds are through."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ci", action="store_true", help="under a minute")
    parser.add_argument("--full", action="store_true", help=f"{FULL_SEEDS} seeds")
    parser.add_argument("--seed", type=int, help="one seed")
    given = parser.parse_args()
    first = given.seed
    if first is None:  # what lands shall not hang on chance; the long play looks further each time
        first = 1 if given.ci else random.SystemRandom().randrange(1 << 30)
    seeds = range(first, first + (1 if given.seed is not None else FULL_SEEDS))
    logging.disable(logging.CRITICAL)  # what is logged is judged by statuses
    began, played, longest = time.monotonic(), 0, 0.0
    for seed in seeds:
        if given.ci and time.monotonic() - began > CI_S:
            break
        world = HostileWorld(seed, each=1 if given.ci or given.seed is not None else 3)
        try:
            world.play()
        except BaseException:
            print(f"seed {seed}: a promise is broken: python scripts/hostile_virtual.py --seed {seed}")
            raise
        played += 1
        longest = max(longest, world.longest_unnamed)
    print(
        f"seeds {first} to {first + played - 1}: {played} plays; the longest from a fault to its name: {longest:.1f} s"
    )
    return 0 if played else 1


if __name__ == "__main__":
    sys.exit(main())
