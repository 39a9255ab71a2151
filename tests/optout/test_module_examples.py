"""The examples in the docstrings of the hard modules."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from forbear.optout import host_rules
from forbear.optout.readers import html, markup, pattern


@pytest.mark.parametrize("module", [host_rules, html, markup, pattern], ids=lambda module: module.__name__)
def test_an_example_comes_out_as_it_is_written(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)
