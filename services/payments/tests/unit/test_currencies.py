"""Amounts on the way to Stripe and back: nobody is charged a hundredfold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orderhub_payments.clients.currencies import LARGEST, from_stripe, to_stripe

ASKED = [
    ("EUR", 1999, 1999),
    ("USD", 1, 1),
    ("JPY", 500, 500),
    ("KRW", 12_000, 12_000),
    ("ISK", 5, 500),
    ("UGX", 5, 500),
    ("MGA", 500, 5),
    ("MGA", 501, None),
    ("KWD", 5120, 5120),
    ("KWD", 5124, None),
    ("BHD", 10, 10),
    ("TND", 1, None),
    ("HUF", 12_345, 12_345),
    ("IDR", LARGEST, LARGEST),
    ("IDR", LARGEST + 1, None),
    ("EUR", 0, None),
    ("EUR", -1, None),
]


@pytest.mark.parametrize(("currency", "ours", "theirs"), ASKED)
def test_an_amount_is_written_as_stripe_counts_it_or_not_at_all(
    currency: str, ours: int, theirs: int | None
) -> None:
    assert to_stripe(ours, currency) == theirs


@given(st.sampled_from(["EUR", "JPY", "ISK", "UGX", "MGA", "KWD", "OMR"]), st.integers(1, 10**9))
def test_what_was_written_is_read_back(currency: str, amount: int) -> None:
    written = to_stripe(amount, currency)
    assert written is None or from_stripe(written, currency) == amount
