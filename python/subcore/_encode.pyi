"""Names as they stand in a request: quoted, joined by commas, as UTF-8."""

import numpy.typing as npt

def join_quoted(texts: list[str], rows: npt.ArrayLike, suffix: bytes = b"") -> bytes: ...
