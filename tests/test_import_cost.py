"""`import subcore` loads numpy and the core; everything else waits until it is used."""

from __future__ import annotations

import subprocess
import sys

LATER = (
    "asyncio",
    "click",
    "http",
    "msgspec",
    "picows",
    "prometheus_client",
    "rich",
    "ssl",
    "urllib.request",
    "uvloop",
)


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_loads_numpy_and_the_core_only() -> None:
    loaded = modules_after("import subcore") - modules_after("import numpy")
    assert sorted(name for name in loaded if name in LATER) == []
    others = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"subcore", "numpy"}
    # Cython's runtime puts modules of its own into sys.modules: _cython_3_x_y, cython_runtime.
    assert {name for name in others if "cython" not in name} == set()
