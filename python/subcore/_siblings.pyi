"""Streams of one symbol, each beside the next ones of it in a circle: who may bear witness about whom."""

import numpy as np
import numpy.typing as npt

def partners(symbols: npt.ArrayLike, count: int) -> npt.NDArray[np.int64]: ...
