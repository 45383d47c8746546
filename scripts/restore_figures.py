"""What came of the losses that `restore_losses` played, as plain values and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from faster import FASTER
from restore_kinds import KINDS, TroubledExchange

__all__ = ["Outcome", "show", "summary"]


@dataclass
class Outcome:
    """One loss: seconds from the fault until the manager, and until the exchange, had all of it again.

    `critical`: None where no CRITICAL stream was lost. `reported`: whether the manager's own reports tell of it; where
    none does, `all` is the exchange's word, `served`.
    """

    kind: str
    group: str
    calm: bool  # the one before was long ago
    critical: float | None
    all: float
    served: float
    refused: int
    reported: bool = True


def percentile(values: list[float], percent: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def figures(outcomes: list[Outcome]) -> dict[str, float]:
    """Real seconds."""
    found = {}
    for name in ("critical", "all", "served"):
        values = [seconds for outcome in outcomes if (seconds := getattr(outcome, name)) is not None]
        for percent in (50, 99):
            found[f"{name}_p{percent}"] = round(percentile(values, percent), 4)
    return found


def faults_of(played: set[str]) -> set[str]:
    """Kinds of fault that these kinds of loss are made of."""
    mine = [kind for kind in KINDS if kind.name in played]
    return {fault.kind for kind in mine for fault in (*kind.now, *kind.then, kind.door) if fault is not None}


def summary(
    clients: Sequence[Any], exchange: TroubledExchange, losses: int, seconds: float
) -> dict[str, Any]:
    """Everything as plain values."""
    outcomes = [outcome for client in clients for outcome in client.outcomes]
    kinds = dict.fromkeys(kind.name for kind in KINDS)
    return {
        "losses": len(outcomes),
        "asked": losses,
        "seconds": round(seconds, 1),
        "broken": [client.broken for client in clients if client.broken],
        "violations": [str(violation) for violation in list(exchange.violations)[:20]],
        "not_reported": sum(not outcome.reported for outcome in outcomes),
        "refused_by_name_and_back": sum(outcome.refused for outcome in outcomes),
        "groups": {
            f"{group}, {when}": {"losses": len(mine), **figures(mine)}
            for group in dict.fromkeys(kind.group for kind in KINDS)
            for calm, when in ((True, "after calm"), (False, "soon after another"))
            if (mine := [outcome for outcome in outcomes if (outcome.group, outcome.calm) == (group, calm)])
        },
        "all": figures(outcomes),
        "kinds": {
            kind: {"losses": len(mine), **figures(mine)}
            for kind in kinds
            if (mine := [outcome for outcome in outcomes if outcome.kind == kind])
        },
        "exchange_behind_ms": max(client.behind_ns for client in clients) // 1_000_000,
        "bites": dict(exchange.fault_counts),
        "never_bit": sorted(faults_of({outcome.kind for outcome in outcomes}) - set(exchange.fault_counts)),
    }


def show(told: dict[str, Any]) -> None:
    """A table; real time, and the venue's in brackets."""

    def row(name: str, losses: int, of: dict[str, float]) -> str:
        cells = (f"{of[key]:7.3f} ({of[key] * FASTER:5.1f})" for key in order)
        return f"{name:<34}{losses:>6}  " + "  ".join(cells)

    order = ("critical_p50", "critical_p99", "all_p50", "all_p99", "served_p50", "served_p99")
    print(f"{'seconds (of the venue)':<34}{'losses':>6}  " + "  ".join(f"{name:>15}" for name in order))
    for name, of in told["kinds"].items():
        print(row(name, of["losses"], of))
    for name, of in told["groups"].items():
        print(row(name, of["losses"], of))
    print(row("all", told["losses"], told["all"]))
    print(
        f"{told['losses']} of {told['asked']} losses in {told['seconds']:.0f} s, everything proven again after each; "
        f"losses of what other links held as well, which no report tells of: {told['not_reported']}; "
        f"{told['refused_by_name_and_back']} streams refused by name and back; "
        f"violations: {len(told['violations'])}"
    )
    print(
        f"the exchange was up to {told['exchange_behind_ms']} ms behind its clock; faults that bit: {told['bites']}"
    )
    for kind in told["never_bit"]:
        print(f"BROKEN: no connection ever met the fault {kind}: nothing was shown of it")
    for text in (*told["broken"], *told["violations"]):
        print(f"BROKEN: {text}")
