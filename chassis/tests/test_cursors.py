"""Cursors: opaque, signed, and of one list only."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from orderhub_chassis.cursors import DEFAULT_LIMIT, MAX_LIMIT, Cursors, page_limit
from orderhub_chassis.errors import Invalid

CURSORS = Cursors(b"k" * 40)
positions = st.lists(
    st.one_of(st.integers(-(2**60), 2**60), st.text(max_size=40), st.none()), min_size=1, max_size=3
)
scopes = st.text(max_size=30)


@given(scopes, positions)
def test_what_was_encoded_comes_back(scope, position):
    cursor = CURSORS.encode(scope, position)
    assert CURSORS.decode(scope, cursor) == position
    assert cursor.isascii()
    assert not set(cursor) & set("+/=")


@given(scopes, positions, st.data())
def test_a_cursor_with_any_change_is_refused(scope, position, data):
    cursor = CURSORS.encode(scope, position)
    at = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(
        st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ \0é")
    )
    assume(cursor[at] != other)
    with pytest.raises(Invalid):
        CURSORS.decode(scope, cursor[:at] + other + cursor[at + 1 :])


@given(scopes, positions, st.text(min_size=1, max_size=4), st.integers(0, 4))
def test_a_cursor_made_longer_or_shorter_is_refused(scope, position, more, less):
    cursor = CURSORS.encode(scope, position)
    with pytest.raises(Invalid):
        CURSORS.decode(scope, cursor + more)
    with pytest.raises(Invalid):
        CURSORS.decode(scope, cursor[: -1 - less])


@given(st.text(max_size=300))
def test_any_text_is_refused_with_the_field_named(text):
    with pytest.raises(Invalid) as refused:
        CURSORS.decode("list", text)
    assert refused.value.code == "cursor.malformed"
    assert [error.pointer for error in refused.value.errors] == ["/query/cursor"]


@given(scopes, scopes, positions)
def test_a_cursor_of_another_list_is_refused(scope, other, position):
    assume(scope != other)
    with pytest.raises(Invalid):
        CURSORS.decode(other, CURSORS.encode(scope, position))


@given(positions)
def test_a_cursor_signed_with_another_key_is_refused(position):
    with pytest.raises(Invalid):
        CURSORS.decode("list", Cursors(b"x" * 40).encode("list", position))


@pytest.mark.parametrize(("asked", "given"), [(0, DEFAULT_LIMIT), (1, 1), (50, 50), (MAX_LIMIT, MAX_LIMIT)])
def test_page_limits(asked, given):
    assert page_limit(asked) == given


@pytest.mark.parametrize("asked", [-1, MAX_LIMIT + 1, 2**31 - 1])
def test_page_limits_out_of_bounds_name_the_field(asked):
    with pytest.raises(Invalid) as refused:
        page_limit(asked)
    assert refused.value.errors[0].pointer == "/query/limit"
