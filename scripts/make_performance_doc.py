"""Write docs/performance.md from what benchmarks/compare.py measured; what other scripts wrote there stays:

python benchmarks/compare.py --json build/compare.json && python scripts/make_performance_doc.py build/compare.json
"""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from comparison.table import value_text  # noqa: E402
from page_parts import kept, placed  # noqa: E402

DOC = ROOT / "docs" / "performance.md"
KEPT = {
    "scenarios": "## ",
    "load": "## How it is measured",
}  # parts of other scripts, and before what they stand

OPENING = """\
# Performance

<!-- Written by scripts/make_performance_doc.py from one run of benchmarks/compare.py. Do not edit. -->

Only ratios of one run mean anything: absolute figures change with the machine and with what else it does. Read a row
as "ours takes *ratio* of what the reference takes". A row marked **?** had a reference that would not hold still
(its 90th percentile over 1.3 times its 10th, in each of three attempts).
"""

HOW = """\
## How it is measured

* Every round measures each contestant of a group once, beginning with another one each time. Figures are medians over
  the rounds, ratios are medians of the rounds' own ratios (so a ratio need not be the quotient of the figures beside
  it). A group whose reference spreads over 1.3 is measured again, up to three times, and the calmest run counts.
* Figures are CPU time of the measuring thread, for socket rows of the whole client process, on one core. The sender of
  the socket rows is another process on another core and sends bursts of 512 frames.
* Frames are generated: 256 different ones from 32 markets, with the venue's mixed number spellings. Decoding means
  bytes to a filled struct (every number converted, every text copied, every check on) and an event object made and
  dropped; msgspec fills typed Structs of the same fields.
* The *plain manager* is `subcore.scenarios.plain_manager`: picows, orjson and a dict of sets, what a competent team
  writes first.
* *Planning* is what the engine does from the edges of a change to the message, less *encoding*: listing and writing
  what the message says (`benchmarks/bench_planning.py`). Of the plain manager, encoding is listing its topics and
  orjson, and planning the rest. It has nothing like a tick, which stands beside planning a change on the same link.
  How it grows with the link is judged with caches as cold: other memory is read before each change, as a process does
  that reads frames; without it only the link of 500 would find them warm. Slices of a lost link are judged with
  encoding apart, since a message of 50,000 topics has a budget of its own, 60 ns
  each; the longest call with it is shown.

## How to reproduce it

```console
$ make bench                                            # everything, some minutes; no gate anywhere reads it
$ make bench BENCH_ARGS="--quick"                       # rough, under a minute
$ make bench BENCH_ARGS="--only ticker --rounds 5"      # some groups; --list names them
$ make bench BENCH_ARGS="--json build/compare.json"     # then this page is made of it:
$ .venv/bin/python scripts/make_performance_doc.py build/compare.json
```

What gates in CI are instruction counts (`make instructions`), which do not depend on what else a machine does.
"""


def row_line(row: dict[str, Any]) -> str:
    """One row of a table."""
    verdict = {True: "met", False: "**not met**", None: ""}[row["met"]] + (" **?**" if row["noisy"] else "")
    ratio = row["ratio"]
    cells = (
        row["what"],
        value_text(row["ours"]["value"], row["unit"]),
        value_text(row["reference"]["value"], row["unit"]),
        f"{ratio:.3f}x" if ratio < 10 else f"{ratio:.0f}x",
        row["target_text"],
        verdict,
    )
    return f"| {' | '.join(cells)} |"


def tables(rows: list[dict[str, Any]]) -> list[str]:
    """A heading and a table for each group."""
    lines = []
    for contest, group in groupby(rows, key=lambda row: row["contest"]):
        lines += [f"### {contest[0].upper()}{contest[1:]}", ""]
        lines += [
            "| what | ours | reference | ratio | target | |",
            "| --- | ---: | ---: | ---: | ---: | --- |",
        ]
        lines += [*map(row_line, group), ""]
    return lines


def document(run: dict[str, Any]) -> str:
    """The whole page."""
    machine, rows = run["machine"], run["rows"]
    promised = [row for row in rows if row["met"] is not None]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    lines = [
        OPENING,
        "## The table",
        "",
        f"{run['rounds']} rounds in {run['seconds']:.0f} s on {machine['cpu']} ({machine['cores']} cores, "
        f"{machine['system']}), Python {machine['python']}; {packages}.",
        f"{sum(row['met'] for row in promised)} of {len(promised)} targets met.",
        "",
        *tables(rows),
        *(f"Left out: {reason}." for reason in run["skipped"]),
        *([""] if run["skipped"] else []),
        HOW,
    ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        run = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"{sys.argv[1]} is not what `compare.py --json` wrote: {error}")
    DOC.parent.mkdir(exist_ok=True)
    old, page = DOC.read_text(encoding="utf-8") if DOC.exists() else "", document(run)
    for name, before in KEPT.items():
        if text := kept(old, name):
            page = placed(page, name, text, before=before)
    DOC.write_text(page, encoding="utf-8")
    print(f"wrote {DOC.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
