"""Build the Cython core. Metadata lives in pyproject.toml; this file only knows how to compile.

Modes, each with objects and output in a folder of its own, `build/MODE-TAG/`; C is generated once for all modes with
the same checks, into `build/c-TAG/` or `build/c-debug-TAG/` (another Python may have another numpy, whose declarations
end up in the C):

* release (default): what is shipped; `make build` also copies the extensions beside the Python files.
* SUBCORE_DEBUG=1: every Cython check and every C assert on.
* SUBCORE_SANITIZE=address (or any value of -fsanitize=): release checks under a sanitizer.
* SUBCORE_OPTIMIZE=0: compiled sooner, for tests that judge what it does and not how fast.

Debug and sanitizer builds never replace the release extensions: run them with PYTHONPATH=build/MODE-TAG/lib.
SUBCORE_NO_EXTENSIONS=1 installs the Python files alone: `make` compiles afterwards, with progress shown.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from pathlib import Path

import Cython
import numpy
import picows
from Cython.Build import cythonize
from Cython.Compiler import Errors, ExprNodes, Nodes, PyrexTypes, Symtab
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
DEBUG = os.environ.get("SUBCORE_DEBUG") == "1"
SANITIZE = os.environ.get("SUBCORE_SANITIZE", "")
OPTIMIZE = os.environ.get("SUBCORE_OPTIMIZE", "1" if DEBUG or SANITIZE else "2")
MODE = "debug" if DEBUG else SANITIZE.replace(",", "-") or "release"
BUILD = Path("build") / f"{MODE}-{sys.implementation.cache_tag}"
GENERATED = Path("build") / f"{'c-debug' if DEBUG else 'c'}-{sys.implementation.cache_tag}"
JOBS = min(os.cpu_count() or 1, 8)

DIRECTIVES = {
    "language_level": 3,
    "binding": True,
    "boundscheck": DEBUG,
    "wraparound": False,
    "nonecheck": DEBUG,
    "initializedcheck": DEBUG,
    "overflowcheck": DEBUG,
    "cdivision": True,
    # The checks of the debug build are slow by design: only the release build is held to have no hint.
    "show_performance_hints": not DEBUG,
}

# An event is read through its head whatever its kind: two struct types name one address, so no type-based
# aliasing.
COMPILE_ARGS = ["-fno-strict-aliasing", f"-O{OPTIMIZE}", "-g1" if DEBUG or SANITIZE else "-g0"]
LINK_ARGS: list[str] = []
if SANITIZE:
    COMPILE_ARGS += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer"]
    LINK_ARGS += [f"-fsanitize={SANITIZE}"]


def fail_on_performance_hints() -> None:
    """Turn each hint into a compile error, so that no C file is left for the next build to take as good."""

    def hint_is_an_error(position: object, message: str, env: object) -> None:
        if env.directives["show_performance_hints"]:  # type: ignore[attr-defined]
            Errors.error(position, f"performance hint: {message}")

    for module in (Errors, ExprNodes, PyrexTypes, Symtab):
        if not hasattr(module, "performance_hint"):
            sys.exit(f"setup.py: no performance_hint in {module.__name__} of Cython {Cython.__version__}")
        module.performance_hint = hint_is_an_error


def leave_constants_unchecked() -> None:
    """Keep overflowcheck from the values of enums: they are compile-time constants, and Cython crashes on them."""
    analyse = Nodes.CEnumDefItemNode.analyse_enum_declarations

    def analyse_unchecked(self: object, env: object, *rest: object) -> object:
        directives = env.directives  # type: ignore[attr-defined]
        env.directives = {**directives, "overflowcheck": False}  # type: ignore[attr-defined]
        try:
            return analyse(self, env, *rest)
        finally:
            env.directives = directives  # type: ignore[attr-defined]

    Nodes.CEnumDefItemNode.analyse_enum_declarations = analyse_unchecked


def everything_outdated() -> bool:
    """Whether a file that cythonize does not watch is newer than what it generated.

    It tracks a module's own .pxd only beside its .pyx, and neither the directives above nor its own version.
    """
    generated = [path.stat().st_mtime for path in (ROOT / GENERATED).rglob("*.c")]
    declared = [path for folder in ("python", "src") for path in (ROOT / folder).rglob("*.pxd")]
    watched = [*declared, Path(__file__), Path(Cython.__file__), picows_pxd()]
    return bool(generated) and max(path.stat().st_mtime for path in watched) > min(generated)


def picows_pxd() -> Path:
    return Path(picows.__file__).parent / "picows.pxd"


def extensions() -> list[Extension]:
    """One extension for each .pyx; every .pxd is a dependency of every module (they are few and small)."""
    folders = (("python/subcore", "*.pxd"), ("src/subcore", "*.pxd"), ("src/subcore", "*.h"))
    declarations = [path for folder, names in folders for path in sorted(Path(folder).glob(names))]
    return [
        Extension(
            f"subcore.{path.stem}",
            [str(path)],
            include_dirs=["src/subcore", numpy.get_include(), str(picows_pxd().parent)],
            define_macros=[
                ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
                *([("SUBCORE_DEBUG", "1")] if DEBUG else []),
            ],
            undef_macros=["NDEBUG"] if DEBUG else [],
            extra_compile_args=COMPILE_ARGS,
            extra_link_args=LINK_ARGS,
            depends=[*map(str, declarations), str(picows_pxd())],
        )
        for path in sorted(Path("src/subcore").glob("*.pyx"))
    ]


class BuildExtensions(build_ext):
    """build_ext that names each compiled module and keeps other modes away from the release extensions."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.inplace and MODE != "release":
            sys.exit(f"a {MODE} build never goes in place: `setup.py build`, then PYTHONPATH={BUILD}/lib")

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name))
        before, start = target.stat().st_mtime_ns if target.exists() else 0, time.monotonic()
        super().build_extension(ext)
        if target.exists() and target.stat().st_mtime_ns != before:
            print(f"    compiled {ext.name} ({MODE}) in {time.monotonic() - start:.0f} s", flush=True)


def modules() -> list[Extension]:
    if os.environ.get("SUBCORE_NO_EXTENSIONS") == "1":
        return []
    fail_on_performance_hints()
    leave_constants_unchecked()
    return cythonize(
        extensions(),
        build_dir=str(GENERATED),
        include_path=["python", "src/subcore"],
        compiler_directives=DIRECTIVES,
        force=everything_outdated(),
        # Workers must inherit the patched hint function, which only a fork does.
        nthreads=JOBS if multiprocessing.get_start_method() == "fork" else 0,
    )


os.chdir(ROOT)
setup(
    ext_modules=modules(),
    cmdclass={"build_ext": BuildExtensions},
    options={
        "build": {"build_base": str(BUILD), "build_lib": str(BUILD / "lib")},
        "build_ext": {"parallel": JOBS},
    },
)
