"""Numbers of any spelling: exactly what float() and int() make of the text, or a named refusal."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from examples import examples
from subcore._scan import Scanner
from subcore._schema import Schema
from subcore.fields import Discriminator, Field, Table
from subcore.fields import Schema as Declared

DECLARED = Declared(
    channels=("t",),
    discriminators=(
        Discriminator(
            "k",
            (
                Table(
                    "trade",
                    {"t": "t"},
                    (
                        Field("p", "price"),
                        Field("q", "size", quoted=True, bare=False),
                        Field("i", "id"),
                        Field("ms", "trade_time_ns", unit=1_000_000),
                    ),
                ),
            ),
        ),
    ),
)
SCANNER = Scanner(Schema(DECLARED))
LARGEST = 2**63 - 1


def scan(key: str, text: str) -> tuple[str, object]:
    ((state, event),) = SCANNER.scan(f'{{"k":"t","{key}":{text}}}'.encode())
    member = {"p": "price", "q": "size", "i": "id", "ms": "trade_time_ns"}[key]
    return state, getattr(event, member) if event else None


def assert_exact(text: str) -> None:
    wanted = float(text)
    for key, spelt in (("p", text), ("q", f'"{text}"')):
        state, value = scan(key, spelt)
        if math.isinf(wanted):
            assert state == "overflow", text
        else:
            assert state == "ok", text
            assert isinstance(value, float)
            assert value.hex() == wanted.hex(), text


digits = st.text("0123456789", min_size=1, max_size=40)
whole = st.one_of(st.just("0"), digits.map(lambda text: text.lstrip("0") or "0"))
fraction = st.one_of(st.just(""), digits.map(".{}".format), digits.map(lambda text: f".{text}{'0' * 12}"))
exponent = st.one_of(
    st.just(""),
    st.builds(
        "{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 400).map(str)
    ),
)
spelling = st.builds("{}{}{}{}".format, st.sampled_from(["", "-"]), whole, fraction, exponent)


@examples(2000)
@given(spelling)
@example("19699800600.2538100000000000")
@example("1.16539E8")
@example("7.9276E-4")
@example("6E-8")
@example("0E-8")
@example("-0.0")
@example("0e99999999999999999999")
@example("1e-99999999999999999999")
@example("1e99999999999999999999")
@example("9007199254740993")
@example("9007199254740992.5")
@example("9007199254740993e22")
@example("18446744073709551615")
@example("18446744073709551616")
@example("9999999999999999999")
@example("0.0000000000000000000000000009999999999999999999")
@example("2.2250738585072011e-308")
@example("4.9406564584124654e-324")
@example("2.4703282292062327e-324")
@example("1.7976931348623157e308")
@example("1.7976931348623159e308")
@example("123456789012345678" * 60)
@example("0." + "0" * 400 + "1")
def test_any_spelling_gives_what_float_gives(text: str) -> None:
    assert_exact(text)


@examples(500)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_repr_writes_is_read_back(value: float) -> None:
    assert_exact(repr(value))


@examples(1000)
@given(st.integers(2**53, 2**54).map(lambda k: k | 1), st.integers(0, 4), st.integers(-1, 1))
def test_halves_between_two_doubles_and_their_neighbours(odd: int, places: int, off: int) -> None:
    """An odd 54-bit integer over 2^places lies halfway between two doubles."""
    text = str(odd * 5**places + off).rjust(places + 1, "0")
    assert_exact(f"{text[:-places]}.{text[-places:]}" if places else text)


def test_prices_and_sizes_as_venues_write_them() -> None:
    rng = random.Random(5)
    slow = SCANNER.counters()["numbers_slow"]
    for _ in range(5000):
        value = rng.randrange(10 ** rng.randint(1, 19))
        places = rng.randint(0, 27)
        text = str(value).rjust(places + 1, "0")
        text = f"{text[:-places]}.{text[-places:]}" if places else text
        if len(text.replace(".", "").lstrip("0")) == len(text.replace(".", "")):
            text += "0" * rng.choice((0, 0, 4, 10)) if places else ""
        assert_exact(text)
    assert SCANNER.counters()["numbers_slow"] - slow < 10_000 * 0.4  # of them, leading zeros make long texts


@pytest.mark.parametrize("value", [0, 1, -1, 2**53, 2**53 + 1, 17880000000770001, LARGEST, -LARGEST])
def test_integers_are_exact(value: int) -> None:
    assert scan("i", str(value)) == ("ok", value)


@pytest.mark.parametrize("value", [LARGEST + 1, -LARGEST - 1, -LARGEST - 2, 2**64 - 1, 2**64, 10**30])
def test_integers_beyond_64_bits_are_refused(value: int) -> None:
    """So is the least of them, which means absent."""
    assert scan("i", str(value)) == ("int_range", None)


def test_times_are_multiplied_exactly_or_refused() -> None:
    assert scan("ms", "1788000000123") == ("ok", 1788000000123000000)
    assert scan("ms", str(LARGEST // 10**6)) == ("ok", LARGEST // 10**6 * 10**6)
    assert scan("ms", str(LARGEST // 10**6 + 1)) == ("int_range", None)
    assert scan("ms", "-5") == ("ok", -5000000)


@pytest.mark.parametrize("text", ["1.0", "1e3", "1E0", "0.5", "true", "null", "[]", "{}"])
def test_an_integer_is_spelt_as_one(text: str) -> None:
    assert scan("ms", text) == ("wrong_type", None)


@pytest.mark.parametrize(
    "text",
    [
        "00",
        "01",
        "-01",
        "+1",
        ".5",
        "1.",
        "1.e5",
        "-",
        "-.5",
        "1e",
        "1e+",
        "1e-",
        "NaN",
        "Infinity",
        "-Infinity",
        "0x1",
    ],
)
@pytest.mark.parametrize("key", ["p", "i", "ms", "unknown"])
def test_what_json_does_not_call_a_number_is_refused(key: str, text: str) -> None:
    ((state, event),) = SCANNER.scan(f'{{"k":"t","{key}":{text}}}'.encode())
    assert event is None
    assert state == ("bad_json" if text == "0x1" else "number_syntax")


@pytest.mark.parametrize(
    "text", ['"1.5', '" 1.5"', '"1.5 "', '""', '"x"', '"NaN"', '"1,5"', '"0x10"', '"1_0"', '"+1"']
)
def test_a_quoted_number_fills_its_quotes(text: str) -> None:
    assert scan("q", text)[0] == "number_syntax"


def test_quotes_only_where_declared() -> None:
    assert scan("q", "1.5") == ("wrong_type", None)
    assert scan("p", '"1.5"') == ("wrong_type", None)
    assert scan("q", '"1.5"') == ("ok", 1.5)


def test_integers_that_python_would_not_convert_are_refused_even_where_skipped() -> None:
    assert SCANNER.scan(b'{"k":"t","x":' + b"9" * 4300 + b"}")[0][0] == "ok"
    assert SCANNER.scan(b'{"k":"t","x":' + b"9" * 4301 + b"}")[0][0] == "int_range"
    assert SCANNER.scan(b'{"k":"t","p":' + b"9" * 100_000 + b"}")[0][0] == "overflow"
