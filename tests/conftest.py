"""Fixtures and hooks shared by all tests."""

from __future__ import annotations

import examples
from dashboard_rig import dashboard, desk
from loops import pytest_asyncio_loop_factories
from manager_rig import manager, server
from sim_running import serve
from skips import ROOT, pytest_make_collect_report, pytest_runtest_makereport, recordings

__all__ = [
    "ROOT",
    "dashboard",
    "desk",
    "examples",
    "manager",
    "pytest_asyncio_loop_factories",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
    "recordings",
    "serve",
    "server",
]
