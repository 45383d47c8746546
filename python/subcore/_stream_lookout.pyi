"""Looking ahead to all that delivering a frame of a stream touches."""

from typing import Self, final

from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._lookout import Lookout
from subcore._meter import Meter
from subcore._route import Router

@final
class StreamLookout(Lookout):
    def __new__(cls, interner: Interner, ledger: Ledger, meter: Meter, router: Router) -> Self: ...
