"""Every error subcore raises on purpose.

SubcoreError
└── CapacityError    a bounded table is full; nothing was changed
"""

from __future__ import annotations

__all__ = ["CapacityError", "SubcoreError"]


class SubcoreError(Exception):
    """Root of the tree: `except SubcoreError` catches everything subcore raises on purpose."""


class CapacityError(SubcoreError):
    """A bounded table is full. The call changed nothing; the text names the table and its limit."""
