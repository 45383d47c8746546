"""One tick over all components."""

import numpy as np
import numpy.typing as npt

from subcore.engine.owing import Owing

_Counts = npt.NDArray[np.int64]

def age(
    rows: Owing, due: _Counts, done: _Counts, lost: _Counts, limits: tuple[int, ...], judges: bool
) -> list[int]: ...
