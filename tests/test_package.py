"""The package imports and says its version."""

from __future__ import annotations

from importlib.metadata import version

import subcore


def test_version_matches_metadata() -> None:
    assert subcore.__version__ == version("subcore")
