"""Make before break through a whole manager while its links lag: rotation, age, hot standby, and the way home.

`test_arbiter_links.py` has the arbiter alone, with switches chosen by hand; here the engine chooses when a second link
comes and when the first one goes, so what is shown is that it waits for long enough. `lagging_moves.py` is the stage.
"""

from __future__ import annotations

import pytest

from lagging_houses import BINANCE
from lagging_moves import Age, Kind, Rotation, Standby, WayHome, play

pytestmark = pytest.mark.simulation

KINDS = pytest.mark.parametrize("kind", [Rotation, Age, Standby, WayHome])
SEEDS = pytest.mark.parametrize("seed", [1, 2, 3])


@KINDS
@SEEDS
def test_while_links_lag_no_trade_is_lost_none_comes_twice_and_no_state_goes_back(
    kind: type[Kind], seed: int
) -> None:
    played = play(kind, seed, "lag")
    played.check_trades()
    played.check_states()


@KINDS
@SEEDS
def test_while_frames_overtake_each_other_no_trade_of_what_moves_is_lost_or_comes_twice(
    kind: type[Kind], seed: int
) -> None:
    """Within a link, which TCP does not do. What one link alone carries is taken in its order, and the snapshot of a
    rewrite may come before the trade it tells of: so only what moves is judged, and states while two links carry
    them."""
    played = play(kind, seed, "reorder")
    counts = [played.ears.trades[key] for key in played.due if key[0] in kind.moved(played.house)]
    assert len(counts) > 100
    assert set(counts) == {1}
    assert played.ears.doubled > 50, "while two links carried them"
    assert played.ears.back_doubled == []
    if kind is Standby:
        played.check_states()


@pytest.mark.parametrize("kind", [Rotation, Age, Standby])
@pytest.mark.parametrize("seed", [1])
def test_so_it_is_at_a_venue_that_is_told_what_to_add_and_remove_and_sends_no_snapshots(
    kind: type[Kind], seed: int
) -> None:
    """Its states have a number in place of a time. Nothing is rewritten there, so none is kept apart."""
    played = play(kind, seed, "lag", BINANCE)
    played.check_trades()
    played.check_states()
