"""Counters and delays of links and channels; used from Cython only."""

from typing import final

@final
class FlowTable: ...
