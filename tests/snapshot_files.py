"""Files of numbered snapshots: where they lie, and which one is read of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots import number_of
from subcore.keeping import SnapshotFile


def read(path: Path) -> int | None:
    file = SnapshotFile(path)
    try:
        return number_of(file.read(lambda snapshot: None))
    finally:
        file.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "intent.subcore"


def beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")
