"""Gate the core on executed instructions, which do not depend on how busy the machine is.

    instruction_gate.py [NAME ...]         compare with benchmarks/instructions.json; fail above +3 %
    instruction_gate.py --update [NAME ..] write what was counted as the new baseline
    instruction_gate.py --parts BENCHMARK  e.g. feed.ticker: what each function of the core has of its unit

A benchmark is a function `bench_*(n: int)` in benchmarks/instructions/*.py that sets up, then does its unit
of work `n` times; the default of `n` is how often. Each file runs in one process under callgrind with a fixed
hash seed. Every benchmark is run warm, then with 0 and with n units; the difference, divided by n, is what a
unit costs. Where only a part of a unit is to be counted, a benchmark takes `toggle`, a function that it calls
before and after what is not. Baselines are kept for each Python minor version and machine type; where there is
none, the costs are printed and nothing is gated. What a file says in AT_MOST = {benchmark: (other, factor)} is
gated everywhere: both are of the same run, and the first costs at most so many times the other.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import importlib.util
import inspect
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks" / "instructions"
BASELINE = ROOT / "benchmarks" / "instructions.json"
ALLOWED = 1.03
# Callgrind writes and zeroes its counters on each entry of this C function; only os.getloadavg calls it.
MARK = "getloadavg"
SWITCH = """
#include <valgrind/callgrind.h>
void start(void) { CALLGRIND_START_INSTRUMENTATION; }
void stop(void) { CALLGRIND_STOP_INSTRUMENTATION; }
void toggle(void) { CALLGRIND_TOGGLE_COLLECT; }
"""

Counts = dict[str, float]


def platform_key() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}-{platform.machine()}"


@functools.cache
def load(path: Path) -> ModuleType:
    """A file of benchmarks."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def benchmarks_in(path: Path) -> dict[str, Callable[[int], object]]:
    """The `bench_*` functions of a file, by `file.name`, in the order of the file."""
    module = load(path)
    return {
        f"{path.stem}.{name.removeprefix('bench_')}": function
        for name, function in vars(module).items()
        if name.startswith("bench_") and callable(function)
    }


def units_of(function: Callable[[int], object]) -> int:
    units = inspect.signature(function).parameters["n"].default
    if not isinstance(units, int) or units < 1:
        sys.exit(f"{function.__qualname__}: its parameter n needs a default, the number of units to run")
    return units


def build_switch(folder: Path) -> Path | None:
    """Compile the switch of callgrind's instrumentation. None without its headers: slow, not wrong."""
    source, built = folder / "switch.c", folder / "switch.so"
    source.write_text(SWITCH)
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    command = [*compiler.split(), "-shared", "-fPIC", "-O1", "-o", str(built), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    return built if done.returncode == 0 else None


def run_marked(path: Path, switch: Path | None) -> None:
    """In the child: each benchmark warm, then 0 units and n units, each between two marks.

    Imports are most of what runs, and fifty times slower while instructions are counted: they are not, before the
    marks.
    """
    counting = None if switch is None else ctypes.CDLL(str(switch))
    for benchmark in benchmarks_in(path).values():
        units, function = units_of(benchmark), with_toggle(benchmark, counting)
        function(min(units, 100))
        if counting is not None:
            counting.start()
        for amount in (0, units):
            os.getloadavg()
            function(amount)
            os.getloadavg()
        if counting is not None:
            counting.stop()


def with_toggle(function: Callable[..., object], counting: ctypes.CDLL | None) -> Callable[[int], object]:
    if "toggle" not in inspect.signature(function).parameters:
        return function
    if counting is None:
        sys.exit(f"{function.__qualname__} needs valgrind/callgrind.h: install valgrind's headers")
    return functools.partial(function, toggle=lambda: counting.toggle())


def totals(folder: Path) -> list[int]:
    """Instructions between successive marks, in order; the last dump (after the last mark) is left out."""
    found = []
    for part in dumps_of(folder):
        lines = [line for line in part.read_text().splitlines() if line.startswith(("totals:", "summary:"))]
        found.append(int(lines[-1].split()[1]))
    return found


def dumps_of(folder: Path) -> list[Path]:
    """What callgrind wrote at each mark, in order."""
    return sorted(folder.glob("out.*"), key=lambda path: int(path.suffix[1:]))


def run_counted(path: Path, name: str) -> None:
    """All benchmarks of a file under callgrind, which leaves its dumps in the folder of that name."""
    environment = {**os.environ, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    switch = build_switch(Path(name))
    command = [
        "valgrind",
        "--tool=callgrind",
        f"--callgrind-out-file={name}/out",
        f"--dump-before={MARK}",
        f"--instr-atstart={'yes' if switch is None else 'no'}",
    ]
    child = ["--child", str(path), *(() if switch is None else ("--switch", str(switch)))]
    done = subprocess.run(
        [*command, sys.executable, str(Path(__file__)), *child],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"{path.name} failed under callgrind:\n{done.stderr[-4000:]}")


def count_file(path: Path) -> Counts:
    """Instructions a unit of each benchmark in one file."""
    functions = benchmarks_in(path)
    with tempfile.TemporaryDirectory() as name:
        run_counted(path, name)
        counted = totals(Path(name))
    # Dump 1 ends with the first mark; then four a benchmark: 0 units, the gap, n units, the gap to the next.
    if len(counted) < 4 * len(functions):
        sys.exit(
            f"{path.name}: {len(counted)} dumps for {len(functions)} benchmarks: callgrind did not see {MARK}"
        )
    return {
        label: (counted[4 * i + 3] - counted[4 * i + 1]) / units_of(function)
        for i, (label, function) in enumerate(functions.items())
    }


PART = re.compile(r"^\s*([\d,]+) \([^)]*\)\s+(?:\S*:)?(\S.*?)(?: \[(?:.*/)?([^/\]]+)\])?$")
PARTS_SHOWN = 40


def print_parts(label: str) -> int:
    """What each function has of a unit, most first, without what it calls. Made with `n` units in the same process, so
    whatever is done once is in it as well, by a share of 1 / n."""
    path = FOLDER / f"{label.split('.')[0]}.py"
    functions = benchmarks_in(path) if path.exists() else {}
    if label not in functions:
        sys.exit(f"no benchmark is called {label}: there are {', '.join(functions) or 'none in that file'}")
    units = units_of(functions[label])
    with tempfile.TemporaryDirectory() as name:
        run_counted(path, name)
        dump = dumps_of(Path(name))[4 * list(functions).index(label) + 3]
        done = subprocess.run(
            ["callgrind_annotate", "--auto=no", "--threshold=100", str(dump)], capture_output=True, text=True
        )
    found = [match for line in done.stdout.splitlines() if (match := PART.match(line))]
    for match in found[: PARTS_SHOWN + 1]:
        library = (match[3] or "").split(".")[0]
        print(f"{int(match[1].replace(',', '')) / units:12,.1f}  {match[2]:50} {library}")
    return 0 if found else 1


def judge_pairs(counted: Counts) -> list[str]:
    """Print what AT_MOST says of benchmarks that were counted; return those that cost too much beside the other."""
    failures = []
    for path in sorted({FOLDER / f"{name.split('.')[0]}.py" for name in counted}):
        for name, (other, most) in getattr(load(path), "AT_MOST", {}).items():
            ratio = counted[name] / counted[other]
            print(f"{name:40} {ratio - 1:+12.1%} of {other}, at most {most - 1:+.0%}")
            if ratio > most:
                failures.append(f"{name} executes {ratio - 1:.1%} more instructions than {other}")
    return failures


def count_all(wanted: list[str]) -> Counts:
    files = [
        path
        for path in sorted(FOLDER.glob("*.py"))
        if not wanted or any(w.split(".")[0] == path.stem for w in wanted)
    ]
    if not files:
        sys.exit(f"no benchmark in {FOLDER}" + (f" is named like {' '.join(wanted)}" if wanted else ""))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counted: Counts = {}
        for result in pool.map(count_file, files):
            counted.update(result)
    return counted


def compare(counted: Counts, baseline: Counts) -> list[str]:
    """Print one line a benchmark; return those that cost more than is allowed, or that cannot be judged."""
    failures = []
    for name, cost in counted.items():
        if name not in baseline:
            print(f"{name:40} {cost:12,.1f}  no baseline: run --update and commit it")
            failures.append(f"{name} has no baseline")
            continue
        ratio = cost / baseline[name]
        verdict = "SLOWER" if ratio > ALLOWED else "faster: run --update" if ratio < 2 - ALLOWED else "ok"
        print(f"{name:40} {cost:12,.1f}  {ratio - 1:+7.1%}  {verdict}")
        if ratio > ALLOWED:
            failures.append(f"{name} executes {ratio - 1:.1%} more instructions than its baseline")
    return failures + [f"{name} is in the baseline and gone" for name in baseline if name not in counted]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="files of benchmarks/instructions, without .py")
    parser.add_argument("--update", action="store_true", help="write the baseline")
    parser.add_argument("--parts", metavar="BENCHMARK", help="what each function of the core has of a unit")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--switch", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_marked(arguments.child, arguments.switch)
        return 0
    if shutil.which("valgrind") is None:
        print("instruction_gate: valgrind is missing (apt install valgrind)", file=sys.stderr)
        return 1
    if arguments.parts:
        return print_parts(arguments.parts)
    stored: dict[str, Counts] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    key = platform_key()
    counted = count_all(arguments.names)
    if arguments.update:
        kept = stored.get(key, {}) if arguments.names else {}
        stored[key] = dict(
            sorted({**kept, **{name: round(cost, 1) for name, cost in counted.items()}}.items())
        )
        BASELINE.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")
        print(f"wrote {len(counted)} costs for {key} to {BASELINE.relative_to(ROOT)}")
        return 0
    if key not in stored:
        for name, cost in counted.items():
            print(f"{name:40} {cost:12,.1f}")
        known_keys = ", ".join(sorted(stored)) or "none"
        print(f"SKIPPED: no baseline for {key} in {BASELINE.relative_to(ROOT)}, only for {known_keys}")
        failures = []
    else:
        known = {
            k: v for k, v in stored[key].items() if not arguments.names or k.split(".")[0] in arguments.names
        }
        failures = compare(counted, known)
    failures += judge_pairs(counted)
    for failure in failures:
        print(f"instruction_gate: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
