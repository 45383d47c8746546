"""How scripts that lose connections and try patience are called: in one of two sizes, from a seed."""

from __future__ import annotations

import argparse


def parser(about: str | None, *, ci: str, full: str) -> argparse.ArgumentParser:
    """With `--ci`, `--full` and `--seed`. `about`: the script's docstring; the others: what each size is."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = made.add_mutually_exclusive_group(required=True)
    size.add_argument("--ci", action="store_true", help=ci)
    size.add_argument("--full", action="store_true", help=full)
    made.add_argument("--seed", type=int, default=1)
    return made
