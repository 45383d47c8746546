"""Build the Cython core. Metadata lives in pyproject.toml; this file only knows how to compile.

SUBCORE_DEBUG=1 builds with every Cython check on; each mode keeps its generated C in a folder of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy
import picows
from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent
DEBUG = os.environ.get("SUBCORE_DEBUG") == "1"
BUILD_DIR = Path("build") / ("cython-debug" if DEBUG else "cython")

DIRECTIVES = {
    "language_level": 3,
    "binding": True,
    "boundscheck": DEBUG,
    "wraparound": False,
    "nonecheck": DEBUG,
    "initializedcheck": DEBUG,
    "overflowcheck": DEBUG,
    "cdivision": True,
}


def extensions() -> list[Extension]:
    """One extension for each .pyx; every .pxd is a dependency of every module (they are few and small)."""
    depends = [str(p) for p in sorted(Path("python/subcore").glob("*.pxd")) + sorted(Path("src/subcore").glob("*.h"))]
    return [
        Extension(
            f"subcore.{path.stem}",
            [str(path)],
            include_dirs=["src/subcore", numpy.get_include(), str(Path(picows.__file__).parent)],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")] + ([("SUBCORE_DEBUG", "1")] if DEBUG else []),
            extra_compile_args=["-O2", "-g0"] if not DEBUG else ["-O1", "-g"],
            depends=depends,
        )
        for path in sorted(Path("src/subcore").glob("*.pyx"))
    ]


def declarations_changed() -> bool:
    """Cython tracks a module's own .pxd only beside its .pyx, so a newer .pxd must force a full rebuild."""
    generated = list((ROOT / BUILD_DIR).rglob("*.c"))
    declared = list((ROOT / "python").rglob("*.pxd"))
    if not generated or not declared:
        return False
    return max(p.stat().st_mtime for p in declared) > min(p.stat().st_mtime for p in generated)


os.chdir(ROOT)
setup(
    ext_modules=cythonize(
        extensions(),
        build_dir=str(BUILD_DIR),
        include_path=["python"],
        compiler_directives=DIRECTIVES,
        force=declarations_changed(),
    )
    if list(Path("src/subcore").glob("*.pyx"))
    else [],
)
