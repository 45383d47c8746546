"""The files of the page, read once into memory. What is not in this table cannot be asked for."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from .answers import Answer

__all__ = ["assets"]

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@cache
def assets() -> dict[str, Answer]:
    """By path; `/` is the page itself. OSError where the installation is not whole."""
    found = dict(_under(files(__package__) / "static", "/"))
    found["/"] = found.pop("/index.html")
    return found


def _under(folder: Traversable, path: str) -> list[tuple[str, Answer]]:
    found: list[tuple[str, Answer]] = []
    for entry in folder.iterdir():
        kind = KINDS.get(entry.name[entry.name.rfind(".") :])
        if entry.is_dir():
            found += _under(entry, f"{path}{entry.name}/")
        elif kind is not None:
            found.append((path + entry.name, Answer(200, entry.read_bytes(), kind)))
    return found
