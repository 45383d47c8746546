"""The pictures of the docs, from the engine's own table and from runs of it in virtual time.

    python scripts/pictures              all, into docs/pictures (half a minute)
    python scripts/pictures states       some

Needs the extra [docs].
"""

from __future__ import annotations

import argparse
import sys

try:
    import matplotlib as mpl
except ModuleNotFoundError:
    sys.exit("matplotlib is missing: pip install -e '.[docs]'")

mpl.use("svg")

from charts import draw_efficiency, draw_placement, draw_proof
from ladder import draw as draw_ladder
from states import draw as draw_states

PICTURES = {
    "states": draw_states,
    "proof": draw_proof,
    "placement": draw_placement,
    "efficiency": draw_efficiency,
    "ladder": draw_ladder,
}


def main() -> None:
    """Draw what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(PICTURES)}")
    names = parser.parse_args().names
    if unknown := set(names) - PICTURES.keys():
        parser.error(f"no picture is named {', '.join(sorted(unknown))}; there are {', '.join(PICTURES)}")
    for name in names or PICTURES:
        PICTURES[name]()


if __name__ == "__main__":
    main()
