"""Write the table of many components in docs/performance.md from what benchmarks/load.py measured:

python benchmarks/load.py --json > build/load.json && python scripts/make_load_doc.py build/load.json

Everything else of the page stays.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from page_parts import placed

ROOT = Path(__file__).resolve().parent.parent
DOC = ROOT / "docs" / "performance.md"
PART, BEFORE = "load", "## How it is measured"  # where the page has none yet: before this heading

HEADINGS = (
    "fan-out",
    "manager",
    "CPU an event",
    "a core takes",
    "ratio",
    "wanted",
    "p50 / p99, full",
    "p50 / p99, paced",
    "RSS",
    "lost",
)

OPENING = """\
## A thousand components over a socket

<!-- Written by scripts/make_load_doc.py from one run of benchmarks/load.py. Do not edit. -->

1,000 components with 5 topics each and handlers that do nothing, against the plain manager with as many; DEFAULT
tickers over a socket as fast as they are taken, subcore with its monitoring on and its page watched by a viewer. Each
event goes to 1, 10 or 40 of them. *CPU* is the time of the process for one delivered event, *a core takes* what follows
from it; delays are from the sender's send to a handler, at that load (when the socket's buffers are full) and at a
paced load of 10,000 frames a second.
"""

NOTES = """\
```console
$ python benchmarks/load.py --json > build/load.json      # some minutes, of a machine that does nothing else
$ python scripts/make_load_doc.py build/load.json         # writes this part of the page
```
"""


def row(fan_out: str, side: str, sides: dict[str, Any]) -> str:
    """One manager at one fan-out."""
    got = sides[side]
    ours = side == "subcore"
    met = "met" if sides["ratio"] >= sides["wanted"] else "**not met**"
    cells = (
        fan_out if ours else "",
        "subcore" if ours else "plain manager",
        f"{got['cpu_us']:.3f} us",
        f"{got['events_a_core_s']:,.0f} a second",
        f"{sides['ratio']:.2f}x" if ours else "",
        f"≥ {sides['wanted']}x, {met}" if ours else "",
        f"{got['full_p50_ms']:.1f} / {got['full_p99_ms']:.1f} ms",
        f"{got['paced_p50_ms']:.2f} / {got['paced_p99_ms']:.2f} ms",
        f"{got['rss_mib']:.0f} MiB",
        f"{got['lost']:,}",
    )
    return f"| {' | '.join(cells)} |"


def section(run: dict[str, Any]) -> str:
    """The part of the page."""
    machine = run["machine"]
    lines = [
        OPENING,
        f"| {' | '.join(HEADINGS)} |",
        "| ---: | --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
        *(row(at, side, sides) for at, sides in run["fan_outs"].items() for side in ("subcore", "plain")),
        "",
        f"Medians of {run['rounds']} rounds on {machine['cpu']} ({machine['cores']} cores, {machine['system']}), "
        f"Python {machine['python']}; ratios are medians of the rounds' own.",
        "",
        NOTES,
    ]
    return "\n".join(lines).rstrip()


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        text = section(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{sys.argv[1]} is not what `benchmarks/load.py --json` wrote: {error!r}")
    page = DOC.read_text(encoding="utf-8")
    DOC.write_text(placed(page, PART, text, before=BEFORE), encoding="utf-8")
    print(f"wrote {DOC.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
