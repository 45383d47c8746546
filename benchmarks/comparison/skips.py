"""Contestants that are not installed are left out, and the table says so."""

from __future__ import annotations

import importlib

__all__ = ["SKIPPED", "available"]

SKIPPED: list[str] = []
"""One line for each contestant left out, filled as contests are made."""


def available(package: str) -> bool:
    """Whether a package can be imported; if not, one line in SKIPPED says why."""
    try:
        importlib.import_module(package)
    except Exception as error:  # a broken install may raise anything
        line = f"{package}: {type(error).__name__}: {error} (pip install {package})"
        if line not in SKIPPED:
            SKIPPED.append(line)
        return False
    return True
