"""The public names are what they are called, whatever was imported before."""

from __future__ import annotations

import importlib

import pytest

import subcore
from subcore import errors


@pytest.mark.parametrize("name", subcore.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(subcore, name) is not None


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_public(name: str) -> None:
    assert name in subcore.__all__
    assert getattr(subcore, name) is getattr(errors, name)


def test_venue_stays_the_function() -> None:
    importlib.import_module("subcore.venue")
    importlib.import_module("subcore.manager")
    made = subcore.venue("upbit", format="DEFAULT")
    assert isinstance(made, subcore.Venue)
    assert made.name == "upbit"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        subcore.nothing_of_the_kind  # noqa: B018
