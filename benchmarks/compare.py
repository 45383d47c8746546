"""One table of ratios from one run: subcore against the libraries that do parts of its work, and the plain manager.

    python benchmarks/compare.py                    everything, 15 rounds (minutes)
    python benchmarks/compare.py --quick            3 rounds, small populations (under a minute; figures are rough)
    python benchmarks/compare.py --only ticker      contests whose name contains this (repeatable)
    python benchmarks/compare.py --json FILE        what was measured, for machines and scripts/make_performance_doc.py

Needs the extras [dev] and [bench]. Nothing here gates anything: machines differ, instruction counts do not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison import (
    api_rows,
    decode_rows,
    delivery_rows,
    fanout_rows,
    feed_rows,
    ledger_rows,
    liveness_rows,
    planning_rows,
    socket_rows,
    trace_rows,
)
from comparison.measure import Contest, Effort, Result, run_contest
from comparison.skips import SKIPPED
from comparison.table import as_json, print_table

SUBJECTS = (
    decode_rows,
    socket_rows,
    feed_rows,
    fanout_rows,
    delivery_rows,
    liveness_rows,
    ledger_rows,
    api_rows,
    planning_rows,
    trace_rows,
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="interleaved rounds (15; 3 with --quick)")
    parser.add_argument(
        "--only", action="append", default=[], metavar="TEXT", help="contests named like this"
    )
    parser.add_argument("--json", metavar="FILE", help="write what was measured; - for standard output")
    parser.add_argument("--quick", action="store_true", help="under a minute, rough")
    parser.add_argument("--list", action="store_true", help="name the contests and end")
    given = parser.parse_args()
    if given.rounds is not None and given.rounds < 1:
        parser.error("--rounds must be at least 1")
    return given


def effort_of(given: argparse.Namespace) -> Effort:
    effort = (
        Effort(rounds=3, sample_seconds=0.003, socket_frames=4_000, scale=0.1) if given.quick else Effort()
    )
    return effort if given.rounds is None else replace(effort, rounds=given.rounds)


def chosen_contests(only: list[str]) -> Iterator[Contest]:
    for subject in SUBJECTS:
        for contest in subject.contests():
            if not only or any(text.lower() in contest.name.lower() for text in only):
                yield contest


def stay_on_one_core() -> None:
    """The caches stay ours, and the sender of the socket rows gets another core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def main() -> None:
    given = arguments()
    contests = list(chosen_contests(given.only))
    if given.list:
        print(*(contest.name for contest in contests), sep="\n")
        return
    if not contests:
        sys.exit(f"no contest is called like {', '.join(given.only)}; --list names them")
    effort, start, results = effort_of(given), time.monotonic(), list[Result]()
    stay_on_one_core()
    for number, contest in enumerate(contests, 1):
        print(f"[{number}/{len(contests)}] {contest.name}", file=sys.stderr, flush=True)
        results += run_contest(contest, effort)
    seconds = time.monotonic() - start
    if effort.scale != 1.0:
        print(
            f"rough: populations of components and symbols are {effort.scale:g} of what rows say",
            file=sys.stderr,
        )
    print_table(results, SKIPPED, sys.stderr if given.json == "-" else sys.stdout)
    print(f"{len(results)} rows, {effort.rounds} rounds, {seconds:.0f} s", file=sys.stderr)
    if given.json:
        text = json.dumps(as_json(results, SKIPPED, effort, seconds), indent=1)
        print(text) if given.json == "-" else Path(given.json).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
