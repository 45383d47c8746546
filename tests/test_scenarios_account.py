"""What a manager's messages were worth, against cases made by hand."""

from __future__ import annotations

import pytest

from subcore.engine.clock import SECOND
from subcore.scenarios.account import Account, Key, efficiency

A, B, C = ("ticker", "KRW-A"), ("ticker", "KRW-B"), ("trade", "KRW-A")


def sets(*keys: Key) -> dict[int, set[Key]]:
    return {1: set(keys)}


def test_two_additions_of_one_turn_are_worth_one_message() -> None:
    account = Account(0, {A}, sets(A))
    account.turn([(B, True), (C, True)], 10 * SECOND)
    account.message(10 * SECOND, within_limits=True)
    account.message(10 * SECOND, within_limits=True)
    account.carries(sets(A, B, C), 10 * SECOND)
    account.until(20 * SECOND)
    assert account.optimum.messages == 1
    assert efficiency([account]) == 0.5  # one of two messages, and nothing more on the wire than is wanted


def test_what_is_on_the_wire_and_not_wanted_costs_its_time() -> None:
    account = Account(0, {A, B}, sets(A, B))
    account.turn([(B, False)], 10 * SECOND)
    account.message(12 * SECOND, within_limits=True)  # a removal at most 2 s later
    account.carries(sets(A), 12 * SECOND)
    account.until(30 * SECOND)
    assert account.optimum.messages == 1
    assert (account.wanted_ns, account.wire_ns) == (40 * SECOND, 42 * SECOND)
    assert efficiency([account]) == pytest.approx(40 / 42)


def test_fewer_messages_than_the_least_and_less_than_is_wanted_count_as_one() -> None:
    account = Account(0, {A}, sets(A))
    account.turn([(B, True)], 1 * SECOND)
    account.until(5 * SECOND)
    assert account.optimum.messages == 1
    assert efficiency([account]) == 1.0
    assert account.served_ns == 5 * SECOND
    assert account.wanted_ns == 9 * SECOND


def test_each_connection_counts_on_the_wire() -> None:
    account = Account(0, {A}, {1: {A}, 2: {A}})
    account.until(8 * SECOND)
    assert efficiency([account]) == 0.5


def test_a_change_that_is_cancelled_in_its_turn_is_worth_nothing() -> None:
    account = Account(0, {A}, sets(A))
    account.turn([(B, True), (B, False)], SECOND)
    account.until(9 * SECOND)
    assert account.optimum.messages == 0


def test_what_comes_back_before_its_removal_is_due_is_worth_nothing() -> None:
    account = Account(0, {A, B}, sets(A, B))
    account.turn([(B, False)], 10 * SECOND)
    account.turn([(B, True)], 11 * SECOND)
    account.until(20 * SECOND)
    assert account.optimum.messages == 0
    assert account.busy_ns == 0


def test_the_ideal_waits_for_the_windows_too() -> None:
    """Six additions within half a second: five go at once, the sixth when a second has passed since the first."""
    account = Account(0)
    for number in range(6):
        account.turn([(("ticker", f"KRW-{number}"), True)], 10 * SECOND + number * SECOND // 10)
    account.until(10 * SECOND + SECOND - 1)
    assert account.optimum.messages == 5
    account.until(11 * SECOND)
    assert account.optimum.messages == 6


def test_the_use_of_the_limit_counts_only_time_in_which_work_waited() -> None:
    account = Account(0, {A}, sets(A))
    account.until(60 * SECOND)  # nothing waits
    account.turn([(B, True)], 60 * SECOND)
    for number in range(10):
        account.message((61 + number) * SECOND, within_limits=number < 5)
    account.carries(sets(A, B), 72 * SECOND)
    account.until(100 * SECOND)
    assert account.busy_ns == 12 * SECOND
    assert account.rate_use == pytest.approx(5 / (12 * 100 / 60))  # those over a limit do not count


def test_a_removal_waits_only_once_it_is_overdue() -> None:
    account = Account(0, {A, B}, sets(A, B))
    account.turn([(B, False)], 10 * SECOND)
    account.until(15 * SECOND)
    account.carries(sets(A), 15 * SECOND)
    account.until(20 * SECOND)
    assert account.busy_ns == 3 * SECOND


def test_accounts_add_up() -> None:
    two = []
    for sent in (1, 3):
        account = Account(0, {A}, sets(A))
        account.turn([(B, True)], SECOND)
        account.carries(sets(A, B), SECOND)
        for _ in range(sent):
            account.message(SECOND, within_limits=True)
        two.append(account)
    assert efficiency(two) == 2 / 4
