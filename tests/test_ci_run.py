"""The gate itself: what `.ci/run` prints and returns for green, red, slow and unknown steps."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT

RUN = Path(__file__).parent.parent / ".ci" / "run"


def gate(
    folder: Path, steps: dict[str, str], *words: str, minutes: str = "45", aim: str = "25 * 60"
) -> subprocess.CompletedProcess[str]:
    (folder / ".ci" / "steps").mkdir(parents=True)
    shutil.copy(RUN, folder / ".ci" / "run")
    script = RUN.read_text()
    assert script.count("limit=$((45 * 60))") == 1
    assert script.count("aim=$((25 * 60))") == 1
    (folder / ".ci" / "run").write_text(script.replace("45 * 60", minutes).replace("25 * 60", aim))
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


def test_a_run_that_took_longer_than_it_should_says_so_and_is_green(tmp_path: Path) -> None:
    steps = {"10-one": "echo '1 passed in 1s'"}
    late, early = (gate(tmp_path / name, steps, aim=aim) for name, aim in (("a", "-1"), ("b", "25 * 60")))
    assert late.returncode == early.returncode == 0
    assert " in all, over the 0 minutes it should take\n" in late.stdout
    assert " in all\n" in early.stdout


def test_steps_of_one_number_run_side_by_side(tmp_path: Path) -> None:
    """Each waits for the other: one after the other they would never end. Both are told and summed, the red one too."""
    meets = "touch {mine}; until [ -e {other} ]; do sleep 0.05; done; echo '{n} passed in 1s'; exit {status}"
    steps = {
        "50-one": meets.format(mine="a", other="b", n=2, status=0),
        "50-two": meets.format(mine="b", other="a", n=3, status=4),
        "60-three": "touch reached",
    }
    done = gate(tmp_path, steps)
    assert done.returncode == 1
    assert "===== 50-one: green" in done.stdout
    assert "RED at 50-two (exit status 4" in done.stdout
    assert done.stdout.splitlines()[-1] == "5 passed, 1 failed"
    assert not (tmp_path / "reached").exists()


def test_words_choose_steps(tmp_path: Path) -> None:
    steps = {"10-lint": "echo '1 passed in 1s'", "20-types": "echo '10 passed in 1s'"}
    assert gate(tmp_path, steps, "types").stdout.splitlines()[-1] == "10 passed, 0 failed"


def test_a_word_that_names_no_step_is_red(tmp_path: Path) -> None:
    done = gate(tmp_path, {"10-lint": "exit 0"}, "tpyes")
    assert done.returncode == 1
    assert "no step is named like: tpyes" in done.stdout


def test_steps_get_no_input(tmp_path: Path) -> None:
    assert gate(tmp_path, {"10-reads": "read -r line && exit 1; exit 0"}).returncode == 0


def need_tool(
    tmp_path: Path, *, user: int, installs: bool, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`need_tool` for a command that is missing, with an apt-get that may install it, as this user."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "dirname", "env", "chmod", "cat"):
        (folder / name).symlink_to(str(shutil.which(name)))
    tool = folder / "frob"
    makes = f"printf '#!/bin/sh\\n' > {tool}; chmod +x {tool}" if installs else "exit 100"
    scripts = {
        "id": f"echo {user}",
        "sudo": 'echo "sudo $*" >&2; [ "$1" = -n ] && shift; exec "$@"',
        "apt-get": f'case "$*" in *install*frob-package*) {makes} ;; esac',
    }
    for name, body in scripts.items():
        (folder / name).write_text(f"#!{shutil.which('bash')}\n{body}\n")
        (folder / name).chmod(0o755)
    shell = ". .ci/lib.sh; need_tool frob frob-package && echo ready"
    return subprocess.run(
        [str(folder / "bash"), "-c", shell],
        cwd=ROOT,
        env={"PATH": str(folder), **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("user", [0, 1000])
def test_a_missing_tool_is_installed(tmp_path: Path, user: int) -> None:
    done = need_tool(tmp_path, user=user, installs=True, CI="true")
    assert (done.returncode, done.stdout) == (0, "--- installing frob-package\nready\n"), done.stderr


def test_a_tool_that_cannot_be_had_is_a_failure_in_ci(tmp_path: Path) -> None:
    done = need_tool(tmp_path, user=0, installs=False, CI="true")
    assert done.returncode == 1
    assert done.stderr == "frob is missing and could not be installed: apt install frob-package\n"


def test_a_tool_that_cannot_be_had_is_a_skip_elsewhere(tmp_path: Path) -> None:
    done = need_tool(tmp_path, user=0, installs=False)
    assert done.returncode == 1, "the step goes on without it"
    assert "SKIPPED: frob is missing" in done.stdout
