"""API keys, purely: what they look like, what may stand in one, and when it is good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orderhub_auth.api_keys import model
from orderhub_auth.api_keys.model import ApiKey, Maker
from orderhub_chassis.errors import Invalid
from orderhub_contracts import api_keys as contract

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VENDOR, OTHER, USER = UUID(int=1), UUID(int=2), UUID(int=3)
TEXT = contract.assembled("a" * contract.PUBLIC_LENGTH, "b" * contract.SECRET_LENGTH)
KEY = ApiKey(
    UUID(int=4), VENDOR, "a" * 12, contract.hash_of(TEXT), "ERP", ("orders:read",), USER, NOW, NOW + timedelta(days=1)
)  # fmt: skip
SELLER, OPERATOR = Maker(("vendor",), VENDOR, False), Maker(("operator",), None, False)
YEAR = timedelta(days=365)
letters = st.text(contract.LETTERS, min_size=contract.SECRET_LENGTH, max_size=contract.SECRET_LENGTH)


@given(letters)
def test_a_key_is_read_as_it_was_made_and_says_nothing_of_its_secret(secret):
    text = contract.assembled("A1b2C3d4E5f6", secret)
    read = contract.read(text)
    assert read == ("A1b2C3d4E5f6", contract.hash_of(text))
    assert secret not in str(read)


@given(st.integers(0, len(TEXT) - 1), st.characters())
def test_a_key_with_another_letter_anywhere_is_none(at, other):
    changed = TEXT[:at] + other + TEXT[at + 1 :]
    assert changed == TEXT or contract.read(changed) is None


@given(st.text(max_size=100))
def test_any_text_is_none(text):
    assert contract.read(text) is None
    assert contract.read(f"{contract.PREFIX}{text}") is None


@pytest.mark.parametrize(
    "spoiled", [f"{TEXT}\n", f" {TEXT}", TEXT.upper(), TEXT[:-1], f"{TEXT}0"], ids=range(5)
)
def test_a_key_is_read_to_the_letter(spoiled):
    assert contract.read(spoiled) is None


GOOD = {"key": KEY, "maker": SELLER, "hash": KEY.key_hash, "now": NOW}
WORTHLESS = {
    "unknown": {"key": None, "maker": None},
    "another secret": {"hash": contract.hash_of("ohk_")},
    "no secret": {"hash": b""},
    "revoked": {"key": replace(KEY, revoked_at=NOW)},
    "over": {"now": KEY.expires_at},
    "of a disabled user": {"maker": replace(SELLER, disabled=True)},
    "of a user that is no vendor's any more": {"maker": Maker(("customer",), None, False)},
    "of a user that is another vendor's now": {"maker": replace(SELLER, vendor_id=OTHER)},
    "of an operator that is disabled": {"maker": replace(OPERATOR, disabled=True)},
}


def judged(**over):
    case = {**GOOD, **over}
    return model.is_good(case["key"], case["maker"], case["hash"], now=case["now"])


@pytest.mark.parametrize("why", WORTHLESS)
def test_a_key_is_worth_nothing_when_it_is(why):
    assert judged()
    assert not judged(**WORTHLESS[why])


def test_a_key_is_good_until_its_last_moment_and_by_an_operator_for_any_vendor():
    assert judged(now=KEY.expires_at - timedelta(microseconds=1))
    assert judged(maker=OPERATOR)


def test_hashes_are_compared_in_a_time_that_tells_nothing(monkeypatch):
    """Also where there is no such key: who guesses learns nothing from how long it takes."""
    compared = []
    real = model.hmac.compare_digest
    monkeypatch.setattr(model.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    for why in ("unknown", "another secret", "revoked"):
        judged(**WORTHLESS[why])
    assert [len(known) for known, _ in compared] == [32, 32, 32]


def test_scopes_are_in_one_order_and_a_wrong_one_is_named():
    assert model.checked_scopes(["stock:write", "products:write", "stock:write"]) == (
        "products:write",
        "stock:write",
    )
    for wrong, pointer in (
        (["orders:read", "users:write"], "/scopes/1"),
        (["*"], "/scopes/0"),
        ([], "/scopes"),
    ):
        with pytest.raises(Invalid) as refused:
            model.checked_scopes(wrong)
        assert refused.value.errors[0].pointer == pointer


def test_a_key_ends_in_the_future_and_not_too_late():
    def expiry(text, now=NOW):
        return model.checked_expiry(text, made_at=NOW, longest=YEAR, now=now)

    assert expiry("") == NOW + YEAR
    assert expiry("2026-06-01T02:00:00+02:00") == datetime(2026, 6, 1, tzinfo=UTC)
    for wrong in (
        "2026-01-01T00:00:00Z",
        "2025-01-01T00:00:00Z",
        "2027-01-02T00:00:00Z",
        "2026-06-01T00:00:00",
        "x",
    ):
        with pytest.raises(Invalid) as refused:
            expiry(wrong)
        assert refused.value.errors[0].pointer == "/expires_at"


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\0b"], ids=range(5))
def test_a_key_has_a_name_that_can_be_shown(name):
    with pytest.raises(Invalid):
        model.checked_name(name)
    assert model.checked_name(" ERP ") == "ERP"
