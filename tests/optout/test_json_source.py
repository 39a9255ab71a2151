"""JSON with source positions: RFC 8259."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.optout.readers import json_source
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.json_source import Object, Value


def plain(value: Value) -> object:
    if isinstance(value, Object):
        return {member.name: plain(member.value) for member in value.members}
    return [plain(item) for item in value] if isinstance(value, list) else value


texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(texts, st.sampled_from([None, 0, 2]), st.booleans())
def test_it_reads_what_python_reads(value, indent, ascii_only):
    assert plain(json_source.parse(json.dumps(value, indent=indent, ensure_ascii=ascii_only))) == value


@given(st.dictionaries(st.text(), texts, max_size=4))
def test_a_member_is_found_again_where_it_is(value):
    text = json.dumps(value, indent=1)
    parsed = json_source.parse(text)
    assert isinstance(parsed, Object)
    for member in parsed.members:
        assert json.loads(f"{{{text[member.start : member.end]}}}") == {member.name: value[member.name]}


@pytest.mark.parametrize("text", ["", " ", "[1,]", "{'a': 1}", "01", "NaN", "-Infinity", "[1] 2", '"\n"', "[" * 10**5])
def test_what_is_not_json(text):
    with pytest.raises(Unreadable):
        json_source.parse(text)


def test_members_of_one_name_are_all_kept():
    parsed = json_source.parse('{"a": 0, "b": {"a": 2}, "a": 1}')
    assert isinstance(parsed, Object)
    assert [member.value for member in parsed.all("a")] == [0, 1]
