"""Cython modules that use subcore's C face from outside; compiled when a test first asks for one."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import numpy

import subcore

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

BUILD = """
import sys
from Cython.Build import cythonize
from setuptools import Extension, setup

source, target, package, numpy_headers = sys.argv[1:5]
setup(
    name="compiled",
    script_args=["--quiet", "build_ext", "--build-lib", target, "--build-temp", target],
    ext_modules=cythonize(
        [Extension(sys.argv[5], [source], include_dirs=[numpy_headers],
                   define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")])],
        include_path=[package], build_dir=target, quiet=True, force=True,
        compiler_directives={"language_level": 3, "boundscheck": False, "wraparound": False},
    ),
)
"""


def _compile(name: str, source: Path, target: Path, package: Path) -> None:
    work = [sys.executable, "-c", BUILD, str(source), str(target), str(package.parent)]
    done = subprocess.run(
        [*work, numpy.get_include(), name],
        capture_output=True,
        text=True,
        check=False,
        cwd=target,
        env={**os.environ, "CFLAGS": "-O2"},
    )
    if done.returncode:
        raise RuntimeError(f"could not compile {source}:\n{done.stdout}\n{done.stderr}")


def compiled(name: str, *, source: Path | None = None, package: Path | None = None) -> ModuleType:
    """Import tests/compiled/<name>.pyx, compiled outside the source tree if it is not up to date.

    `source`: another file of that name; `package`: where the .pxd files are, if not those of the installed subcore.
    """
    source = source or HERE / f"{name}.pyx"
    target = (package or ROOT) / "build" / f"compiled-{sys.implementation.cache_tag}"
    package = package or Path(subcore.__file__).resolve().parent
    library = target / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    made_of = [source, *package.glob("*.pxd")]
    target.mkdir(parents=True, exist_ok=True)
    with (target / f"{name}.lock").open("w") as lock:  # workers ask for the same module at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists() or library.stat().st_mtime < max(path.stat().st_mtime for path in made_of):
            _compile(name, source, target, package)
    spec = importlib.util.spec_from_file_location(name, library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
