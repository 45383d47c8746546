"""The interner against a plain dict: collisions, bounds, reuse with generations, memory."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from examples import examples
from model import InternerModel
from subcore._intern import MAX_TEXT_SIZE, Interner, exact_texts
from subcore.errors import CapacityError, SubcoreError
from traced import traced_bytes

# Few texts, so that they meet again; around every size at which storage or comparison changes; not all ASCII.
SHORT = [
    "",
    "A",
    "B",
    "AB",
    "BA",
    "ABC",
    "ABCD",
    "ABCE",
    "KRW-BTC",
    "KRW-BTD",
    "KRW-ETH",
    "\0",
    "\0\0",
    "KRW-BTC\0",
]
LONG = ["X" * n for n in (16, 17, 21, 22, 23, 24, 25, 254, 255)] + ["X" * 22 + "Y", "Y" + "X" * 22, "ab" * 12]
TEXTS = [*SHORT, *LONG, "가격", "비트코인" * 4, "é", "😀"]
texts = st.sampled_from(TEXTS) | st.text(max_size=3)


class InternerMachine(RuleBasedStateMachine):
    @initialize(
        capacity=st.integers(1, 24), seed=st.integers(0, 2**64 - 1), bits=st.sampled_from([0, 1, 2, 32])
    )
    def make(self, capacity: int, seed: int, bits: int) -> None:
        self.interner = Interner(capacity, seed=seed, hash_bits=bits)
        self.model = InternerModel(capacity)

    @rule(text=texts)
    def intern(self, text: str) -> None:
        if text in self.model.ids:
            assert self.interner.intern(text) == self.model.ids[text]
        elif not self.model.fits([text]):
            with pytest.raises(CapacityError):
                self.interner.intern(text)
        else:
            self.model.add(text, self.interner.intern(text))

    @rule(many=st.lists(texts, max_size=12))
    def intern_many(self, many: list[str]) -> None:
        if not self.model.fits(many):
            with pytest.raises(CapacityError):
                self.interner.intern_many(many)
            return
        ids = self.interner.intern_many(many)
        assert ids.dtype == np.int32
        assert len(ids) == len(many)
        for text, id in zip(many, ids.tolist(), strict=True):
            if text not in self.model.ids:
                self.model.add(text, id)
            assert self.model.ids[text] == id

    @rule(many=st.lists(texts, max_size=12))
    def get_many(self, many: list[str]) -> None:
        assert self.interner.get_many(many).tolist() == [self.model.ids.get(text, -1) for text in many]

    @rule(text=texts)
    def release(self, text: str) -> None:
        if text in self.model.ids:
            self.interner.release(self.model.release(text))

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "model"):
            return
        assert len(self.interner) == len(self.model.ids)
        for text in TEXTS:
            assert self.interner.get(text) == self.model.ids.get(text, -1)
            assert (text in self.interner) == (text in self.model.ids)
        for text, id in self.model.ids.items():
            assert self.interner.text(id) == text
            assert self.interner.generation(id) == self.model.released.get(id, 0)
            assert 0 <= id < self.model.capacity


InternerMachine.TestCase.settings = examples(60, stateful_step_count=40)
TestInternerAgainstDict = InternerMachine.TestCase


def test_ids_are_dense_and_freed_ids_come_back_with_a_new_generation() -> None:
    interner = Interner(4)
    assert [interner.intern(text) for text in ("a", "b", "c")] == [0, 1, 2]
    interner.release(1)
    assert interner.get("b") == -1
    assert interner.intern("d") == 1
    assert interner.generation(1) == 1
    assert interner.text(1) == "d"


@pytest.mark.parametrize("bits", [0, 1, 32])
def test_a_full_table_answers_unknown_texts(bits: int) -> None:
    interner = Interner(300, hash_bits=bits)
    interner.intern_many([f"T{n}" for n in range(300)])
    before = interner.nbytes
    assert interner.get_many([f"U{n}" for n in range(300)]).max() == -1
    with pytest.raises(CapacityError, match="interner is full: 1 new texts, 0 of 300"):
        interner.intern("U0")
    assert interner.nbytes == before
    assert interner.get_many([f"T{n}" for n in range(300)]).tolist() == list(range(300))


@pytest.mark.parametrize("bits", [0, 2, 3, 4, 5, 32])
def test_colliding_texts_survive_removal_in_any_order(bits: int) -> None:
    interner = Interner(64, hash_bits=bits)
    ids = {text: interner.intern(text) for text in (f"T{n}" for n in range(64))}
    for text in [f"T{n * 37 % 64}" for n in range(64)]:
        interner.release(ids.pop(text))
        assert interner.get(text) == -1
        assert all(interner.get(kept) == id for kept, id in ids.items())


def test_intern_many_is_all_or_nothing() -> None:
    interner = Interner(3)
    interner.intern("a")
    before = interner.nbytes
    with pytest.raises(CapacityError):
        interner.intern_many(["a", "b", "c", "d"])
    with pytest.raises(UnicodeEncodeError):
        interner.intern_many(["b", "\ud800"])
    with pytest.raises(ValueError, match="255 bytes of UTF-8"):
        interner.intern_many(["b", "x" * 256])
    with pytest.raises(TypeError, match="must be a str, not int"):
        interner.intern_many(["b", 7])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="not one str"):
        interner.intern_many("bc")
    assert len(interner) == 1
    assert interner.nbytes == before
    assert interner.intern_many(["b", "b", "c", "a"]).tolist() == [1, 1, 2, 0]


def test_bad_arguments_say_what_is_wrong() -> None:
    assert issubclass(CapacityError, SubcoreError)
    for capacity in (0, -1, 2**24 + 1):
        with pytest.raises(ValueError, match="capacity must be 1 to"):
            Interner(capacity)
    with pytest.raises(ValueError, match="hash_bits"):
        Interner(hash_bits=33)
    interner = Interner()
    assert interner.capacity == 65_536
    interner.intern("a")
    for id in (-1, 1, 2**31, 2**40):
        with pytest.raises(IndexError):
            interner.text(id)
        with pytest.raises(IndexError):
            interner.release(id)
        with pytest.raises(IndexError):
            interner.generation(id)
    interner.release(0)
    with pytest.raises(IndexError, match="has been released"):
        interner.release(0)
    with pytest.raises(TypeError):
        interner.get(b"a")  # type: ignore[arg-type]
    assert b"a" not in interner
    assert interner.get("x" * 256) == -1
    assert interner.get("\ud800") == -1


def test_a_str_subclass_counts_by_its_characters() -> None:
    class Odd(str):
        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> bool:
            return False

    interner = Interner()
    assert interner.intern_many([Odd("a"), Odd("a"), "a"]).tolist() == [0, 0, 0]
    assert type(interner.text(0)) is str


def test_growth_keeps_every_text_and_generation() -> None:
    interner = Interner(5_000, seed=3)
    interner.release(interner.intern("first"))
    names = [f"{'long-' * (n % 7)}{n}" for n in range(5_000)]
    for at in range(0, 5_000, 50):
        interner.intern_many(names[at : at + 50])
    assert interner.get_many(names).tolist() == list(range(5_000))
    assert interner.generation(0) == 1
    assert MAX_TEXT_SIZE == 255


def test_traced_memory_equals_nbytes_and_nothing_stays() -> None:
    names = [f"{'long-' * (n % 7)}{n}" for n in range(3_000)] + ["긴 이름 " * 5]
    [name.encode() for name in names]
    gc.collect()
    tracemalloc.start()
    try:
        empty = traced_bytes()
        interner = Interner(4_096)
        for name in names:
            interner.release(interner.intern(name))
            interner.intern(name)
        # Python's own small integers and frames come and go: a few hundred bytes are not ours.
        assert abs(traced_bytes() - empty - interner.nbytes) < 1_000
        for id in range(0, 3_000, 3):
            interner.release(id)
        assert abs(traced_bytes() - empty - interner.nbytes) < 1_000
        del interner
        assert traced_bytes() - empty < 1_000
    finally:
        tracemalloc.stop()


def test_churn_of_one_text_never_grows_anything() -> None:
    interner = Interner(64, hash_bits=2)
    interner.intern_many([f"T{n}" for n in range(7)])
    before = interner.nbytes
    for n in range(20_000):
        interner.release(interner.intern("churn" if n % 2 else "churn" * 10))
    assert interner.nbytes == before
    assert len(interner) == 7


def test_unknown_texts_are_checked_before_any_is_interned() -> None:
    interner = Interner()
    interner.intern_many(["KRW-BTC"])
    asked: list[str] = []

    def check(text: str) -> None:
        asked.append(text)
        if not text.startswith("KRW-"):
            raise ValueError(text)

    with pytest.raises(ValueError, match="btc"):
        interner.intern_many(["KRW-ETH", "KRW-BTC", "btc"], check)
    assert asked == ["KRW-ETH", "btc"]
    assert len(interner) == 1
    assert interner.intern_many(["KRW-ETH", "KRW-BTC", "KRW-ETH"], check).tolist() == [1, 0, 1]


def test_a_check_that_interns_is_no_reason_to_intern_twice() -> None:
    interner = Interner()
    assert interner.intern_many(["a", "b"], interner.intern).tolist() == [0, 1]
    assert len(interner) == 2


def test_exact_texts_are_strs_and_nothing_else() -> None:
    class Name(str):
        pass

    given = ("a", "b")
    assert exact_texts(given) is given
    exact = exact_texts(iter(["a", Name("b")]))
    assert exact == ("a", "b")
    assert {type(text) for text in exact} == {str}
    for wrong in ("ab", ["a", b"b"], [None]):
        with pytest.raises(TypeError, match="str"):
            exact_texts(wrong)  # type: ignore[arg-type]
