"""What is a valid user, and what a refresh token presented again means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from orderhub_auth import model
from orderhub_auth.model import Authentication, Exchange, Presented
from orderhub_chassis.errors import Invalid

NOW = datetime(2026, 5, 1, tzinfo=UTC)
GRACE = timedelta(seconds=20)


def a_token(**over: object) -> Presented:
    values = {
        "session_id": UUID(int=1), "user_id": UUID(int=2), "spent_at": None, "uses": 0,
        "expires_at": NOW + timedelta(days=1), "revoked_at": None,
        "authentication": Authentication(model.PASSWORD, NOW), **over,
    }  # fmt: skip
    return Presented(**values)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (None, Exchange.REFUSE),
        (a_token(), Exchange.ROTATE),
        (a_token(expires_at=NOW), Exchange.REFUSE),
        (a_token(revoked_at=NOW), Exchange.REFUSE),
        (a_token(spent_at=NOW - GRACE, uses=1), Exchange.ROTATE),
        (a_token(spent_at=NOW - GRACE, uses=model.MOST_USES), Exchange.REVOKE_SESSION),
        (a_token(spent_at=NOW - GRACE - timedelta(microseconds=1), uses=1), Exchange.REVOKE_SESSION),
        (a_token(spent_at=NOW - timedelta(days=2), uses=1, revoked_at=NOW), Exchange.REFUSE),
        (a_token(spent_at=NOW - timedelta(days=2), uses=1, expires_at=NOW), Exchange.REFUSE),
    ],
)
def test_a_refresh_token_is_worth_what_its_past_says(token: Presented | None, expected: Exchange) -> None:
    assert model.judge_refresh(token, client_id=None, now=NOW, grace=GRACE) is expected


@pytest.mark.parametrize("email", [" Ada@Example.ORG ", "ada@example.org", "ADA@EXAMPLE.ORG"])
def test_spellings_of_one_address_are_one(email: str) -> None:
    assert model.normal_email(email) == "ada@example.org"


@pytest.mark.parametrize(
    "email",
    ["", "ada", "ada@", "@example.org", "ada@localhost", "a b@example.org", "ada@example.org\0", "ada@-x.org",
     "a@" + "x" * 250 + ".org", "ada@exa_mple.org", "ada@example..org", "ädä@example.org"],
)  # fmt: skip
def test_what_is_no_address_is_refused_by_name(email: str) -> None:
    with pytest.raises(Invalid) as refused:
        model.normal_email(email)
    assert refused.value.errors[0].pointer == "/email"


@pytest.mark.parametrize("password", ["", "123456789", "x" * 201, "ADA@example.org"])
def test_a_weak_password_is_refused_by_name(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        model.check_password(password, "ada@example.org")
    assert refused.value.errors[0].pointer == "/password"


@pytest.mark.parametrize("password", ["x" * 10, "ж" * 200, "correct horse battery staple"])
def test_a_long_password_of_any_characters_is_taken(password: str) -> None:
    model.check_password(password, "ada@example.org")


@pytest.mark.parametrize(
    ("roles", "vendor_id", "pointer"),
    [
        ([], "", "/roles"),
        (["root"], "", "/roles"),
        (["service"], "", "/roles"),
        (["vendor"], "", "/vendor_id"),
        (["customer"], str(UUID(int=7)), "/vendor_id"),
        (["vendor"], "7", "/vendor_id"),
    ],
)
def test_roles_and_vendor_must_fit(roles: list[str], vendor_id: str, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        model.checked_roles(roles, vendor_id)
    assert refused.value.errors[0].pointer == pointer


def test_a_vendor_user_has_its_vendor() -> None:
    assert model.checked_roles(["vendor", "customer", "vendor"], str(UUID(int=7))) == (
        ("customer", "vendor"),
        UUID(int=7),
    )


def test_a_name_with_control_characters_is_refused() -> None:
    with pytest.raises(Invalid):
        model.checked_name("Ada\0")
