"""The alert engine against an oracle that reads the whole history anew at each look, and its limits one by one."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from conftest import ROOT
from subcore.engine.alert_rules import HARM, REMEDIES, UNITS
from subcore.engine.alerts import Alert, AlertRule, AlertRules, Alerts, Issue, Reading, Severity
from subcore.engine.clock import SECOND
from subcore.errors import UsageError
from subcore.figures import as_json

OFF = AlertRules(**{name: None for name, _ in AlertRules().items()}, again=0.0, a_minute=1_000_000)
OFFSET = 1_790_000_000 * SECOND


def only(**rules: AlertRule) -> AlertRules:
    return replace(OFF, **rules)


def reading(value: float, subject: str = "a") -> Reading:
    return Reading(subject, "component", subject, value, f"It is {value}.")


class Play:
    """Looks once a second."""

    def __init__(self, rules: AlertRules, rule: str = "latency") -> None:
        self.alerts = Alerts(rules)
        self.rule = rule
        self.second = 0
        self.told: list[tuple[int, bool, str]] = []

    def look(self, *readings: Reading, seconds: int = 1) -> list[Alert]:
        self.second += seconds
        told = self.alerts.look(self.second * SECOND, OFFSET, {self.rule: list(readings)})
        self.told += [(self.second, alert.raised, alert.issue.subject) for alert in told]
        return told

    def values(self, *values: float) -> None:
        for value in values:
            self.look(reading(value))

    @property
    def standing(self) -> list[str]:
        return [issue.subject for issue in self.alerts.issues(OFFSET)]


def oracle(values: list[float], rule: AlertRule) -> list[bool]:
    """Whether it stands at each second: from the whole history each time."""
    over: list[bool] = []
    for place in range(len(values)):
        deciding = [v for v in values[: place + 1] if v > rule.above or v <= rule.below]
        over.append(bool(deciding) and deciding[-1] > rule.above)
    stands = []
    for place in range(len(values)):
        stand = False
        for at in range(place + 1):
            run = 0
            while run <= at and over[at - run] == over[at]:
                run += 1
            if over[at] and run - 1 >= rule.lasting:
                stand = True
            elif not over[at] and run - 1 >= rule.calm:
                stand = False
        stands.append(stand)
    return stands


@pytest.mark.parametrize("seed", range(30))
def test_what_stands_is_what_the_whole_history_says(seed: int) -> None:
    rng = random.Random(seed)
    rule = AlertRule(above=5.0, below=3.0, lasting=rng.randrange(5), calm=rng.randrange(7))
    values, level = [], 4.0
    for _ in range(80):
        level = rng.choice([level + rng.gauss(0, 1.0), rng.uniform(0, 8)])
        values.append(level)
    play, expected = Play(only(latency=rule)), oracle(values, rule)
    for value, stands in zip(values, expected, strict=True):
        play.look(reading(value))
        assert bool(play.standing) == stands, f"seed {seed}, second {play.second}"
    edges = [now for before, now in zip([False, *expected], expected, strict=False) if now != before]
    assert [raised for _, raised, _ in play.told] == edges, "each edge is told once"
    assert sum(expected) > 0 or rule.lasting > 2


def test_a_value_that_swings_about_a_threshold_raises_once() -> None:
    play = Play(only(latency=AlertRule(above=1.0, below=0.5, lasting=3.0, calm=5.0)))
    play.values(*([0.9, 1.1] * 300))
    assert [raised for _, raised, _ in play.told] == [True]
    play.values(*([0.6, 0.4] * 300))  # below `below` again and again, and never over `above`
    assert [raised for _, raised, _ in play.told] == [True, False]
    play.values(*([0.9, 0.4] * 300))
    assert len(play.told) == 2


def test_a_stall_counts_as_two_seconds() -> None:
    play = Play(only(latency=AlertRule(above=1.0, below=1.0, lasting=10.0)))
    play.look(reading(2.0))
    play.look(reading(2.0), seconds=3600)  # the machine slept
    assert play.standing == []
    for _ in range(8):
        play.look(reading(2.0))
    assert play.standing == ["a"]


def test_it_is_told_at_most_once_in_a_while_and_then_if_it_still_stands() -> None:
    rules = replace(only(latency=AlertRule(above=1.0, below=1.0)), again=60.0)
    play = Play(rules)
    for _ in range(20):
        play.values(2.0, 0.0)  # up and down
    assert play.told == [(1, True, "a"), (2, False, "a")]
    play.values(*[2.0] * 19)
    assert play.standing == ["a"]
    assert len(play.told) == 2, "it stands, and was told of 60 s ago at 61"
    play.values(2.0, 2.0)
    assert play.told[2:] == [(61, True, "a")]
    play.values(0.0)
    assert play.told[3:] == [(62, False, "a")]


def test_who_made_room_in_between_is_told_of_no_sooner() -> None:
    rules = replace(only(budget=AlertRule(above=0.8, below=0.6)), again=60.0)
    play = Play(rules, "budget")
    names = [f"{place:02}" for place in range(32)]

    def turns(count: int) -> list[str]:
        """Each half is full in turn, and makes room for the other. Who was told of so far."""
        for turn in range(count):
            half = {0: names[:16], 2: names[16:]}.get(turn % 4, [])
            play.look(*[reading(0.9 if name in half else 0.1, name) for name in names])
        return sorted(subject for _, raised, subject in play.told if raised)

    assert turns(56) == names, "each is told of once"
    assert turns(12) == sorted(names * 2)
    assert len(play.alerts._told_at) == 32
    for _ in range(61):
        play.look()
    assert play.alerts._told_at == {}, "what is long ago is not kept"


def test_so_many_a_minute_are_told_the_most_harmful_first() -> None:
    rules = replace(only(latency=AlertRule(above=1.0, below=1.0, grave=50.0)), a_minute=3)
    play = Play(rules)
    readings = [reading(float(place), f"{place:02}") for place in range(2, 12)] + [reading(99.0, "worst")]
    for _ in range(59):
        play.look(*readings)
    assert play.told == [(1, True, "worst"), (1, True, "11"), (1, True, "10")]
    assert len(play.standing) == 11, "what stands is all the same said by issues()"
    for _ in range(3):
        play.look(*readings)
    assert play.told[3:] == [(61, True, "09"), (61, True, "08"), (61, True, "07")]
    play.look()
    assert sorted(subject for second, raised, subject in play.told if not raised) == sorted(
        subject for _, raised, subject in play.told if raised
    ), "who was told of one is told of its end, and nobody else"


def test_sixteen_subjects_are_named_the_worst_and_the_others_counted() -> None:
    play = Play(only(queue_age=AlertRule(above=1.0, below=1.0)), "queue_age")
    readings = [reading(2.0 + place, f"{place:03}") for place in range(100)]
    play.look(*readings)
    issues = play.alerts.issues(OFFSET)
    assert [issue.subject for issue in issues] == [f"{place:03}" for place in range(99, 83, -1)]
    assert {issue.others for issue in issues} == {84}
    assert "84 others" in str(issues[0])
    for _ in range(3):
        play.look(*readings[:50])  # the worst are over, and others have their places
    assert set(play.standing) <= {f"{place:03}" for place in range(50)}
    assert len(play.standing) == 16


def test_what_is_critical_has_places_besides() -> None:
    play = Play(only(queue_age=AlertRule(above=1.0, below=1.0, grave=10.0)), "queue_age")
    first = [reading(5.0, f"{place:03}") for place in range(16)]
    later = [reading(20.0 + place, f"{place:03}") for place in range(100, 120)]
    play.look(*first, reading(4.0, "less"))
    play.look(*first, reading(4.0, "less"), *later)
    issues = play.alerts.issues(OFFSET)
    assert [issue.subject for issue in issues[:16]] == [f"{place:03}" for place in range(119, 103, -1)]
    assert {issue.severity for issue in issues[:16]} == {Severity.CRITICAL}
    assert {issue.others for issue in issues} == {1 + 4}
    assert all(raised for _, raised, _ in play.told), "who was named is not over"
    play.look(*first, reading(4.0, "less"))
    assert sorted(play.standing) == [f"{place:03}" for place in range(16)]


def test_who_is_quiet_makes_room_for_who_is_not() -> None:
    play = Play(only(budget=AlertRule(above=0.8, below=0.6)), "budget")
    quiet = [reading(0.1, f"link {place}") for place in range(16)]
    play.look(*quiet)
    play.look(*quiet, reading(0.9, "full"))
    assert play.standing == ["full"]


def test_a_subject_that_is_gone_is_over_and_a_rule_that_is_not_looked_at_stays() -> None:
    rule = AlertRule(above=1.0, below=1.0)
    play = Play(only(queue_age=rule, latency=rule), "queue_age")
    play.look(reading(5.0))
    play.alerts.look(2 * SECOND, OFFSET, {"latency": []})
    assert play.standing == ["a"]
    play.look()
    assert play.standing == []
    assert play.told == [(1, True, "a"), (2, False, "a")]


def test_a_subject_that_is_forgotten_is_over_at_once_and_begins_anew() -> None:
    play = Play(replace(only(queue_age=AlertRule(above=1.0, below=1.0, calm=10.0)), again=60.0), "queue_age")
    play.look(reading(5.0), reading(6.0, "b"))
    play.alerts.forget("queue_age", "a")
    play.alerts.forget("queue_age", "nobody")
    assert play.standing == ["b"]
    play.look(reading(7.0), reading(6.0, "b"))
    assert play.told[2:] == [(2, False, "a")]
    assert play.alerts.issues(OFFSET)[0].since_ns == OFFSET + 2 * SECOND
    play.alerts.forget("queue_age", "a")  # nobody was told of this one
    for _ in range(58):
        play.look(reading(6.0, "b"))
    play.look(reading(7.0), reading(6.0, "b"))
    assert play.told[3:] == [(61, True, "a")], "one of the same name is told of no sooner"


def test_the_most_harmful_comes_first() -> None:
    rule = AlertRule(above=1.0, below=1.0, grave=100.0)
    alerts = Alerts(only(loss=rule, latency=rule, budget=rule))
    alerts.look(
        SECOND,
        OFFSET,
        {
            "budget": [reading(101.0, "critical")],
            "latency": [reading(3.0, "less late"), reading(4.0, "later")],
            "loss": [reading(2.0, "lost")],
        },
    )
    issues = alerts.issues(OFFSET)
    assert [issue.subject for issue in issues] == ["critical", "lost", "later", "less late"]
    assert [issue.severity for issue in issues] == [Severity.CRITICAL, *[Severity.WARNING] * 3]


def test_an_issue_says_since_when_how_much_and_when_it_will_be_worse() -> None:
    rule = AlertRule(above=10.0, below=10.0, grave=1000.0)
    play = Play(only(queue_age=rule), "queue_age")
    for second in range(1, 301):
        play.look(reading(second * 1.0))
    issue = play.alerts.issues(OFFSET)[0]
    assert issue.since_ns == OFFSET + 11 * SECOND
    assert (issue.value, issue.threshold, issue.unit) == (300.0, 10.0, "s")
    assert issue.per_second == pytest.approx(1.0)
    assert issue.seconds_to_threshold == pytest.approx(700.0, rel=0.01)
    said = as_json(issue)
    assert said["severity"] == "WARNING"
    assert said["evidence"] == "It is 300.0."
    assert said["remedy"].endswith(".")
    assert set(said) == set(type(issue).__dataclass_fields__)


@pytest.mark.parametrize(
    "wrong",
    [
        {"above": 1.0, "below": 2.0},
        {"above": 1.0, "below": 0.0, "grave": 0.5},
        {"above": 1.0, "below": 0.0, "lasting": -1.0},
        {"above": float("nan"), "below": 0.0},
        {"above": "1", "below": 0.0},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="is no rule"):
        AlertRule(**wrong)


def test_rules_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="latency=3"):
        AlertRules(latency=3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="again"):
        AlertRules(again=-1.0)


PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def named(heading: str) -> list[str]:
    """What the first column of the table with this heading names."""
    table = PAGE.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])]


def test_every_rule_and_every_field_is_explained() -> None:
    assert named("rule") == list(HARM)
    assert named("field of `Issue`") == list(Issue.__dataclass_fields__)
    assert set(HARM) | {"again", "a_minute"} == set(AlertRules.__dataclass_fields__)
    assert set(UNITS) == set(REMEDIES) == set(HARM)
