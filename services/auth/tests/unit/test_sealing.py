"""What lies sealed in the database, and the codes beside it."""

from __future__ import annotations

import base64

import pytest
from orderhub_auth import tokens
from orderhub_auth.sealing import Sealing, StaysSealed

OLD, NEW = "o" * 40, "n" * 40


def test_what_was_sealed_is_opened_for_its_owner_and_for_nobody_else() -> None:
    sealing = Sealing("tests", OLD)
    sealed = sealing.close("ada", "a secret")
    assert sealing.open("ada", sealed) == "a secret"
    assert sealed != sealing.close("ada", "a secret"), "never the same twice"
    with pytest.raises(StaysSealed):
        sealing.open("eve", sealed)


@pytest.mark.parametrize(
    "other", [Sealing("tests", NEW), Sealing("another purpose", OLD)], ids=["secret", "purpose"]
)
def test_another_secret_or_purpose_opens_nothing(other: Sealing) -> None:
    with pytest.raises(StaysSealed):
        other.open("ada", Sealing("tests", OLD).close("ada", "a secret"))


@pytest.mark.parametrize("place", range(5))
def test_what_was_changed_anywhere_is_not_opened(place: int) -> None:
    sealing = Sealing("tests", OLD)
    parts = sealing.close("ada", "a secret").split(".")
    parts[place] = ("A" if parts[place][:1] != "A" else "B") + parts[place][1:]
    with pytest.raises(StaysSealed):
        sealing.open("ada", ".".join(parts))


def test_former_secrets_open_and_the_one_of_today_closes() -> None:
    old, both = Sealing("tests", OLD), Sealing("tests", NEW, [OLD])
    assert both.open("ada", old.close("ada", "a secret")) == "a secret"
    assert (both.former, both.current) == ([old.current], Sealing("tests", NEW).current)
    with pytest.raises(StaysSealed):
        old.open("ada", both.close("ada", "a secret"))


def test_recovery_codes_have_80_bits_in_letters_that_people_copy() -> None:
    codes = {tokens.new_recovery_code() for _ in range(100)}
    assert len(codes) == 100
    for code in codes:
        assert len(base64.b32decode(code.replace("-", "").upper())) * 8 == 80
        assert [len(group) for group in code.split("-")] == [4, 4, 4, 4]


@pytest.mark.parametrize(
    "typed", ["k3vq-2mzd-u7aw-x5tn", " K3VQ 2MZD U7AW X5TN\n", "k3vq2mzdu7awx5tn", "K3-VQ2M-ZDU7-AWX5TN"]
)
def test_a_recovery_code_is_one_however_it_is_typed(typed: str) -> None:
    assert tokens.plain_recovery_code(typed) == "k3vq-2mzd-u7aw-x5tn"
