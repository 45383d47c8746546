"""Compile each .pyx beside this file against the installed subcore, in an empty folder, and run its `main()`.

`python build_and_run.py FOLDER`: subcore must come from the environment's site-packages.
Each .pyx is what a user would write; a landing that opens a part of the C face adds one here.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path

import numpy
import setuptools
from Cython.Build import cythonize

import subcore


def build(sources: list[Path], folder: Path) -> None:
    for source in sources:
        shutil.copy(source, folder)
    os.chdir(folder)
    extensions = [
        setuptools.Extension(source.stem, [source.name], include_dirs=[numpy.get_include()])
        for source in sources
    ]
    modules = cythonize(extensions, language_level=3, quiet=True)
    setuptools.setup(name="users", ext_modules=modules, script_args=["--quiet", "build_ext", "--inplace"])


def main() -> None:
    here, folder = Path(__file__).resolve().parent, Path(sys.argv[1]).resolve()
    installed = Path(subcore.__file__).resolve()
    if "site-packages" not in installed.parts:
        sys.exit(f"not an installed subcore: {installed}")
    sources = sorted(here.glob("*.pyx"))
    if not sources:
        sys.exit(f"no .pyx in {here}: nothing would be tested")
    folder.mkdir(parents=True, exist_ok=True)
    build(sources, folder)
    sys.path.insert(0, str(folder))
    for source in sources:
        importlib.import_module(source.stem).main()
        print(f"{source.name}: compiled against {installed.parent} and run")


if __name__ == "__main__":
    main()
