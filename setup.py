"""Build the Cython core and the engine. Metadata lives in pyproject.toml; this file only knows how to compile.

The engine is typed Python: mypyc makes one library of the modules that see to events, and `import` finds that before
the Python files, which are installed beside it. It runs the same without, at some two thirds of the speed.

Modes, each with objects and output in a folder of its own, `build/MODE-TAG/`; C is generated once for all modes with
the same checks, into `build/c-TAG/` or `build/c-debug-TAG/` (another Python may have another numpy, whose declarations
end up in the C):

* release (default): what is shipped; `make build` also copies the extensions beside the Python files.
* SUBCORE_DEBUG=1: every Cython check and every C assert on.
* SUBCORE_SANITIZE=address (or any value of -fsanitize=): release checks under a sanitizer.
* SUBCORE_OPTIMIZE=0: compiled sooner, for tests that judge what it does and not how fast.

Debug and sanitizer builds never replace the release extensions: run them with PYTHONPATH=build/MODE-TAG/lib.
SUBCORE_NO_EXTENSIONS=1 installs the Python files alone: `make` compiles afterwards, with progress shown.
SUBCORE_INTERPRET_ENGINE=1 leaves the engine Python, as debug and sanitizer builds do: their checks are of the core.
"""

from __future__ import annotations

import hashlib
import json
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
INTERPRETED = bool(DEBUG or SANITIZE or os.environ.get("SUBCORE_INTERPRET_ENGINE") == "1")
# What engine.py imports, but for legs.py: mypyc has no subclass of a type made by Cython. And what writes requests.
ENGINE = """
    actions asking bisection clock context control departures efficiency engine events explain habits health link links
    losses moves own_links pacing placement planner ports proof proposals queueing reasons removals restore restored
    shares standby symbols topics wants
""".split()  # noqa: SIM905
COMPILED = [*(f"engine/{name}" for name in ENGINE), "venues/binance_requests", "venues/upbit_requests"]
TOLD_BY_MYPYC = ("name", "sources", "include_dirs", "depends", "extra_compile_args")

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


def engine() -> list[Extension]:
    """The engine's library and a small extension for each of its modules.

    mypyc reads all that the engine imports for half a minute: what it made is kept until a file of that changes.
    """
    if INTERPRETED:
        return []
    made = BUILD / "engine"
    kept, state = made / "extensions.json", engine_state()
    told = json.loads(kept.read_text()) if kept.exists() else {}
    if told.get("state") != state:
        print("    translating the engine", flush=True)
        try:
            translated = translated_engine(made)
        except SystemExit:  # it has said why
            if "--inplace" in sys.argv:
                raise
            print(
                "subcore: mypyc cannot compile the engine here. It stays Python, which is slower", flush=True
            )
            return []
        ours = [{name: getattr(ext, name) for name in TOLD_BY_MYPYC} for ext in translated]
        ours[0]["depends"].append(str(kept))  # compiled anew then: its C alone does not show all of the state
        told = {"state": state, "extensions": ours}
        kept.write_text(json.dumps(told))
    return [Extension(**one) for one in told["extensions"]]


def engine_state() -> str:
    """What the engine's C is made from, as a hash: every Python file and stub it may import, and who translates."""
    import mypy.version

    files = sorted(path for kind in ("*.py", "*.pyi") for path in (ROOT / "python" / "subcore").glob(kind))
    files += sorted(
        path
        for folder in ("engine", "venues")
        for path in (ROOT / "python" / "subcore" / folder).glob("*.py")
    )
    made = hashlib.sha256(f"{mypy.version.__version__} {numpy.__version__} {OPTIMIZE}".encode())
    for path in (Path(__file__), *files):
        made.update(path.read_bytes())
    return made.hexdigest()


def translated_engine(made: Path) -> list[Extension]:
    """C in the folder `made`. SystemExit: types do not fit, as with a later numpy than is known here."""
    from mypyc.build import mypycify

    options = [f"--cache-dir={made / 'mypy'}", "--follow-imports=silent"]
    paths = [f"python/subcore/{name}.py" for name in COMPILED]
    translated: list[Extension] = mypycify(
        [*options, *paths],
        opt_level=OPTIMIZE,
        debug_level="0",
        target_dir=str(made),
        group_name="subcore.engine",
    )
    for ext in translated:  # a compiler newer than mypyc may warn of what that one did not
        ext.extra_compile_args = [flag for flag in ext.extra_compile_args if flag != "-Werror"]
        ext.extra_compile_args.append("-fvisibility=hidden")  # it calls itself, not what may stand in for it
    return translated


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
    return engine() + cythonize(
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
