"""What happened over time: a restore, moves between links, and messages against the least number."""

from __future__ import annotations

import random

import numpy as np
from drawing import BLUE, GREEN, GREY, INK, ORANGE, RED, save
from matplotlib import pyplot
from matplotlib.axes import Axes
from play import SYMBOLS, Recorded, binance, subscribe_all, upbit

from subcore.scenarios.plain_manager import PlainManager
from subcore.sim.faults import Fault
from subcore.types import Priority, StreamState


def draw_proof() -> None:
    """Write proof.svg: the streams of a lost link, by class, until they are proven again."""
    figure, sides = pyplot.subplots(1, 2, figsize=(10, 3.6), sharey=True)
    one = "Upbit: a request carries all, the most important first"
    several = "Binance: requests of a hundred streams, 0.3 s apart, in class order"
    _draw_restore(sides[0], Recorded(upbit(rate=0.02)), ("ticker", "trade"), one)
    _draw_restore(sides[1], Recorded(binance(rate=3.0)), ("book_ticker", "trade"), several)
    sides[0].set(ylabel="streams proven again, %")
    sides[0].legend(loc="lower right", fontsize=8)
    save(figure, "proof", "A lost link, proven again stream by stream")


def _draw_restore(axes: Axes, seen: Recorded, channels: tuple[str, str], title: str) -> None:
    driver, columns = seen.driver, seen.driver.engine.streams
    by_class = subscribe_all(driver, channels, random.Random(1))
    driver.run(60)
    lost = driver.now / 1e9
    driver.exchange.inject(Fault("drop_rst"), driver.now)  # type: ignore[attr-defined]
    seen.run(
        8,
        lambda: {
            c.name: 100 * float(np.mean(columns.state[ids] == StreamState.OPEN))
            for c, ids in by_class.items()
        },
    )
    for cls, colour in zip(by_class, (RED, ORANGE, BLUE), strict=True):
        axes.step(
            np.array(seen.times) - lost, seen.column(cls.name), where="post", color=colour, label=cls.name
        )
    for at, _ in seen.sends(since=lost):
        axes.axvline(at - lost, color=GREY, lw=0.8, ls=":")
    axes.set(xlabel="seconds since the link was lost; dotted: a request", xlim=(0, 5), ylim=(-2, 103))
    axes.set_title(title, size=8.5, color=INK)


def draw_placement() -> None:
    """Write placement.svg: a flood of changes goes to the nursery, and comes home once it is calm."""
    seen = Recorded(upbit(rate=0.1))
    driver, rng = seen.driver, random.Random(1)
    steady = [f"KRW-T{number}" for number in range(80)]
    driver.subscribe("critical", "ticker", steady, priority=Priority.CRITICAL)
    links = driver.engine.links

    def look() -> dict[str, float]:
        return {str(ident): float(len(link.wire.wire())) for ident, link in links.items()}

    seen.run(10, look, every=0.25)
    for step in range(160):
        symbol = f"KRW-T{rng.randrange(100, 200)}"
        (driver.subscribe if step % 5 else driver.unsubscribe)("storm", "trade", [symbol])
        seen.run(0.25, look, every=0.25)
    seen.run(170, look, every=0.25)
    figure, axes = pyplot.subplots(figsize=(9, 3.4))
    names = sorted({name for row in seen.rows for name in row})
    says = ["link 0, settled: 80 CRITICAL streams", "link 1, the nursery: what changes"]
    for name, colour, label in zip(names, (BLUE, ORANGE, GREEN), [*says, "another link"], strict=False):
        axes.step(seen.times, seen.column(name), where="post", color=colour, label=label)
        times = [at for at, link in seen.sends() if str(link) == name]
        axes.plot(times, np.full(len(times), -8.0 - 6 * int(name)), "|", color=colour, ms=6)
    axes.annotate(
        "requests", (0, -11), xytext=(-6, 0), textcoords="offset points", ha="right", size=7, va="center"
    )
    axes.axvspan(10, 50, color=GREY, alpha=0.12, lw=0)
    axes.text(30, 172, "4 changes a second", ha="center", size=8, color=GREY)
    axes.set(xlabel="seconds", ylabel="streams on the wire", xlim=(0, 220), ylim=(-20, 180))
    axes.legend(loc="center right", fontsize=8)
    save(figure, "placement", "Changes go to the nursery, and home when it is calm")


class _Holder:
    """A component of the plain manager that wants nothing back."""

    def on_data(self, channel: str, symbol: str, data: dict[str, object]) -> None:
        """Nothing comes."""

    def on_reconnect(self) -> None:
        """Nor is anything lost."""


def draw_efficiency() -> None:
    """Write efficiency.svg: messages sent for the same changes."""
    seen, sent = Recorded(upbit(rate=0.05)), list[float]()
    began = _change_for_a_minute(seen, sent)
    times, plain = np.array(seen.times) - began, np.array(sent) - began
    ours = np.array([at for at, _ in seen.sends(since=began)]) - began
    figure, axes = pyplot.subplots(figsize=(9, 3.4))
    counts = np.arange(1, len(plain) + 1)
    axes.step(plain, counts, color=RED, where="post", label="plain manager: one message a change")
    allowed = "what a connection may send: 100 a minute"
    axes.plot(times, 5 + times * 100 / 60, color=GREY, ls="--", lw=1, label=allowed)
    axes.step(ours, np.arange(1, len(ours) + 1), color=BLUE, where="post", label="subcore")
    least = "least number, each change at once where there is room"
    axes.step(times, seen.column("least"), color=INK, where="post", ls=":", label=least)
    axes.set(xlabel="seconds, ten changes in each", ylabel="messages sent", xlim=(0, 60), ylim=(0, 250))
    axes.legend(loc="upper right", fontsize=8)
    save(figure, "efficiency", "Messages for the same changes")


def _change_for_a_minute(seen: Recorded, plain_sent: list[float]) -> float:
    """Ten topics a second come or go, for both managers alike; when that began."""
    driver, rng, held = seen.driver, random.Random(1), set[tuple[str, str]]()
    plain, holder = PlainManager(), _Holder()
    driver.subscribe("steady", "ticker", [f"KRW-T{number}" for number in range(20)])
    driver.run(3)
    began, before = driver.now / 1e9, driver.engine.efficiency(driver.now).optimal_messages
    plain.connected(lambda payload: plain_sent.append(driver.now / 1e9))
    plain_sent.clear()  # of the empty set
    while driver.now / 1e9 < began + 60:
        comes = len(held) < 60 or rng.random() < 0.5
        topic = rng.choice(("ticker", "trade")), f"KRW-T{rng.randrange(20, SYMBOLS)}"
        if not comes or topic in held:
            topic, comes = rng.choice(sorted(held or {topic})), not held
        held.symmetric_difference_update({topic})
        (driver.subscribe if comes else driver.unsubscribe)("storm", topic[0], [topic[1]])
        (plain.subscribe if comes else plain.unsubscribe)(holder, topic[0], [topic[1]])
        seen.run(
            0.1, lambda: {"least": driver.engine.efficiency(driver.now).optimal_messages - before}, every=0.1
        )
    return began
