"""The loops of the control plane over random columns, to be run under a sanitizer: --count N.

Columns and ids are numpy's own blocks, exactly as long as they must be: one row too far is out of bounds. What comes of
each loop is compared with the plain way.
"""

from __future__ import annotations

import argparse
import random

import numpy as np

from subcore import _columns, _states
from subcore._encode import Names, in_parts, join_quoted
from subcore._holdings import holdings
from subcore._intern import Interner
from subcore._ledger import Ledger
from subcore._leg_table import KINDS
from subcore._legs import LegColumns
from subcore._siblings import circles
from subcore._windows import Rule, SendLog, next_allowed, note

ROOM = 37  # streams
NOBODY = -1


def some(chance: random.Random) -> np.ndarray:
    """Distinct ids, the last one of the columns often among them."""
    ids = chance.sample(range(ROOM), chance.randrange(ROOM + 1))
    return np.array(ids, np.int32)


def states(chance: random.Random) -> None:
    table = np.array([[1, 254], [255, 2], [254, 255]], np.uint8)
    values = np.array([chance.randrange(3) for _ in range(ROOM)], np.uint8)
    since, counts, streams = np.zeros(ROOM, np.int64), np.zeros((3, 2), np.int64), some(chance)
    event, before = chance.randrange(2), values.copy()
    moved, valid, late = _states.step(table, event, 254, 255, values, since, counts, streams, 5)
    follows = table[before[streams], event]
    assert moved.tolist() == streams[follows < 254].tolist()
    assert valid.tolist() == streams[follows != 255].tolist()
    assert late == np.count_nonzero(follows == 255)
    doubted, recovered = _states.turn(np.array([[1], [2], [1]], np.uint8), 0, 2, 1, values, streams)
    assert len(doubted) + len(recovered) <= len(streams)
    chosen = _states.chosen(values, streams, 1)
    assert _states.without(streams, streams, chosen).tolist() == streams[values[streams] != 1].tolist()
    yes, no = _states.split(values, streams)
    assert len(yes) + len(no) == len(streams)
    rows = _states.places(np.arange(ROOM, dtype=np.int32) - 3, streams)
    assert len(_states.unset(since, rows[rows < ROOM])) <= len(rows)
    _states.stamp(since, np.arange(ROOM, dtype=np.int32) - 3, streams, 6)
    assert np.count_nonzero(since == 6) <= len(streams)
    _states.fill(values, streams, 0)
    assert not values[streams].any()


def legs(chance: random.Random) -> None:
    columns = LegColumns()
    blocks = {name: np.zeros(2 * ROOM, kind) for name, kind in KINDS.items()}
    blocks["link"][:] = [
        chance.choice((NOBODY, 0, 1)) if row % 2 == 0 else chance.choice((NOBODY, 2))
        for row in range(2 * ROOM)
    ]
    blocks["width"][:] = [chance.choice((NOBODY, 0, 5)) for _ in range(2 * ROOM)]
    columns.take(blocks)
    for _ in range(4):
        streams, link = some(chance), chance.randrange(3)
        there, rows = columns.on(link, streams)
        assert (columns.link[rows] == link).all()
        assert columns.rows(link, there).tolist() == rows.tolist()
        assert sum(len(part) for _, part in columns.by_link(streams)) == sum(
            int(np.count_nonzero(columns.link[2 * streams + place] != NOBODY)) for place in (0, 1)
        )
        for whole in (
            columns.carried(streams),
            columns.were_carried(streams),
            columns.late(link, streams, 1),
        ):
            assert sorted(np.concatenate(whole).tolist()) == sorted(streams.tolist())
        flags = (columns.home, columns.has_other, columns.on_wire, columns.last_left, columns.in_force)
        assert all(len(read(streams)) == len(streams) for read in flags)
        assert (
            len(columns.other_link(link, streams))
            == len(columns.turned_since(link, streams, 1))
            == len(streams)
        )
        columns.put_asked(link, streams, 4)
        columns.put_in_force(link, streams, np.full(len(streams), 3, np.int32))
        columns.turn(link, streams, 9)
        assert columns.first_turned(link, streams, 99) == (9 if len(there) else 99)
        assert columns.heard(link, streams, 4, 1)[0].tolist() == there.tolist()
        assert not len(columns.mute(link, streams, 4))
        assert not len(columns.pending(link, streams, 1))
        columns.put_left(link, streams, 7)
        columns.put_off(link, streams)
        columns.put_evidence(streams, 1)
        taken = columns.settle_free(link, streams)
        assert len(columns.on(link, streams)[0]) == len(streams) - len(taken)
        assert len(columns.doubled(streams)) <= len(streams)


def requests(chance: random.Random) -> None:
    rows = chance.randrange(30)
    channels = np.array([chance.randrange(3) for _ in range(rows)], np.int32)
    steps = np.array([chance.choice((0.0, 0.5)) for _ in range(rows)])
    classes = np.array([chance.randrange(-1, 4) for _ in range(rows)], np.int32)
    flags = (
        np.array([chance.random() < 0.5 for _ in range(rows)], np.bool_) if chance.random() < 0.5 else None
    )
    parts = [part for part, *_ in in_parts(channels, steps, classes, flags)]
    assert sorted(np.concatenate([np.empty(0, np.int64), *parts]).tolist()) == list(range(rows))
    interner = Interner()
    texts = [f"{number}".rjust(chance.choice((3, 22, 23, 60)), "x") for number in range(rows)]
    names = Names(interner, interner.intern_many(texts))
    for part in parts:
        assert (
            join_quoted(names, part, b".5") == ",".join(f'"{texts[row]}.5"' for row in part.tolist()).encode()
        )


def windows(chance: random.Random) -> None:
    rule = Rule(
        [(4, 3, 50, 60), (9, 7, 300, 330)], gap=chance.choice((0, 5)), burst=chance.randrange(4), calm=3
    )
    log, now = SendLog(30), 0
    uses = [(rule, log, False)]
    log.reserve(rule.amount)
    for _ in range(60):
        now = next_allowed(uses, False, now + chance.randrange(60), chance.random() < 0.3)
        assert all(used < amount for used, amount in zip(rule.used(log, now), (4, 9), strict=True))
        note(uses, now)
        log.settle(now - chance.randrange(100), now)
    assert 9 <= len(log) <= 18


def siblings(chance: random.Random) -> None:
    keys = np.array(
        [chance.randrange(9) << chance.choice((0, 28)) for _ in range(chance.randrange(40))], np.uint32
    )
    symbols, places = circles(keys, 3)
    for stream, key in enumerate(keys.tolist()):
        there = [place for place in places[:, stream].tolist() if place < len(keys)]
        assert len(there) == min(3, np.count_nonzero(keys == key) - 1)
        assert (symbols[there] == symbols[stream]).all()


def held(chance: random.Random) -> None:
    ledger, interner = Ledger(), Interner()
    symbols = interner.intern_many([f"S{number}" for number in range(20)])
    topics = np.concatenate([ledger.topics(channel, symbols) for channel in range(2)])
    members = {ledger.open_component(): None for _ in range(3)}
    for member in members:
        picked = topics[chance.sample(range(len(topics)), chance.randrange(len(topics)))]
        ledger.add(member, picked, chance.randrange(4))
    owners, rows, interests, names = holdings(ledger, interner, members)
    assert [len(ledger.interests(owner)) for owner, _ in owners] == rows[0].tolist()
    assert interests.shape == (7, len(ledger))
    assert [names[symbol] for symbol in interests[4].tolist()] == [
        interner.text(s) for s in interests[4].tolist()
    ]
    streams = _columns.live_streams(ledger)
    *_, classes, _ = _columns.wanted_columns(ledger, streams)
    assert classes.tolist() == [ledger.class_of(stream) for stream in streams.tolist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    count = max(parser.parse_args().count // 50, 1)
    chance = random.Random(1)
    for _ in range(count):
        for play in (states, legs, windows, siblings, requests, held):
            play(chance)
    print(f"control_columns: {count} rounds of each loop agree with the plain way")


if __name__ == "__main__":
    main()
