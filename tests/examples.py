"""How many examples hypothesis plays: all of them once, a third where CI runs the suite again on another build."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

SHARE = float(os.environ.get("SUBCORE_EXAMPLES", "1"))


def examples(count: int, **others: Any) -> settings:
    """Settings for `count` examples, or the share of them that is asked for. No example is timed."""
    return settings(max_examples=max(5, round(count * SHARE)), deadline=None, **others)


settings.register_profile("untimed", examples(100))  # for tests that say no number
settings.load_profile("untimed")
