"""One frame's bytes to an event or a control object, without a manager."""

from typing import Self, final

from subcore._events import Event
from subcore.types import Control
from subcore.venue import Venue

@final
class Decoder:
    def __new__(cls, venue: Venue) -> Self: ...

def decode(
    venue: str | Venue, frame: bytes | bytearray | memoryview, *, receive_time_ns: int = 0
) -> Event | Control: ...
def decode_all(
    venue: str | Venue, frame: bytes | bytearray | memoryview, *, receive_time_ns: int = 0
) -> list[Event | Control]: ...
