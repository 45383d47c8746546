"""Write docs/fields.md from the event classes and the venues' field tables:

python scripts/make_fields_doc.py [--check]

`--check` writes nothing and fails where the file is not what would be written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from subcore import _events, fields
from subcore.venues import get_venue

DOC = Path(__file__).resolve().parent.parent / "docs" / "fields.md"

KINDS = ("Ticker", "Trade", "Orderbook", "Candle", "Order", "Asset")
VENUES = ("upbit", "binance")  # Upbit's regions speak alike

OR = "` or `"

OPENING = """\
# Fields

<!-- Written by scripts/make_fields_doc.py. Do not edit. -->

Attributes of the events, and where each venue takes them from. What a venue or a frame does not say is None (NaN in C
structs and arrays). Numbers are what `float(text)` gives, ids are exact. Times are integers of nanoseconds since 1970
UTC. Base units are what is traded (BTC of KRW-BTC), quote units what is paid with. `to_dict()` gives every attribute
that is not None, but for `raw`, `nbytes`, `best_bid`, `best_ask` and the arrays.
"""


def attributes(cls: type) -> Iterator[tuple[str, str, str]]:
    """(name, type, meaning) of each property, in the order of declaration."""
    for name, value in vars(cls).items():
        kind, colon, meaning = (value.__doc__ or "").partition(": ")
        if type(value).__name__ == "getset_descriptor" and colon:
            yield name, kind.replace("npt.", ""), meaning.rstrip(".")


def row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def keys_of(declared: fields.Schema, kind: str) -> dict[str, list[str]]:
    """Member -> the keys it is read from, for each of the venue's formats, `-` where a format has none.

    Channels of one kind may differ in the key: all stand in one cell.
    """
    found: dict[str, list[str]] = {}
    for place, discriminator in enumerate(declared.discriminators):
        for table in discriminator.tables:
            if table.kind == kind:
                for member, key in members(table.fields, ""):
                    keys = found.setdefault(member, [])
                    keys.extend("-" * (place - len(keys)))
                    if len(keys) == place:
                        keys.append(key)
                    elif key not in keys[place].split(OR):
                        keys[place] += OR + key
    return {
        member: keys + ["-"] * (len(declared.discriminators) - len(keys)) for member, keys in found.items()
    }


def members(declared: tuple[fields.Fields, ...], inside: str) -> Iterator[tuple[str, str]]:
    for field in declared:
        if isinstance(field, fields.Nested):
            yield from members(field.fields, f"{inside}{field.key}.")
        elif isinstance(field, fields.Rows):
            yield from members(field.fields, f"{inside}{field.key}[].")
        elif field.member:
            yield field.member, inside + field.key


def event_section(name: str) -> Iterator[str]:
    cls = getattr(_events, name)
    yield f"\n## {name}\n"
    yield f"{cls.__doc__.strip()}\n"
    yield row("attribute", "type", "meaning")
    yield row("---", "---", "---")
    for attribute in attributes(cls):
        yield row(f"`{attribute[0]}`", f"`{attribute[1]}`", attribute[2])


def venue_section(name: str) -> Iterator[str]:
    declared: fields.Schema = get_venue(name).load_fields()
    formats = [discriminator.format or "key" for discriminator in declared.discriminators]
    yield f"\n## From {name}\n"
    for kind in KINDS:
        found = keys_of(declared, kind.lower())
        if found:
            yield f"\n### {kind}\n"
            yield row("member", *formats)
            yield row(*["---"] * (len(formats) + 1))
            for member, keys in found.items():
                yield row(f"`{member}`", *(f"`{key}`" if key != "-" else "" for key in keys))


def text() -> str:
    out = [OPENING]
    out += ["## Every event\n", row("attribute", "type", "meaning"), row("---", "---", "---")]
    out += [row(f"`{plain}`", f"`{kind}`", meaning) for plain, kind, meaning in PLAIN]
    out += [row(f"`{name}`", f"`{kind}`", meaning) for name, kind, meaning in attributes(_events.Event)]
    for kind in KINDS:
        out += event_section(kind)
    for venue in VENUES:
        out += venue_section(venue)
    return "\n".join(out) + "\n"


PLAIN = (
    ("venue", "str", "name of the venue"),
    ("channel", "str", "kind of data, as in `subscribe`"),
    ("symbol", "str | None", "the market as the venue writes it; None where the event has none"),
    ("raw", "bytes | None", "the frame, if it was asked for"),
)


def main(arguments: list[str]) -> int:
    made = text()
    if arguments == ["--check"]:
        if not DOC.exists() or DOC.read_text(encoding="utf-8") != made:
            print(f"{DOC} is out of date: run python scripts/make_fields_doc.py", file=sys.stderr)
            return 1
        return 0
    DOC.parent.mkdir(exist_ok=True)
    DOC.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
