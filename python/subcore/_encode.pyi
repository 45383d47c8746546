"""Names as they stand in a request: quoted, joined by commas, as UTF-8; and many names without a str for each."""

from collections.abc import Sequence
from typing import final

import numpy as np
import numpy.typing as npt

from subcore._intern import Interner

@final
class Names(Sequence[str]):
    def __new__(cls, interner: Interner, ids: npt.ArrayLike) -> Names: ...
    def __len__(self) -> int: ...
    def __getitem__(self, at: int, /) -> str: ...  # type: ignore[override]

def join_quoted(texts: Sequence[str], rows: npt.ArrayLike, suffix: bytes = b"") -> bytes: ...
def in_parts(
    channels: npt.ArrayLike,
    steps: npt.ArrayLike,
    classes: npt.ArrayLike,
    flags: npt.ArrayLike | None = None,
) -> list[tuple[npt.NDArray[np.int64], int, float, bool]]: ...
