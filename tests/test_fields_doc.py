"""docs/fields.md says what the classes and tables say."""

from __future__ import annotations

import subprocess
import sys

from conftest import ROOT


def test_fields_doc_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/make_fields_doc.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
