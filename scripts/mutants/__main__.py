"""Plant one bug at a time into a copy of the package, and see whether the soak or a property's test finds it.

    python scripts/mutants --ci          what tests find in the engine: four minutes on a quiet machine
    python scripts/mutants --full        all of them, in the core and for the soak too (about 20 minutes)
    python scripts/mutants NAME...       these alone

Exit status 1: a bug went unseen, or its place in the source has changed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from mutant import Mutant
from planted import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
SOAK = ("scripts/soak", "--events", "400000", "--broken", "1")
SECONDS = 400


def plant(mutant: Mutant, folder: Path) -> str | None:
    """Change a copy of the sources; what is wrong with the patch, if it does not fit."""
    compiled = mutant.file.endswith(".pyx")
    path = folder / ("src" if compiled else "python") / "subcore" / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        return f"{mutant.file} has its place {text.count(mutant.old)} times: write the patch anew"
    path.write_text(text.replace(mutant.old, mutant.new))
    return compile_alone(path, folder) if compiled else None


def compile_alone(path: Path, folder: Path) -> str | None:
    """Compile the one module that was changed; what the compiler says, if it fails."""
    for other in path.parent.glob("*.pyx"):
        if other != path:
            other.unlink()
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace", "--force"]
    environment = {**os.environ, "SUBCORE_INTERPRET_ENGINE": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    return None if done.returncode == 0 else f"does not compile: {done.stderr[-300:]}"


def copied(where: Path) -> Path:
    """A copy of what is patched and what compiles it."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("python", "src"):
        shutil.copytree(ROOT / name, where / name, ignore=ignored)
    for library in (where / "python" / "subcore").glob("*/*.so"):
        library.unlink()  # what is Python runs as Python: what is changed in it is what runs
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, where / name)
    return where


def judged(by: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the soak, or tests, on the package in a folder."""
    pytest = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *by.split()]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *(SOAK if by == "soak" else pytest)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


@cache
def passes(by: str) -> bool:
    """Whether these tests pass where nothing is planted: else they would find anything."""
    return judged(by, ROOT / "python").returncode == 0


def seen(mutant: Mutant, folder: Path) -> tuple[bool, str]:
    """Whether its judge found it, and the line that says so."""
    if mutant.by != "soak" and not passes(mutant.by):
        return False, f"{mutant.by} fails without it as well"
    try:
        done = judged(mutant.by, folder / "python")
    except subprocess.TimeoutExpired:
        return False, f"nothing after {SECONDS} s"
    marks = ("BROKEN",) if mutant.by == "soak" else ("FAILED", "ERROR")
    told = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(marks)]
    return done.returncode == 1 and bool(told), (told or ["not seen"])[0]


def main() -> int:
    """Plant them one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("--ci", action="store_true")
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    unknown = set(given.names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        parser.error(f"no planted bug is named {', '.join(sorted(unknown))}")
    chosen = [m for m in MUTANTS if m.name in given.names or (not given.names and (given.full or m.is_quick))]
    missed = 0
    with tempfile.TemporaryDirectory() as where:
        for mutant in chosen:
            began = time.monotonic()
            folder = copied(Path(where) / str(len(mutant.name)))
            wrong = plant(mutant, folder)
            found, told = (False, wrong) if wrong else seen(mutant, folder)
            missed += not found
            print(
                f"{'seen  ' if found else 'MISSED'} {mutant.name} ({time.monotonic() - began:.0f} s): {told[:150]}",
                flush=True,
            )
            shutil.rmtree(folder)
    print(f"{len(chosen) - missed} of {len(chosen)} planted bugs were seen")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
