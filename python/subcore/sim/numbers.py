"""The venue's ways to spell one number. Arguments are ints in units of 1e-8; every spelling has exactly that
value."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["SPELLINGS", "decimal", "double", "fixed", "fixed4", "plain", "scientific", "wide"]


def fixed(units: int) -> str:
    """Eight decimals, zeros kept: `106691000.00000000`, `0.00077720`."""
    if units < 0:
        return "-" + fixed(-units)
    return f"{units // 100_000_000}.{units % 100_000_000:08d}"


def plain(units: int) -> str:
    """An integer where it is one, else no trailing zero: `116606000`, `3.1`."""
    whole, rest = divmod(units, 100_000_000)
    if not rest:
        return str(whole)
    return fixed(units).rstrip("0")


def fixed4(units: int) -> str:
    """At least four decimals: `49190000.0000`; more where the value needs them."""
    text = fixed(units)
    return text[:-4] if text.endswith("0000") else text


def wide(units: int) -> str:
    """Sixteen decimals, as sums of products are spelled: `19699800600.2538100000000000`."""
    return fixed(units) + "00000000"


def decimal(units: int) -> str:
    """One decimal at least, never an exponent: `127.0`, `1.205185`."""
    text = plain(units)
    return text if "." in text else text + ".0"


def double(units: int) -> str:
    """As Java spells a double: exponent from 1e7 up and below 1e-3, one decimal at least: `1.16539E8`,
    `5.0E-4`."""
    magnitude = abs(units)
    if magnitude == 0:
        return "0.0"
    if 100_000 <= magnitude < 1_000_000_000_000_000:
        return decimal(units)
    digits = str(magnitude)
    exponent = len(digits) - 9
    mantissa = digits.rstrip("0")
    sign = "-" if units < 0 else ""
    return f"{sign}{mantissa[0]}.{mantissa[1:] or '0'}E{exponent}"


def scientific(units: int) -> str:
    """As Java spells a decimal: an exponent only below 1e-6, with no forced point: `6E-8`, `9.9E-7`,
    `0E-8`."""
    magnitude = abs(units)
    if magnitude >= 100:
        return plain(units)
    if magnitude == 0:
        return "0E-8"
    sign = "-" if units < 0 else ""
    if magnitude < 10 or magnitude % 10 == 0:
        return f"{sign}{magnitude}E-8" if magnitude < 10 else f"{sign}{magnitude // 10}E-7"
    return f"{sign}{magnitude // 10}.{magnitude % 10}E-7"


SPELLINGS: tuple[Callable[[int], str], ...] = (plain, fixed, fixed4, decimal, double, scientific, wide)
"""All of them, for tests that want every spelling of one value."""
