"""Write the scenario table of docs/performance.md, and its picture, from what `subcore demo --scenario` measured:

    subcore demo --scenario all --json > build/scenarios.json
    python scripts/make_scenarios_doc.py build/scenarios.json

Several files, of some scenarios each, do as well. The picture needs the extra [docs]; `--no-picture` leaves it as is.
Everything else of the page stays.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from page_parts import placed

from subcore.scenarios.figures import FIGURES, show_fact

ROOT = Path(__file__).resolve().parent.parent
DOC = ROOT / "docs" / "performance.md"
PART, BEFORE = "scenarios", "## "  # where the page has none yet: before its first heading

OPENING = """\
## What it is for, before and after

<!-- Written by scripts/make_scenarios_doc.py from one run of subcore demo --scenario all. Do not edit. -->

The five scenarios, each played with the plain manager (`subcore.scenarios.plain_manager`: picows, orjson and a dict of
sets, what a competent team writes first) and with subcore: the same exchange, the same seed, the same traces, in
virtual time. What was sent and what came back is counted by the exchange and on the network between, by no manager.

![The plain manager and subcore in each figure](pictures/scenarios.svg)
"""

NOTES = """\
* The embedded exchange answers the sixth message of a second with an error and ends the connection (what the venue does
  then is not documented). The plain manager's components ask one by one for what they want after a reconnect, so with
  more than five of them nothing comes back: that is most of what stands under "plain manager". What it comes to where
  such messages are served is told below.
* Where more than six changes come in a minute, a link that carries CRITICAL streams or more than fifty is left alone:
  what is new goes to another one, and a change of both takes two messages. So the efficiency of a single play of the
  first scenario lies between 89 % and 100 %; the table has that of several plays together.
* Use of the limit is above 100 % where messages go at once, so that little time passes in which work waits.
* A heartbeat promised each 3 s is missed three times before anybody is accused: no fault takes longer to be found.
* The plain manager tells components of a reconnect in no order: its figures differ a little from run to run.
* In the month a connect and a snapshot take half a second each, and the time in which the venue refuses connects counts
  as time it could serve.

```console
$ subcore demo --scenario all                                  # some minutes
$ subcore demo --scenario 5 --full                             # the month with all of its calm: an hour and more
$ subcore demo --scenario all --json > build/scenarios.json    # then this part of the page is made of it:
$ .venv/bin/python scripts/make_scenarios_doc.py build/scenarios.json
```
"""


def table(said: dict[str, Any]) -> list[str]:
    """All figures, a line each."""
    lines = [
        "| scenario | figure | plain manager | subcore | wanted | |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    for each in said["scenarios"]:
        for figure in each["figures"]:
            definition = FIGURES[figure["key"]]
            cells = (
                f"{each['scenario']}. {each['title']}",
                definition.name,
                definition.show(figure["before"]),
                definition.show(figure["after"]),
                definition.show_wanted(),
                "met" if figure["met"] else "**not met**",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def facts(said: dict[str, Any]) -> list[str]:
    """What else was counted, a table a scenario."""
    lines = []
    for each in said["scenarios"]:
        lines += [f"### {each['scenario']}. {each['title'][0].upper()}{each['title'][1:]}", ""]
        lines += ["| counted | plain manager | subcore |", "| --- | ---: | ---: |"]
        lines += [
            f"| {what} | {show_fact(what, of['before'])} | {show_fact(what, of['after'])} |"
            for what, of in each["facts"].items()
        ]
        lines += [""]
        lines += [f"**Wrong:** {fault}" for fault in each["faults"]]
    return lines


def section(said: dict[str, Any]) -> str:
    """The part of the page."""
    texts = {}
    for each in said["scenarios"]:
        for figure in each["figures"]:
            texts[figure["name"]] = figure["definition"]
    long = " --full" if said["full"] else ""
    seconds = sum(each["seconds"] for each in said["scenarios"])
    lines = [
        OPENING,
        *table(said),
        "",
        f"Seed {said['seed']}{long}, Python {said['python']} on {said['machine']}, {seconds:.0f} s.",
        "",
        *(f"* **{name}**: {text}" for name, text in texts.items()),
        "",
        NOTES,
        *facts(said),
    ]
    return "\n".join(lines).rstrip()


def together(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Runs of some scenarios each, as if they were one. ValueError where seed, size or Python differ."""
    for name in ("seed", "full", "python", "machine"):
        if len({run[name] for run in runs}) != 1:
            raise ValueError(f"the runs differ by {name}")
    scenarios = sorted((each for run in runs for each in run["scenarios"]), key=lambda each: each["scenario"])
    return {**runs[0], "scenarios": scenarios}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="+", help="what subcore demo --scenario ... --json wrote")
    parser.add_argument("--no-picture", action="store_true")
    given = parser.parse_args()
    try:
        said = together([json.loads(file.read_text(encoding="utf-8")) for file in given.files])
        text = section(said)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"not what `subcore demo --scenario all --json` writes: {error!r}")
    page = DOC.read_text(encoding="utf-8")
    DOC.write_text(placed(page, PART, text, before=BEFORE), encoding="utf-8")
    print(f"wrote {DOC.relative_to(ROOT)}")
    if not given.no_picture:
        sys.path.insert(0, str(ROOT / "scripts" / "pictures"))
        from scenarios import draw

        draw(said)


if __name__ == "__main__":
    main()
