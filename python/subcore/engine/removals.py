"""Removals that the venue did not take: refused, or not answered where it answers each request by its id.

What was to go is on the wire still, as far as anybody knows. It goes again, later each time that happens in a row; and
an answer that was only late is heard all the same. A removal that works twice does no harm.
"""

from __future__ import annotations

from typing import Final

from subcore.engine.context import Context
from subcore.engine.link import Link, Request
from subcore.types import Int32Array
from subcore.venue import Model

__all__ = ["Removals"]

DOUBLED: Final = 5  # times: one that never works is tried once a minute
SILENT: Final = 3  # times in a row without an answer: it seems that this venue gives none


class Removals:
    """Keeps the books of a link right about what it was asked to drop. Calls cost O(the request's streams)."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._answers = ctx.venue.model is not Model.REPLACE

    def kept(self, link: Link, streams: Int32Array, now: int) -> None:
        """The venue would not take these off the wire now: they are to go again. But for those that are wanted anew and
        wait for their message, or for their trial: were they on the wire, nobody would ask for them, and what comes
        would prove nothing."""
        legs = self._ctx.streams.legs
        if link.trial is not None:
            streams = streams[~link.trial.holds(streams)]
        streams, rows = legs.on(link.id, streams)
        gone = (legs.width[rows] < 0) & ~link.wire.aims_at(streams)  # else asked for again meanwhile, or soon
        legs.width[rows[gone]] = 0
        link.wire.set_wire(streams[gone])
        if link.wire.len_removed:
            patience = self._ctx.settings.remove_wait
            due = now + (patience << min(link.kept, DOUBLED))
            legs.turn(
                link.id, streams[gone], due - patience
            )  # or it would go ahead of others, who has waited longest
            link.remove_before(due)
            link.kept += 1

    def unanswered(self, link: Link, request: Request, now: int) -> None:
        """Its window is over, and nothing was said: silence is no yes, the first times, and never where others were
        answered. They may come for ever, or be gone: should somebody want them again, nothing speaks for them."""
        if not self._answers or request.id is None or not len(request.removes):
            return
        if link.kept >= SILENT and not link.takes_off:
            return
        self.kept(link, request.removes, now)
        legs = self._ctx.streams.legs
        _, rows = legs.on(link.id, request.removes)
        legs.evidence[rows[(legs.width[rows] >= 0) & (legs.request[rows] <= request.number)]] = 0
        # Should it have been done after all, frames of before may come for as long, and prove nothing.
        request.window_ends = now + self._ctx.settings.late_frames

    def done(self, link: Link, request: Request, now: int) -> Int32Array:
        """The venue says that it has taken them off. Of those that were kept, which are wanted anew: they are not in
        force."""
        link.kept = 0
        link.takes_off = link.takes_off or len(request.removes) > 0
        legs = self._ctx.streams.legs
        streams, rows = legs.on(link.id, request.removes)
        gone: Int32Array = streams[(legs.width[rows] >= 0) & (legs.request[rows] <= request.number)]
        if not len(gone):
            return gone  # its answer came in time, as mostly
        wanted = link.wire.aims_at(gone)
        off = gone[~wanted]
        link.wire.set_wire(off, False)
        legs.put_off(link.id, off)
        legs.put_left(link.id, off, now)
        return gone[wanted]
