"""Parts of a page that scripts write, each between two marks of its own; all else of the page stays as it is."""

from __future__ import annotations

__all__ = ["kept", "placed"]


def marks(name: str) -> tuple[str, str]:
    """The lines a part begins and ends with."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def kept(page: str, name: str) -> str:
    """The part as it stands on a page, without its marks; empty where there is none."""
    begin, end = marks(name)
    return page.partition(begin)[2].partition(end)[0].strip("\n") if begin in page else ""


def placed(page: str, name: str, text: str, *, before: str) -> str:
    """The page with the part in its place: between its marks, or else before the first heading that begins so."""
    begin, end = marks(name)
    part = f"{begin}\n{text}\n{end}"
    if begin in page:
        ahead, _, rest = page.partition(begin)
        return ahead + part + rest.partition(end)[2]
    ahead, heading, rest = page.partition(f"\n{before}")
    return f"{ahead}\n{part}\n{heading}{rest}"
