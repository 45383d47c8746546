"""Hot standby over real sockets, by the script that cuts links under load; a few losses here, 1,000 there."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

import subcore.hub
from subcore.engine.engine import Engine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from standby_losses import Client, faster_settings


async def test_the_loss_of_either_link_loses_no_event_and_brings_none_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subcore.hub, "Engine", partial(Engine, settings=faster_settings()))
    client = Client(0, seed=3)
    await client.play(5)
    assert client.losses == 5
    assert client.told >= 5
    assert client.duplicates > 0, "both links brought something"
    assert len(client.got) > 100
    assert (client.lost, client.twice, len(client.server.violations)) == (0, 0, 0)
