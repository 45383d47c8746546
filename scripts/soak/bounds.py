"""Property 12, and 7: whatever comes and goes, nothing that the engine keeps grows with the time it runs."""

from __future__ import annotations

from collections import deque
from types import FunctionType, MethodType
from typing import Any

import numpy as np

MOST = 512  # entries of one table: some hundred topics, and logs of a fixed length
FEWEST = 10  # attributes of an engine
PLAIN = (str, bytes, int, float, bool, complex, type(None), type, FunctionType, MethodType)


def overgrown(root: Any, most: int = MOST) -> str | None:
    """The first table reached from `root`, by names, that holds more than `most`; None if there is none."""
    seen: set[int] = set()
    todo: deque[tuple[str, Any]] = deque([("engine", root)])
    if len(_parts("engine", root)) < FEWEST:
        raise TypeError(f"what {type(root).__name__} is made of cannot be seen: nothing would be judged")
    while todo:
        name, one = todo.popleft()
        if isinstance(one, PLAIN) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, (dict, list, tuple, set, frozenset, deque, np.ndarray)) and len(one) > most:
            return f"{name} holds {len(one)}, {most} allowed"
        todo.extend(_parts(name, one))
    return None


def _parts(name: str, one: Any) -> list[tuple[str, Any]]:
    """What it is made of, with names."""
    if isinstance(one, dict):
        return [(f"{name}[{key!r}]", value) for key, value in one.items()]
    if isinstance(one, (list, tuple, deque)):
        return [(f"{name}[{index}]", value) for index, value in enumerate(one)]
    if not type(one).__module__.startswith("subcore.engine"):
        return []
    names = set(getattr(one, "__dict__", ()))
    for base in type(one).__mro__:  # compiled classes say their attributes by another name
        names.update(getattr(base, "__slots__", ()), getattr(base, "__mypyc_attrs__", ()))
    return [(f"{name}.{part}", getattr(one, part)) for part in sorted(names) if hasattr(one, part)]
