"""With CI=true a skip for recordings that exist, or for a tool CI must have, is a failure; others stand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

JUDGE = Path(__file__).with_name("skips.py")


def run_pytest(folder: Path, body: str, **environment: str) -> str:
    """Last line of pytest over one file with our judge of skips as its conftest."""
    shutil.copy(JUDGE, folder / "conftest.py")
    (folder / "test_it.py").write_text("import pytest\n" + body)
    clean = {key: value for key, value in os.environ.items() if key not in {"CI", "PYTEST_ADDOPTS"}}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        str(folder),
    ]
    environment |= {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"
    }  # nobody's plugins say anything of skips; they load slowly
    done = subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True, cwd=folder)
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("reason", "ci", "folder_exists", "outcome"),
    [
        ("no recordings of myOrder", "true", True, "1 failed"),
        ("no recordings of myOrder", "true", False, "1 skipped"),
        ("no recordings of myOrder", "", True, "1 skipped"),
        ("valgrind is not installed", "true", False, "1 failed"),
        ("clang is not installed", "true", False, "1 failed"),
        ("only on macOS", "true", True, "1 skipped"),
    ],
)
def test_skip_in_a_test(tmp_path: Path, reason: str, ci: str, folder_exists: bool, outcome: str) -> None:
    data = tmp_path / "data"
    if folder_exists:
        data.mkdir()
    last = run_pytest(
        tmp_path, f"def test_it():\n    pytest.skip({reason!r})\n", CI=ci, SUBCORE_RECORDINGS=str(data)
    )
    assert last.startswith(outcome)


def test_skip_of_a_whole_module(tmp_path: Path) -> None:
    body = "pytest.skip('needs valgrind', allow_module_level=True)\n"
    assert run_pytest(tmp_path, body, CI="true").startswith("1 error")
    assert run_pytest(tmp_path, body, CI="").startswith("1 skipped")


def test_absent_recordings_skip_and_present_ones_are_given(tmp_path: Path) -> None:
    body = "def test_it(recordings):\n    assert recordings.is_dir()\n"
    assert run_pytest(tmp_path, body, CI="true", SUBCORE_RECORDINGS=str(tmp_path / "no")).startswith(
        "1 skipped"
    )
    assert run_pytest(tmp_path, body, CI="true", SUBCORE_RECORDINGS=str(tmp_path)).startswith("1 passed")


def test_expected_failure_is_no_skip(tmp_path: Path) -> None:
    body = "@pytest.mark.xfail(reason='needs valgrind')\ndef test_it():\n    raise ValueError\n"
    assert run_pytest(tmp_path, body, CI="true").startswith("1 xfailed")
