"""A file is the plan it states, its mistakes are told with their place, and `subcore plan` prints its forecast."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from plan_figures import COSTS, UPBIT
from subcore.cli import main as cli
from subcore.engine.forecast import Costs
from subcore.errors import UsageError
from subcore.planning.files import plan_from, read_plan
from subcore.planning.plans import PlannedInterests, Rate
from subcore.types import Priority

GOOD = """
venue = "upbit"
rtt_ms = 8
[rates]
ticker = 2.0
orderbook = { per_second = 3.0, bytes = 1800 }
[[component]]
name = "charts"
count = 3
priority = "low"
[[component.interests]]
channel = "ticker"
symbols = 25
[[component.interests]]
channel = "orderbook"
symbols = ["KRW-BTC"]
depth = 5
policy = "latest"
"""


def test_a_file_is_the_plan_it_states(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(GOOD, encoding="utf-8")
    found = read_plan(path)
    (component,) = found.components
    assert (component.name, component.count, component.priority) == ("charts", 3, Priority.LOW)
    assert component.interests[0].symbols == UPBIT[:25]
    assert component.interests[1] == PlannedInterests("orderbook", ("KRW-BTC",), 5, "latest")
    assert found.rate_of("orderbook", "KRW-BTC") == Rate(3.0, 1800.0)
    assert (found.rtt_ms, found.together_ms) == (8.0, 0.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("ticker = 2.0\n", ""), "no rate for ticker"),
        (('venue = "upbit"', 'venue = "mtgox"'), "no venue is called 'mtgox'"),
        (('venue = "upbit"', ""), "the plan: venue is missing"),
        (("count = 3", "count = 0"), "component 1 (charts): count must be at least 1"),
        (("count = 3", 'count = "3"'), "component 1 (charts): count must be a whole number"),
        (('priority = "low"', 'priority = "lowest"'), "priority is one of low, normal, high, critical"),
        (('channel = "ticker"', 'channel = "tickr"'), "no channel 'tickr'"),
        (("symbols = 25", "symbols = 25000"), "component 1 (charts), interests 1: symbols = 25000, but"),
        (("symbols = 25", "symbols = []"), "interests 1: symbols must be a list of texts, or a number"),
        (('["KRW-BTC"]', '["krw-btc"]'), "'krw-btc' is not how Upbit writes a market"),
        (("depth = 5", "depth = 7"), "no depth 7"),
        (('policy = "latest"', 'policy = "newest"'), "policy is one of callback"),
        (("per_second = 3.0", "per_secnd = 3.0"), "rates of orderbook has no 'per_secnd'"),
        (("rtt_ms = 8", "rtt_ms = -8"), "rtt_ms must be a number, 0 or more"),
        (("rtt_ms = 8", "rtt = 8"), "the plan has no 'rtt'; it has venue"),
        (("[rates]", "[rates"), "it is no TOML"),
    ],
)
def test_a_mistake_is_told_with_its_place(change: tuple[str, str], told: str, tmp_path: Path) -> None:
    assert change[0] in GOOD
    path = tmp_path / "plan.toml"
    path.write_text(GOOD.replace(*change, 1), encoding="utf-8")
    result = CliRunner().invoke(cli, ["plan", str(path)])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert told in result.output
    assert len(result.output.splitlines()) == 1


def test_no_file_and_no_components_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml: No such file"):
        read_plan(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="no \\[\\[component\\]\\]"):
        plan_from({"venue": "upbit"})


def test_a_calibration_that_fails_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Costs:
        raise TimeoutError

    monkeypatch.setattr("subcore.planning.prediction.calibrate", fail)
    path = tmp_path / "plan.toml"
    path.write_text(GOOD, encoding="utf-8")
    result = CliRunner().invoke(cli, ["plan", str(path)])
    assert result.exit_code == 1
    assert result.output == "Error: calibrating on this machine failed: TimeoutError; try again\n"


def test_the_command_prints_a_table_or_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subcore.planning.prediction.calibrate", lambda *_: COSTS)
    path = tmp_path / "plan.toml"
    path.write_text(GOOD, encoding="utf-8")
    table = CliRunner().invoke(cli, ["plan", str(path)])
    assert table.exit_code == 0, table.output
    assert "upbit: 3 components, 78 interests, 26 topics, 26 streams" in table.output
    assert "restore after all links are lost" in table.output
    said = json.loads(CliRunner().invoke(cli, ["plan", "--json", str(path)]).output)
    assert said["messages"] == {"value": 1, "low": 1, "high": 1}
    assert said["streams"] == 26
