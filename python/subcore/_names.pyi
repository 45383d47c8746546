"""From the names that a call gives to the topics it means."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._routes import RouteTable

_Ids = npt.NDArray[np.int32]

def known_topics(
    interner: Interner, routes: RouteTable, channel: int, symbols: Iterable[str]
) -> _Ids | None: ...
def held_of_channel(ledger: Ledger, component: int, channel: int) -> _Ids: ...
def held_of_symbols(
    ledger: Ledger, component: int, channel: int, symbols: npt.ArrayLike, variants: int
) -> _Ids: ...
