"""The frame under fan-out: its record, and the events made of it for those who take events."""

from typing import final

@final
class Frame: ...
