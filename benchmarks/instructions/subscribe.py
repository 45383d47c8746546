"""Instructions of one more component of 200 interests: by ids in the ledger, by names through the calls."""

from __future__ import annotations

import gc
import itertools

import numpy as np

import subcore
from subcore._ledger import Ledger

INTERESTS = 200
SYMBOLS = 500
COMPONENTS = 20


def choices(count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.choice(SYMBOLS, INTERESTS, replace=False).astype(np.int32) for _ in range(count)]


def filled_ledger() -> tuple[Ledger, list[np.ndarray]]:
    """A ledger in use with its edges taken, and the topics of components that are yet to come."""
    ledger = Ledger(seed=1)
    topics = ledger.topics(0, np.arange(SYMBOLS, dtype=np.int32))
    for chosen in choices(COMPONENTS, seed=1):
        ledger.add(ledger.open_component(), topics[chosen])
    ledger.take_edges()
    return ledger, [topics[chosen] for chosen in choices(8, seed=2)]


def bench_ledger_add(n: int = 200) -> None:
    """A unit is one component opened with its 200 interests, and the edges taken. It stays."""
    ledger, coming = filled_ledger()
    for ids in itertools.islice(itertools.cycle(coming), n):
        ledger.add(ledger.open_component(), ids)
        ledger.take_edges()


def bench_ledger_add_remove(n: int = 200) -> None:
    """A unit is 200 interests of one component added and removed again, and the edges of each taken."""
    ledger, coming = filled_ledger()
    component = ledger.open_component()
    for ids in itertools.islice(itertools.cycle(coming), n):
        ledger.add(component, ids)
        ledger.take_edges()
        ledger.remove(component, ids)
        ledger.take_edges()


def ignore(event: object) -> None:
    """A handler that does nothing."""


def filled_manager() -> tuple[subcore.SubscriptionManager, list[list[str]]]:
    """A manager that is not started, with components, and the names that others will ask for."""
    gc.disable()
    manager = subcore.SubscriptionManager("upbit", url="ws://127.0.0.1:9", markets=None, seed=1)
    for number, chosen in enumerate(choices(COMPONENTS, seed=1)):
        manager.component(f"component {number}").subscribe("ticker", names_of(chosen), ignore)
    return manager, [names_of(chosen) for chosen in choices(8, seed=2)]


def names_of(symbols: np.ndarray) -> list[str]:
    return [f"KRW-{number:05d}" for number in symbols.tolist()]


def bench_by_names(n: int = 100) -> None:
    """A unit is one component registered, and 200 names subscribed with a handler. It stays."""
    manager, coming = filled_manager()
    for number, names in enumerate(itertools.islice(itertools.cycle(coming), n)):
        manager.component(f"joiner {number}").subscribe("ticker", names, ignore)


def bench_by_names_again(n: int = 100) -> None:
    """A unit is 200 names asked for by who has them already: nothing changes."""
    manager, coming = filled_manager()
    component = manager.component("joiner")
    component.subscribe("ticker", coming[0], ignore)
    for _ in range(n):
        component.subscribe("ticker", coming[0], ignore)


def bench_by_names_leaving(n: int = 100) -> None:
    """A unit is one component registered, 200 names subscribed, and the component closed."""
    manager, coming = filled_manager()
    for names in itertools.islice(itertools.cycle(coming), n):
        component = manager.component("joiner")
        component.subscribe("ticker", names, ignore)
        component.close()
