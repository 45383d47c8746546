"""Recorded data, and what a skip is worth in CI: hooks that make it a failure where its reason cannot hold."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = Path(os.environ.get("SUBCORE_RECORDINGS", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Folder of recorded frames, or a skip that says how to provide it."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"no recordings at {RECORDINGS}: set SUBCORE_RECORDINGS to a folder that holds them")
    return RECORDINGS


def forbidden_skip(reason: str) -> str | None:
    """Why this skip may not stand in CI, or None where it may."""
    said = reason.lower()
    if "recording" in said and RECORDINGS.is_dir():
        return f"recordings are there ({RECORDINGS})"
    for tool in ("valgrind", "clang"):
        if tool in said:
            return f"CI has {tool}, or .ci/run installs it"
    return None


def judge_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome != "skipped" or os.environ.get("CI") != "true" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    verdict = forbidden_skip(reason)
    if verdict:
        report.outcome = "failed"
        report.longrepr = f"a skip is a failure in CI here: {verdict}; the test said: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    judge_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    judge_skip(report)
    return report
