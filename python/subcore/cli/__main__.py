"""`python -m subcore.cli`."""

from __future__ import annotations

from subcore.cli import main

main()
