"""The gate itself: what `.ci/run` prints and returns for green, red, slow and unknown steps."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parent.parent / ".ci" / "run"


def gate(
    folder: Path, steps: dict[str, str], *words: str, minutes: str = "25"
) -> subprocess.CompletedProcess[str]:
    (folder / ".ci" / "steps").mkdir(parents=True)
    shutil.copy(RUN, folder / ".ci" / "run")
    script = RUN.read_text()
    assert script.count("limit=$((25 * 60))") == 1
    (folder / ".ci" / "run").write_text(script.replace("25 * 60", minutes))
    for name, body in steps.items():
        (folder / ".ci" / "steps" / f"{name}.sh").write_text(body)
    command = ["bash", str(folder / ".ci" / "run"), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", env=os.environ)


def test_green_steps_are_summed(tmp_path: Path) -> None:
    done = gate(
        tmp_path,
        {
            "10-one": "echo '12 passed in 0.51s'; echo '3 passed, 2 skipped, 1 xfailed in 61.20s (0:01:01)'",
            "20-two": "echo 'all fine, 7 passed by hand'; echo '==== 5 passed, 1 warning in 2.00s ===='",
        },
    )
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "20 passed, 0 failed"
    assert "===== 10-one: green, 0 s" in done.stdout


def test_first_red_step_stops_all(tmp_path: Path) -> None:
    steps = {"10-one": "echo '2 failed, 9 passed in 1s'; exit 1", "20-two": "touch reached"}
    done = gate(tmp_path, steps)
    assert done.returncode == 1
    assert "RED at 10-one (exit status 1" in done.stdout
    assert done.stdout.splitlines()[-1] == "9 passed, 2 failed"
    assert not (tmp_path / "reached").exists()


def test_a_red_step_without_a_suite_counts_as_one(tmp_path: Path) -> None:
    done = gate(tmp_path, {"10-lint": "exit 3"})
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed"


@pytest.mark.skipif(shutil.which("timeout") is None, reason="no timeout command here (macOS)")
def test_a_step_past_the_limit_is_stopped_and_named(tmp_path: Path) -> None:
    done = gate(tmp_path, {"10-slow": "sleep 600"}, minutes="1")  # of a second-sized limit
    assert done.returncode == 1
    assert "RED at 10-slow (stopped" in done.stdout


def test_words_choose_steps(tmp_path: Path) -> None:
    steps = {"10-lint": "echo '1 passed in 1s'", "20-types": "echo '10 passed in 1s'"}
    assert gate(tmp_path, steps, "types").stdout.splitlines()[-1] == "10 passed, 0 failed"


def test_a_word_that_names_no_step_is_red(tmp_path: Path) -> None:
    done = gate(tmp_path, {"10-lint": "exit 0"}, "tpyes")
    assert done.returncode == 1
    assert "no step is named like: tpyes" in done.stdout


def test_steps_get_no_input(tmp_path: Path) -> None:
    assert gate(tmp_path, {"10-reads": "read -r line && exit 1; exit 0"}).returncode == 0
