"""Fetch uPlot's files for the dashboard from its npm package, or see that those in the tree are the ones fetched:

    python scripts/vendor_uplot.py            # needs npm and the registry
    python scripts/vendor_uplot.py --check    # needs nothing

The page is served with these files and asks nobody else. VERSION and the hashes below are what may be in the tree; to
take another version, change them together: `npm view uplot@VERSION dist.integrity` says the first.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FOLDER = (
    Path(__file__).resolve().parent.parent
    / "python"
    / "subcore"
    / "dashboard"
    / "static"
    / "vendor"
    / "uplot"
)
VERSION = "1.6.32"
PACKAGE_SHA512 = "KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw=="
FILES = {  # name in the package: (name here, SHA-256)
    "package/dist/uPlot.esm.js": (
        "uPlot.esm.js",
        "5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba",
    ),
    "package/dist/uPlot.min.css": (
        "uPlot.min.css",
        "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    ),
    "package/LICENSE": ("LICENSE.txt", "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd"),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare what is in the tree, offline")
    faults = check() if parser.parse_args().check else fetch()
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def check() -> list[str]:
    """What is not as it was fetched."""
    faults = []
    for name, digest in FILES.values():
        path = FOLDER / name
        if not path.is_file():
            faults.append(f"{path} is missing: run scripts/vendor_uplot.py")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            faults.append(f"{path} is not uPlot {VERSION}'s: run scripts/vendor_uplot.py")
    held = {path.name for path in FOLDER.iterdir()} if FOLDER.is_dir() else set()
    stray = held - {name for name, _ in FILES.values()}
    return faults + [f"{FOLDER / name} is not of uPlot {VERSION}" for name in sorted(stray)]


def fetch() -> list[str]:
    """Write the files; nothing where one is not what it should be."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"uplot@{VERSION}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (packed,) = Path(folder).glob("*.tgz")
        data = packed.read_bytes()
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    if digest != PACKAGE_SHA512:
        return [f"the package's SHA-512 is {digest}, not {PACKAGE_SHA512}"]
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member, (name, wanted) in FILES.items():
            held = archive.extractfile(member)
            content = b"" if held is None else held.read()
            if (digest := hashlib.sha256(content).hexdigest()) != wanted:
                return [f"{member} has the SHA-256 {digest}, not {wanted}"]
            found[name] = content
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in found.items():
        (FOLDER / name).write_bytes(content)
    print(f"uPlot {VERSION}: {', '.join(found)} in {FOLDER}")
    return check()


if __name__ == "__main__":
    raise SystemExit(main())
