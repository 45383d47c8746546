"""What the viewer of `subcore top` chose, and what a key makes of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["PANES", "Pane", "State", "press"]

PANES = ("components", "topics")
SEARCH_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Pane:
    """One table: rows are those that contain `search`, by the column `sort`, from the `first` on."""

    sort: int = 0
    is_descending: bool = True
    search: str = ""
    first: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """`shown`: number of the pane. `is_typing`: keys go into its search. `is_frozen`: what is shown stays."""

    shown: int = 0
    panes: tuple[Pane, ...] = (Pane(), Pane())
    is_typing: bool = False
    is_frozen: bool = False
    has_ended: bool = False

    @property
    def pane(self) -> Pane:
        """That is shown."""
        return self.panes[self.shown]


def press(state: State, key: str, *, rows: int, page: int, columns: int) -> State:
    """After a key, where the pane has so many rows (those searched for), a page of so many, and so many columns."""
    if state.is_typing:
        return _type(state, key)
    pane = state.pane
    last = max(0, rows - page)
    moves = {
        "up": -1,
        "down": 1,
        "page_up": -page,
        "page_down": page,
        " ": page,
        "home": -rows,
        "g": -rows,
        "end": rows,
        "G": rows,
    }
    if key in moves:
        return _with(state, replace(pane, first=max(0, min(last, pane.first + moves[key]))))
    if key in ("left", "<", "right", ">"):
        step = -1 if key in ("left", "<") else 1
        return _with(state, replace(pane, sort=(pane.sort + step) % max(1, columns), first=0))
    if key == "r":
        return _with(state, replace(pane, is_descending=not pane.is_descending, first=0))
    if key == "escape":
        return _with(state, replace(pane, search="", first=0))
    return _other(state, key)


def _other(state: State, key: str) -> State:
    if key in ("q", "Q"):
        return replace(state, has_ended=True)
    if key in ("tab", "back_tab"):
        return replace(state, shown=(state.shown + (1 if key == "tab" else -1)) % len(PANES))
    if key in ("c", "t"):
        return replace(state, shown="ct".index(key))
    if key == "/":
        return replace(state, is_typing=True)
    if key == "p":
        return replace(state, is_frozen=not state.is_frozen)
    return state


def _type(state: State, key: str) -> State:
    pane = state.pane
    if key == "enter":
        return replace(state, is_typing=False)
    if key == "escape":
        return _with(replace(state, is_typing=False), replace(pane, search="", first=0))
    if key == "backspace":
        return _with(state, replace(pane, search=pane.search[:-1], first=0))
    if key == "clear":
        return _with(state, replace(pane, search="", first=0))
    if len(key) == 1 and len(pane.search) < SEARCH_LONGEST:
        return _with(state, replace(pane, search=pane.search + key, first=0))
    return state


def _with(state: State, pane: Pane) -> State:
    panes = list(state.panes)
    panes[state.shown] = pane
    return replace(state, panes=tuple(panes))
