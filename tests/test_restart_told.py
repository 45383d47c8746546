"""What the log says about a start names the file that was read, whichever of the two it was."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from snapshot_files import beside, path
from snapshots import numbered
from subcore.errors import CapacityError
from subcore.keeping import SnapshotFile
from subcore.manager import SubscriptionManager

__all__ = ["path"]  # a fixture

WAYS = pytest.mark.parametrize("which", ["the file", "the previous one"])


def _write(path: Path, which: str) -> Path:
    """The one that can be read."""
    file = SnapshotFile(path)
    for number in (1, 2):
        file.write(bytes(numbered(number)))
    file.close()
    if which == "the file":
        return path
    path.write_bytes(path.read_bytes()[:50])
    return beside(path, "previous")


def _told(caplog: pytest.LogCaptureFixture, path: Path) -> list[str]:
    with caplog.at_level(logging.INFO, "subcore.snapshot"):
        manager = SubscriptionManager("upbit", url="ws://nowhere", snapshot_path=path)
    assert manager._hub.saving._keeper is not None
    manager._hub.saving._keeper.join(0.0)
    return [record.message for record in caplog.records if "restored from" in record.message]


@WAYS
def test_what_is_restored(path: Path, which: str, caplog: pytest.LogCaptureFixture) -> None:
    source = _write(path, which)
    (line,) = _told(caplog, path)
    assert line.endswith(f"is restored from {source}, provisionally")


@WAYS
def test_what_finds_no_room(
    path: Path, which: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise CapacityError("the ledger is full")

    monkeypatch.setattr("subcore.claims.Claims.put", refuse)
    source = _write(path, which)
    (line,) = _told(caplog, path)
    assert line.startswith(f"nothing is restored from {source}, which is kept as ")
