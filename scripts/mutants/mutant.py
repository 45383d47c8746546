"""A planted bug, as a value."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` stands once in `file`: of the package, or a .pyx of the core. `by` finds it: the soak, or arguments of
    pytest."""

    name: str
    file: str
    old: str
    new: str
    by: str

    @property
    def is_quick(self) -> bool:
        """Whether a test finds it and nothing need be compiled."""
        return self.by != "soak" and not self.file.endswith(".pyx")
