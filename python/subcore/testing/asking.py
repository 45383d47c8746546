"""The exchange's REST, asked in virtual time for what is newest of streams."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from subcore.engine import actions, events
from subcore.engine.clock import SECOND
from subcore.latest import Latest, Question

if TYPE_CHECKING:
    from subcore.testing.driver import EngineDriver

__all__ = ["ask_over_rest"]


def ask_over_rest(driver: EngineDriver, latest: Latest, action: actions.AskLatest) -> None:
    """Carry out a question as a manager would: each request takes a way there and one back. A refusal is no answer."""
    serials = dict(zip(action.streams.tolist(), action.serials.tolist(), strict=True))
    for question in latest.questions(driver.ledger.columns(action.streams), latest.symbols_at_most):
        driver.after(driver.one_way() / SECOND, partial(_arrive, driver, question, serials))


def _arrive(driver: EngineDriver, question: Question, serials: dict[int, int]) -> None:
    status, _, body = driver.exchange.get(driver.now, question.path)
    driver.counts[f"REST {status}"] += 1
    if status != 200:
        return
    times = question.read(body)
    told = events.LatestKnown(
        question.streams,
        np.array([serials[stream] for stream in question.streams.tolist()], np.int64),
        np.array([times.get(symbol, 0) for symbol in question.symbols], np.int64),
    )
    driver.after(driver.one_way() / SECOND, lambda: driver.when_free(lambda: driver.handle(told)))
