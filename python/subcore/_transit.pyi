"""Streams under way between links: for which of them something may be due, and what becomes of their legs then."""

from typing import Any

import numpy as np
import numpy.typing as npt

from subcore._leg_table import LegTable

_Ids = npt.NDArray[np.int32]

def settle_on(legs: LegTable, link: int, streams: npt.ArrayLike) -> None: ...
def detach(legs: LegTable, link: int, streams: npt.ArrayLike) -> None: ...
def undecided(
    legs: LegTable,
    link: int,
    wire: Any,  # a WireSet, as all of the wires
    streams: npt.ArrayLike,
    states: npt.NDArray[np.uint8],
    closed: int,
    proof: int,
) -> tuple[_Ids, _Ids]: ...
def stirred(legs: LegTable, link: int, wires: list[Any], streams: npt.ArrayLike, proof: int) -> _Ids: ...
def ended(legs: LegTable, wires: list[Any], first: int, most: int, late: int) -> tuple[list[int], int]: ...
