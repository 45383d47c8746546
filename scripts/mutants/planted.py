"""Every bug to plant, and what must find it."""

from __future__ import annotations

from planted_core import CORE
from planted_links import LINKS
from planted_manager import MANAGER
from planted_streams import STREAMS
from planted_watch import WATCH

__all__ = ["MUTANTS"]

MUTANTS = (*LINKS, *STREAMS, *WATCH, *MANAGER, *CORE)
