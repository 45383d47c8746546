"""Run Python under valgrind and fail on what subcore did: `valgrind_judge.py SCRIPT ARG...`.

CPython itself branches on uninitialised values here and there, differently in each version, so a plain error
exit code would need a list of suppressions for each. The rule instead: every invalid read, write and free
fails, whoever made it; a use of an uninitialised value fails if subcore made it, itself or through libc.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIBRARIES = ("/vgpreload_", "/libc.so", "/libc-", "/ld-linux", "/libm.so")


def objects(stack: ElementTree.Element) -> list[str]:
    return [frame.findtext("obj") or "" for frame in stack.findall("frame")]


def is_ours(error: ElementTree.Element) -> bool:
    if not (error.findtext("kind") or "").startswith("Uninit"):
        return True
    stack = error.find("stack")
    callers = (
        [obj for obj in objects(stack) if not any(name in obj for name in LIBRARIES)]
        if stack is not None
        else []
    )
    return bool(callers) and "/subcore/" in callers[0]


def describe(error: ElementTree.Element) -> str:
    lines = [error.findtext("what") or error.findtext("xwhat/text") or error.findtext("kind") or "error"]
    for part in error:
        if part.tag == "auxwhat":
            lines.append(f"  {part.text}")
        for frame in part.findall("frame") if part.tag == "stack" else []:
            place = (
                f"{frame.findtext('file')}:{frame.findtext('line')}"
                if frame.findtext("file")
                else frame.findtext("obj")
            )
            lines.append(f"    {frame.findtext('fn') or '?'} ({place})")
    return "\n".join(lines)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        judge = [
            "valgrind",
            "--quiet",
            "--xml=yes",
            f"--xml-file={report}",
            f"--suppressions={HERE}/valgrind.supp",
        ]
        command = [*judge, "--num-callers=20", sys.executable, *sys.argv[1:]]
        status = subprocess.run(command, env={**os.environ, "PYTHONMALLOC": "malloc"}).returncode
        found = ElementTree.parse(report).getroot().findall("error")
    # In its XML mode valgrind always searches for leaks, and CPython keeps thousands of blocks until exit.
    errors = [error for error in found if not (error.findtext("kind") or "").startswith("Leak")]
    ours = [error for error in errors if is_ours(error)]
    for error in ours:
        print(describe(error), file=sys.stderr)
    print(f"valgrind: {len(ours)} errors of subcore, {len(errors) - len(ours)} of the interpreter left aside")
    return status or (1 if ours else 0)


if __name__ == "__main__":
    sys.exit(main())
