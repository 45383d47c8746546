"""`import subcore` against `import numpy, asyncio`, each in fresh interpreters, interleaved: fails over LIMIT.

Wall times of one run, so that only their ratio is judged; the median of the rounds' ratios, since others use the
machine too.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

LIMIT = 1.3
ROUNDS = 15


def seconds(statement: str) -> float:
    """A fresh interpreter's time for the statement alone, as it measures it itself."""
    code = f"import time; began = time.perf_counter()\n{statement}\nprint(time.perf_counter() - began)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    for statement in ("import numpy, asyncio", "import subcore"):  # byte code and the page cache
        seconds(statement)
    began = time.perf_counter()
    pairs = [(seconds("import numpy, asyncio"), seconds("import subcore")) for _ in range(ROUNDS)]
    ratio = statistics.median(ours / base for base, ours in pairs)
    base, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"import subcore {ours * 1e3:.0f} ms, import numpy, asyncio {base * 1e3:.0f} ms: {ratio:.2f}x"
        f" (at most {LIMIT}; {ROUNDS} rounds in {time.perf_counter() - began:.0f} s)"
    )
    if ratio > LIMIT:
        sys.exit("import subcore is too slow: something loads more than numpy and the core")


if __name__ == "__main__":
    main()
