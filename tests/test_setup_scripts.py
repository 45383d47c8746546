"""`make` on a machine that lacks something: one line that says what, and a failure."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ["bash", "make", "cat", "cksum", "dirname", "rm", "env", "sh", "printf", "grep"]


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A folder for PATH that holds a shell's tools, and neither Python nor a compiler."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    return folder


def command(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!{shutil.which('bash')}\n{body}\n")
    path.chmod(0o755)


def real_python(folder: Path, name: str) -> None:
    command(folder, name, f'exec {sys.executable} "$@"')


def run(bare_path: Path, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": str(bare_path),
        "HOME": str(bare_path),
        "PYENV_ROOT": str(bare_path / "none"),
        **more,
    }
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True)


def find_python(bare_path: Path, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    return run(bare_path, str(bare_path / "bash"), "scripts/find_python.sh", *argv, **more)


def make_test(bare_path: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return run(bare_path, str(bare_path / "make"), "test", f"VENV={bare_path / 'venv'}", **more)


OLD = 'while [ "$#" -gt 2 ]; do shift; done; echo "version 3.9"'


def test_no_python(bare_path: Path) -> None:
    done = make_test(bare_path)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1
    assert "subcore needs Python 3.11 or later" in lines[0]
    assert "no python on the path runs" in lines[0]


def test_old_python_is_named(bare_path: Path) -> None:
    command(bare_path, "python3", OLD)
    done = make_test(bare_path)
    assert done.returncode != 0
    assert "python3 is 3.9" in done.stderr
    assert not (bare_path / "venv").exists()


def test_no_compiler(bare_path: Path) -> None:
    real_python(bare_path, "python3")
    done = make_test(bare_path, CC="")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1
    assert "subcore needs a C compiler" in lines[0]
    assert not (bare_path / "venv").exists()


def test_a_compiler_that_does_not_run_is_named(bare_path: Path) -> None:
    real_python(bare_path, "python3")
    assert "'no-such-cc -O2' does not run" in make_test(bare_path, CC="no-such-cc -O2").stderr


def test_a_shim_that_does_not_run_is_passed_over(bare_path: Path) -> None:
    command(bare_path, "python3", "echo 'command not found' >&2; exit 127")
    command(bare_path, "python3.13", "exit 127")
    real_python(bare_path, "python")
    done = find_python(bare_path)
    assert (done.returncode, done.stdout.strip()) == (0, sys.executable)


def test_an_old_python3_gives_way_to_a_newer_name(bare_path: Path) -> None:
    command(bare_path, "python3", OLD)
    real_python(bare_path, "python3.12")
    assert find_python(bare_path).stdout.strip() == sys.executable


def test_versions_kept_by_pyenv_are_tried_last(bare_path: Path) -> None:
    minor = f"3.{sys.version_info.minor}"
    folder = bare_path / "pyenv" / "versions" / f"{minor}.99" / "bin"
    folder.mkdir(parents=True)
    real_python(folder, f"python{minor}")
    real_python(folder, "python3")
    for argv in ([], [minor]):
        done = find_python(bare_path, *argv, PYENV_ROOT=str(bare_path / "pyenv"))
        assert done.stdout.strip() == sys.executable


def test_an_exact_version_is_not_replaced_by_another(bare_path: Path) -> None:
    real_python(bare_path, "python3")
    other = "3.12" if sys.version_info.minor != 12 else "3.13"
    done = find_python(bare_path, other)
    assert done.returncode == 1
    assert f"needs Python {other}" in done.stderr


def test_python_without_venv_or_headers_says_which_package(bare_path: Path) -> None:
    command(bare_path, "python3", 'echo "novenv 3.11"')
    assert "apt install python3-venv" in find_python(bare_path).stderr
    command(bare_path, "python3", 'echo "noheaders 3.11"')
    assert "apt install python3-dev" in find_python(bare_path).stderr


def test_a_wrong_choice_in_PYTHON_is_not_replaced(bare_path: Path) -> None:
    real_python(bare_path, "python3")
    done = find_python(bare_path, PYTHON="/no/such/python")
    assert done.returncode == 1
    assert "PYTHON=/no/such/python does not run" in done.stderr


def test_ready_environment_is_left_alone() -> None:
    if not (ROOT / ".venv" / ".ready").exists():
        pytest.skip("this suite runs outside the environment that make sets up")
    done = subprocess.run(
        ["bash", "scripts/setup_venv.sh", ".venv", "dev"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def build(folder: Path, status: int) -> subprocess.CompletedProcess[str]:
    noise = (
        "echo 'Compiling src/subcore/_x.pyx because it changed.'; echo '[1/1] Cythonizing src/subcore/_x.pyx'"
    )
    command(folder, "fake-python", f"{noise}\necho '    compiled subcore._x (release) in 3 s'\nexit {status}")
    argv = ["bash", "scripts/build.sh", str(folder / "fake-python"), str(folder / "build.log"), "build_ext"]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)


def test_a_build_is_quiet_and_its_log_is_kept(bare_path: Path) -> None:
    done = build(bare_path, 0)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[0] == "==> compiling core and engine"
    assert said[1].startswith("==> compiled 1 module in ")
    assert len(said) == 2
    assert "[1/1] Cythonizing" in (bare_path / "build.log").read_text(encoding="utf-8")


def test_a_failed_build_shows_what_the_tools_said(bare_path: Path) -> None:
    done = build(bare_path, 3)
    assert done.returncode == 3
    assert "[1/1] Cythonizing" in done.stderr
    assert "did not build (exit status 3)" in done.stderr
