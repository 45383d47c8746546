"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Folder of recorded frames, or a skip that says how to provide it."""
    folder = Path(os.environ.get("SUBCORE_RECORDINGS", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}: set SUBCORE_RECORDINGS to a folder that holds them")
    return folder
