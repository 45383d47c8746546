"""Fixtures and hooks shared by all tests."""

from __future__ import annotations

from manager_rig import manager, server
from skips import ROOT, pytest_make_collect_report, pytest_runtest_makereport

__all__ = [
    "ROOT",
    "manager",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
    "server",
]
