"""Sliding logs and rules, against lists of what left and arrived, looked through anew for each question."""

from __future__ import annotations

import random

import pytest

from subcore._windows import Rule, SendLog, next_allowed, note

UNDER_WAY = 30


class Plain:
    """All sends there ever were."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.arrived: list[int] = []
        self.told = 0  # the first that no answer told of

    def append(self, now: int) -> None:
        self.sent.append(now)
        self.arrived.append(now + UNDER_WAY)

    def settle(self, sent_at: int, now: int) -> None:
        """Each answer tells of one more of those that left at its moment."""
        end = max(self.told, sum(sent < sent_at for sent in self.sent))
        end += end < len(self.sent) and self.sent[end] == sent_at
        for i in range(self.told, end):
            self.arrived[i] = min(self.arrived[i], now)
        self.told = end

    def used(self, windows: list[tuple[int, int, int, int]], now: int) -> list[int]:
        return [
            sum(
                sent + planned > now or arrived + wire > now
                for sent, arrived in zip(self.sent, self.arrived, strict=True)
            )
            for _, _, wire, planned in windows
        ]

    def allows(self, windows: list[tuple[int, int, int, int]], gap: int, repair: bool, now: int) -> bool:
        room = all(
            used < (amount if repair else usable)
            for used, (amount, usable, _, _) in zip(self.used(windows, now), windows, strict=True)
        )
        return room and (not self.sent or now >= self.sent[-1] + gap)


@pytest.mark.parametrize("seed", range(40))
def test_the_next_send_goes_when_every_window_has_room_and_no_later(seed: int) -> None:
    chance = random.Random(seed)
    windows = [(4, chance.choice((3, 4)), 50, 60), (9, 7, 300, 330)][: chance.choice((1, 2))]
    gap, log, plain, now = chance.choice((0, 7)), SendLog(UNDER_WAY), Plain(), 0
    rule = Rule(windows, gap=gap, burst=0, calm=0)
    log.reserve(rule.amount)
    uses = [(rule, log, False)]
    for _ in range(200):
        now += chance.choice((0, 0, 1, 20, 100))
        repair = chance.random() < 0.3
        if plain.sent and chance.random() < 0.3:
            sent_at = chance.choice(plain.sent[-5:])
            log.settle(sent_at, now)
            plain.settle(sent_at, now)
        when = next_allowed(uses, False, now, repair)
        assert plain.allows(windows, gap, repair, when)
        assert when == now or not plain.allows(windows, gap, repair, when - 1)
        assert rule.used(log, when) == plain.used(windows, when)
        if chance.random() < 0.8:
            now = when
            note(uses, now)
            plain.append(now)
        if chance.random() < 0.02:
            log.clear()
            plain = Plain()
        assert len(log) <= 2 * rule.amount
        assert len(log) >= min(len(plain.sent), rule.amount)


def test_a_use_that_counts_only_while_narrowed_is_noted_always() -> None:
    rule, log = Rule([(1, 1, 50, 60)], gap=0, burst=0, calm=0), SendLog(UNDER_WAY)
    uses = [(rule, log, True)]
    note(uses, 10)
    assert len(log) == 1
    assert next_allowed(uses, False, 20, False) == 20
    assert next_allowed(uses, True, 20, False) == 10 + UNDER_WAY + 50


@pytest.mark.parametrize(
    "windows", [[], [(1, 1, 1, 1)] * 9, [(1, 0, 1, 1)], [(1, 2, 1, 1)], [(1, 1, 0, 1)], [(1, 1, 1, 0)]]
)
def test_what_is_no_rule_is_refused(windows: list[tuple[int, int, int, int]]) -> None:
    with pytest.raises(ValueError, match="window"):
        Rule(windows, gap=0, burst=0, calm=0)


def test_what_is_no_use_is_refused() -> None:
    rule, log = Rule([(1, 1, 1, 1)], gap=0, burst=0, calm=0), SendLog(UNDER_WAY)
    for uses in ([(rule, None, False)], [(None, log, False)]):
        with pytest.raises(TypeError):
            next_allowed(uses, False, 0, False)
    with pytest.raises(TypeError):
        note([(rule, rule, False)], 0)
    assert not len(log)


def test_numbers_that_no_table_could_hold_are_refused() -> None:
    log = SendLog(5)
    with pytest.raises(MemoryError, match="at most 1048576"):
        log.reserve(2**60)
    assert len(log) == 0
    with pytest.raises(ValueError, match="burst"):
        Rule([(5, 5, 10, 10)], gap=1, burst=-(10**9), calm=1)


def test_windows_that_lie_about_their_number() -> None:
    class Many(list[tuple[int, int, int, int]]):
        def __len__(self) -> int:
            return 1

    with pytest.raises(ValueError, match="windows, not 5000"):
        Rule(Many([(5, 5, 10, 10)] * 5000), gap=1, burst=0, calm=1)


def test_rules_that_share_a_log_are_each_kept() -> None:
    """How evenly to send was worked out for the rule asked first, and held to be the other's too."""
    second = 10**9
    rules = [
        Rule([(10, 10, second, second)], gap=0, burst=2, calm=1000),
        Rule([(60, 60, 60 * second, 60 * second)], gap=0, burst=2, calm=1000),
    ]

    def asked(*chosen: Rule) -> int:
        log = SendLog(0)
        log.reserve(60)
        for now in range(5):
            note([(rules[0], log, False)], now)
        return next_allowed([(rule, log, False) for rule in chosen], False, 10, False)

    fast, slow = (asked(rule) for rule in rules)
    assert fast < slow
    assert asked(*rules) == asked(*reversed(rules)) == slow


def test_a_send_is_once_in_a_log_that_rules_share() -> None:
    first, second = (Rule([(4, 4, 50, 60)], gap=0, burst=0, calm=0) for _ in range(2))
    log, own = SendLog(UNDER_WAY), SendLog(UNDER_WAY)
    log.reserve(4)
    note([(first, log, False), (second, log, False), (first, own, False)], 10)
    assert (len(log), len(own)) == (1, 1)
