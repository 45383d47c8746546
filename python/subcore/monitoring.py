"""Feeds the monitor about once a second, and keeps what figures of the last minutes need. Nothing is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .engine.clock import SECOND
from .engine.monitor import Monitor
from .figures import Delays, Rates
from .recent import Recent
from .unfrozen import unfrozen

if TYPE_CHECKING:
    from ._histogram import Histogram
    from .hub import Hub
    from .types import Int32Array

__all__ = ["Monitoring"]

LOOK_NS = SECOND // 10  # the housekeeping's own interval: what is later is the loop's lag
SAMPLE_S = 1.0
TURN_S = 60.0  # figures of the last one to two of these are called recent

STILL = Rates()
_MadeRates = unfrozen(Rates)

Counts = npt.NDArray[np.uint64]


class Monitoring:
    """Belongs to the loop's thread; rates and recent delays may be read from any.

    A look costs a microsecond, a sample (once a second) some 10 ns a stream and 100 ns a component.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._looked: int | None = None
        self._sampled = self._turned = 0
        self._streams = Monitor(np.uint32)
        self._links, self._channels = Monitor(), Monitor()  # frames of each, then bytes of each
        self._components, self._total = Monitor(), Monitor()
        self._lag = Recent()
        self._worst_lag = 0  # since it was taken
        self._delays = Recent()

    # -- what is heard --

    def look(self, now: int) -> bool:
        """The housekeeping ran, as it should each 0.1 s. Whether everything was sampled, about once a second."""
        if self._looked is None:
            self._sampled = self._turned = now
            self._sample(now)
        else:
            lag = now - self._looked - LOOK_NS
            self._lag.add(lag)
            self._worst_lag = max(self._worst_lag, lag)
        self._looked = now
        samples = now - self._sampled >= SAMPLE_S * SECOND
        if samples:
            self._sampled = now
            self._sample(now)
        if now - self._turned >= TURN_S * SECOND:
            self._turned = now
            self._turn()
        return samples

    def take_worst_lag(self) -> int:
        """Nanoseconds by which the housekeeping was late at worst, since the last call."""
        worst, self._worst_lag = self._worst_lag, 0
        return worst

    def released(self, streams: Int32Array) -> None:
        """These ids are to be given to others."""
        self._streams.forget(streams)

    def left(self, component: int) -> None:
        """A component is no more, and its id another's soon."""
        self._components.forget(np.array([component], np.int32))

    # -- inside --

    def _sample(self, now: int) -> None:
        hub = self._hub
        self._streams.sample(now, hub.meter.frames())
        links = [hub.meter.link(number) for number in range(max(hub.runtime.links, default=-1) + 1)]
        self._links.sample(now, _pairs([(flow.frames, flow.bytes) for flow in links]))
        channels = [hub.meter.channel(index) for index in range(len(hub.venue.channels))]
        self._channels.sample(now, _pairs([(flow.frames, flow.bytes) for flow in channels]))
        delivered = self.delivered()
        self._components.sample(now, delivered)
        frames, size = sum(flow.frames for flow in channels), sum(flow.bytes for flow in channels)
        total = hub.measuring.delivered_before + int(delivered.sum())
        self._total.sample(now, np.array([frames, size, total], np.uint64))

    def delivered(self) -> Counts:
        """Events given to each component, by id."""
        hub = self._hub
        members = list(hub.members.values())
        counts = hub.router.counts(max((member.id for member in members), default=-1) + 1)[0]
        for member in members:
            if member.delivered_before:
                counts[member.id] += np.uint64(member.delivered_before)
        return counts

    def _turn(self) -> None:
        self._lag.turn(None)
        self._delays.turn(self._hub.meter.total().delays)
        if self._hub.duties.delays is not None:
            self._hub.duties.delays.turn()

    # -- figures --

    def streams(self, streams: Int32Array) -> npt.NDArray[np.float32]:
        """(3, n): frames a second of these streams over 1, 10 and 60 s."""
        return self._streams.rates(streams)

    def link(self, number: int) -> tuple[Rates, Rates]:
        """Frames and bytes a second."""
        return _pair(self._links, number)

    def channel(self, index: int) -> tuple[Rates, Rates]:
        """Frames and bytes a second."""
        return _pair(self._channels, index)

    def component(self, component: int) -> Rates:
        """Events given to it a second."""
        return _rates(self._components, component)

    def components(self, components: Int32Array) -> list[Rates]:
        """The same of several."""
        rates = self._components.rates(components).T.tolist()
        return [_made(each) if any(each) else STILL for each in rates]

    def total(self) -> tuple[Rates, Rates, Rates]:
        """Frames, bytes and events given to components a second."""
        frames, size, delivered = (_rates(self._total, row) for row in range(3))
        return frames, size, delivered

    def recent_delay(self, delays: Histogram) -> Delays:
        """Of these delays, those of the last one to two minutes."""
        return self._delays.figures(delays)

    @property
    def loop_lag(self) -> Delays:
        """How late the loop ran the housekeeping in the last one to two minutes."""
        return self._lag.figures(None)

    @property
    def nbytes(self) -> int:
        """Bytes of all samples."""
        monitors = (self._streams, self._links, self._channels, self._components, self._total)
        return sum(monitor.nbytes for monitor in monitors)


def _made(rates: list[float]) -> Rates:
    made = _MadeRates(*rates)
    made.__class__ = Rates
    return made


def _pairs(flows: list[tuple[int, int]]) -> Counts:
    return np.array(flows, np.uint64).reshape(-1)


def _pair(monitor: Monitor, row: int) -> tuple[Rates, Rates]:
    return _rates(monitor, 2 * row), _rates(monitor, 2 * row + 1)


def _rates(monitor: Monitor, row: int) -> Rates:
    return Rates(*monitor.of(row))
