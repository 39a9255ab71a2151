"""RFC 9651 dictionaries."""

from __future__ import annotations

import pytest

from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.structured_headers import MAX_OCTETS, dictionary
from tests.line_counter import PER_OCTET, steps

FIELDS = [
    ("3.2", b"a=n, b=y", {"a": "n", "b": "y"}),
    ("4.2.2, blanks round a comma", b"  a=n \t,\t b=y  ", {"a": "n", "b": "y"}),
    ("4.2.2, the last value", b"a=n, a=y", {"a": "y"}),
    ("3.1.2, parameters", b'a=n;b=y;c="d, e=f"', {"a": "n"}),
    ("3.3, no Token", b'a=1, b="n", c, d=?1, e=:AA==:, f=(n), g=@1659578233, h=%"%c3%bc"', dict.fromkeys("abcdefgh")),
    ("3.3.7, a far date", b"a=@-999999999999999, b=n", {"a": None, "b": "n"}),
    ("4.2, nothing", b" ", {}),
]


@pytest.mark.parametrize(("section", "field", "expected"), FIELDS)
def test_dictionary(section, field, expected):
    assert dictionary(field) == expected, section


BROKEN = [
    ("3.1.2, an upper-case key", b"A=n"),
    ("4.2.2, blanks round the sign", b"a = n"),
    ("4.2.2, a trailing comma", b"a=n,"),
    ("4.2.2, no comma", b"a=n b=y"),
    ("4.2.2, a tab between", b"a=n\tb=y"),
    ("4.2.4, a long integer", b"a=1234567890123456"),
    ("4.2.9, a date that is too long", b"a=@1234567890123456"),
    ("4.2.9, a date that is a decimal", b"a=@1.5"),
    ("4.2, octets beyond ASCII", b"a=\xc3\xbc"),
    ("4.2.5, a string that does not end", b'a="n'),
    ("bounded", b"a" * (MAX_OCTETS + 1)),
]


@pytest.mark.parametrize(("section", "field"), BROKEN)
def test_no_dictionary(section, field):
    with pytest.raises(Unreadable):
        dictionary(field)


def test_each_octet_of_the_longest_field_costs_a_few_steps():
    field = b"a=n," * (MAX_OCTETS // 4 - 1) + b"a=n"
    assert steps(lambda: dictionary(field)) < PER_OCTET * len(field)
