"""Rate caps: an interest with a limit gets at most one event an interval, and always the newest in the end."""

from typing_extensions import disjoint_base

@disjoint_base
class Limit: ...

@disjoint_base
class LimitTable:
    def conflated(self, component: int) -> dict[int, int]: ...
    def __len__(self) -> int: ...
