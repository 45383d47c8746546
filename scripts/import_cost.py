"""How long `import subcore` takes beside `import numpy, asyncio`, which any user of it pays anyway.

Interleaved child processes, medians, and their ratio: at most 1.3 is wanted. Printed, never gated: a busy machine
may say anything. What CI gates is the set of modules loaded (tests/test_import_cost.py).
"""

from __future__ import annotations

import statistics
import subprocess
import sys

ROUNDS = 15
STATEMENTS = ("import numpy, asyncio", "import subcore")


def seconds(statement: str) -> float:
    code = f"import time; start = time.perf_counter()\n{statement}\nprint(time.perf_counter() - start)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    for statement in STATEMENTS:
        seconds(statement)  # writes the .pyc files, warms the page cache
    times: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for _ in range(ROUNDS):
        for statement in STATEMENTS:
            times[statement].append(seconds(statement))
    medians = {statement: statistics.median(found) for statement, found in times.items()}
    for statement, median in medians.items():
        print(f"{statement:24} {median * 1000:7.1f} ms")
    base, ours = (medians[statement] for statement in STATEMENTS)
    print(f"ratio                    {ours / base:7.2f}    (wanted: at most 1.30)")


if __name__ == "__main__":
    main()
