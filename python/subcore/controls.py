"""What a venue says beside its data, read within bounds: the frame may be anything."""

from __future__ import annotations

import logging

from ._schema import Schema
from .types import Control, Unknown
from .venue import MAX_CONTROLS, Venue

log = logging.getLogger("subcore.manager")

MAX_CONTROL_BYTES = 1024 * 1024  # the longest that makes sense is a list of what a link carries


class ControlReader:
    """Asks one venue's `decode_control`. Belongs to the loop's thread."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._warned = False

    def read(self, frame: bytes) -> list[Control]:
        """What `frame` says, `MAX_CONTROLS` at most; the rest is one `Unknown` that counts for all. Never raises.

        A frame over `MAX_CONTROL_BYTES` is not looked at.
        """
        if len(frame) > MAX_CONTROL_BYTES:
            return [Unknown(frame)]
        try:
            said = list(self._venue.decode_control(frame))
        except Exception:  # it may be the user's own, and it is called inside the transport
            if not self._warned:
                self._warned = True
                log.exception(
                    "decode_control of %s must not raise: its control frames count as unknown",
                    self._venue.name,
                )
            return [Unknown(frame)]
        if len(said) <= MAX_CONTROLS:
            return said
        rest = sum(
            control.count if isinstance(control, Unknown) else 1 for control in said[MAX_CONTROLS - 1 :]
        )
        return [*said[: MAX_CONTROLS - 1], Unknown(frame, rest)]


def expected_format(venue: Venue, schema: Schema) -> int:
    """The index of the format that is asked for, or -1. Frames in another are read all the same, and counted."""
    asked = str(venue.options.get("format", ""))
    name = {"SIMPLE_LIST": "SIMPLE", "JSON_LIST": "DEFAULT"}.get(asked, asked)
    return schema.formats.index(name) if name in schema.formats else -1
