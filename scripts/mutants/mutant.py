"""A planted bug, as a value; and what must always hold."""

from __future__ import annotations

from typing import NamedTuple

# By the numbers that the soak's judge names as well.
PROPERTIES = {
    1: "after quiet links carry exactly what is wanted, once",
    2: "no rolling window of the venue is exceeded, judged at the receiver",
    3: "what cancels before the send sends nothing, and nothing in force is sent again",
    4: "the higher class goes first, and nothing starves",
    5: "a refused stream keeps no other off the wire",
    6: "a restore ends with each stream OPEN on evidence, or REFUSED with a reason",
    7: "a component that is removed leaves nothing",
    8: "every event due is delivered once, in order, or counted as lost and told",
    9: "a component costs another nothing, and who runs long is named",
    10: "a failed call changes nothing",
    11: "watchdogs never touch intent",
    12: "bytes from the network never crash, hang or grow the process",
    13: "no handler is called inside a public call, and nothing arrives after close()",
}


class Mutant(NamedTuple):
    """`old` stands once in `file`: of the package, or a .pyx of the core. `by` finds it: the soak, or arguments of
    pytest. `breaks`: the one of `PROPERTIES` that it stands for, if it stands for one."""

    name: str
    file: str
    old: str
    new: str
    by: str
    breaks: int | None = None

    @property
    def is_quick(self) -> bool:
        """Whether a test finds it and nothing need be compiled."""
        return self.by != "soak" and not self.file.endswith(".pyx")
