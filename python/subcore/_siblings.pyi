"""Streams of one symbol, each beside the next ones of it in a circle: who may bear witness about whom."""

import numpy as np
import numpy.typing as npt

def circles(keys: npt.ArrayLike, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]: ...
