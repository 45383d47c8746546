"""Compile a .pyx of this folder on first use, into build/bench-TAG/, and import it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy
import picows

__all__ = ["load"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PICOWS = Path(picows.__file__).parent
BUILD = ROOT / "build" / f"bench-{sys.implementation.cache_tag}-picows{picows.__version__}"


def load(name: str) -> ModuleType:
    """The extension module made from `name`.pyx. Needs Cython and a C compiler (extra [dev])."""
    found = sys.modules.get(f"subcore_bench_{name}")
    return found or _import(name, _library(name))


def _library(name: str) -> Path:
    source = HERE / f"{name}.pyx"
    declarations = [*(ROOT / "python" / "subcore").glob("*.pxd"), *(ROOT / "src" / "subcore").glob("*.h")]
    newest = max(path.stat().st_mtime for path in (source, Path(__file__), *declarations))
    for library in BUILD.glob(f"subcore_bench_{name}.*.so"):
        if library.stat().st_mtime > newest:
            return library
    return _compile(name, source)


def _compile(name: str, source: Path) -> Path:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    print(f"    compiling {source.relative_to(ROOT)}", file=sys.stderr, flush=True)
    extension = Extension(
        f"subcore_bench_{name}",
        [str(source)],
        include_dirs=[str(ROOT / "src" / "subcore"), numpy.get_include(), str(PICOWS)],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        extra_compile_args=["-O2", "-g0", "-fno-strict-aliasing"],
    )
    modules = cythonize(
        [extension], build_dir=str(BUILD), include_path=[str(ROOT / "python")], quiet=True, force=True
    )
    command = build_ext(Distribution({"name": "subcore-benchmarks", "ext_modules": modules}))
    command.build_lib, command.build_temp = str(BUILD), str(BUILD / "objects")
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(extension.name))


def _import(name: str, library: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"subcore_bench_{name}", library)
    if spec is None or spec.loader is None:
        raise ImportError(f"{library} is no extension module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
