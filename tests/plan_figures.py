"""What plans of tests are made with: markets of a venue, and costs of no machine in particular."""

from __future__ import annotations

from subcore.engine.forecast import Costs
from subcore.planning.samples import symbols_like

UPBIT = symbols_like("upbit")
COSTS = Costs(
    read=20_000,
    frame={("ticker", 0): 4_000, ("orderbook", 5): 6_000, ("orderbook", 30): 12_000},
    delivery={"callback": 500, "queue": 800, "latest": 700, "ring": 300, "async": 3_000},
    wake={"callback": 0, "queue": 9_000, "latest": 9_000, "ring": 0, "async": 9_000},
    turn=6_000,
    timer=15_000,
    spread=0.1,
)
