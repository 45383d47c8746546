"""A web page about a manager: what is wrong, what it does, and why each stream is as it is. See docs/dashboard.md."""

from __future__ import annotations

from .server import Dashboard

__all__ = ["Dashboard"]
