"""What all components hold at one moment, whichever thread asks."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from subcore._intern import Interner
from subcore._ledger import Ledger

_T = TypeVar("_T")

def holdings(
    ledger: Ledger, interner: Interner, members: dict[int, _T]
) -> tuple[list[tuple[int, _T]], npt.NDArray[np.int32], npt.NDArray[np.int32], list[str | None]]: ...
