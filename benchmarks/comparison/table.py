"""Results as a table for people and as JSON for machines."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rich.console import Console
from rich.table import Table

from .measure import Effort, Result, Target

__all__ = ["as_json", "machine", "print_table", "target_text", "value_text"]

PACKAGES = (
    "subcore", "numpy", "picows", "orjson", "msgspec", "aiohttp", "websockets", "cryptofeed", "ccxt", "Cython",
)  # fmt: skip


def value_text(value: float, unit: str) -> str:
    """`312 ns`, `4.1 us`, `2.6 ms`, `7.0 B`."""
    if unit != "ns":
        return f"{value:.1f} {unit}"
    for factor, name in ((1e6, "ms"), (1e4, "us")):
        if value >= factor:
            return f"{value / (1e6 if name == 'ms' else 1e3):.1f} {name}"
    return f"{value:.1f} ns" if value < 100 else f"{value:.0f} ns"


def target_text(target: Target | None, unit: str) -> str:
    """`at most 0.30x`, `at most 6000 ns`, `at most +60 ns`."""
    if target is None:
        return ""
    if target.of == "ratio":
        limit = target.limit
        return f"≤ {limit:.2f}x" if limit > 0.1 else f"≤ {limit:.3f}x"
    sign = "+" if target.of == "excess" else ""
    return f"≤ {sign}{value_text(target.limit, unit)}"


def verdict(result: Result) -> str:
    """Met, not met, or nothing promised; a `?` where the reference never held still."""
    said = "" if result.met is None else "met" if result.met else "NOT MET"
    return said + (" ?" if result.noisy else "")


def print_table(results: Iterable[Result], skipped: Iterable[str], file: Any = None) -> None:
    """One row a comparison, grouped by contest."""
    console = Console(file=file or sys.stdout, width=None if sys.stdout.isatty() else 150)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what", min_width=44)
    for heading in ("ours", "reference", "ratio", "target"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    contest = ""
    for result in results:
        if result.contest != contest:
            contest = result.contest
            table.add_section()
            table.add_row(f"[bold]{contest}[/bold]")
        ratio = f"{result.ratio:.3f}x" if result.ratio < 10 else f"{result.ratio:.0f}x"
        style = "red" if result.met is False else None
        table.add_row(
            f"  {result.what}", value_text(result.ours, result.unit), value_text(result.reference, result.unit),
            ratio, target_text(result.target, result.unit), verdict(result), style=style,
        )  # fmt: skip
    console.print(table)
    for reason in skipped:
        console.print(f"skipped: {reason}", markup=False, highlight=False)


def machine() -> dict[str, Any]:
    """Where it ran, without anything that names the machine."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def as_json(
    results: Iterable[Result], skipped: Iterable[str], effort: Effort, seconds: float
) -> dict[str, Any]:
    """Everything the table says, and every sample."""
    return {
        "machine": machine(),
        "rounds": effort.rounds,
        "seconds": round(seconds, 1),
        "skipped": list(skipped),
        "rows": [_row(result) for result in results],
    }


def _row(result: Result) -> dict[str, Any]:
    return {
        "contest": result.contest,
        "what": result.what,
        "ours": {"name": result.ours_name, "value": result.ours},
        "reference": {"name": result.reference_name, "value": result.reference, "spread": result.spread},
        "unit": result.unit,
        "ratio": result.ratio,
        "target": result.target and {"of": result.target.of, "limit": result.target.limit},
        "target_text": target_text(result.target, result.unit),
        "met": result.met,
        "noisy": result.noisy,
        "attempts": result.attempts,
        "samples": result.samples,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or "unknown"
