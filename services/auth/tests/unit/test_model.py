"""What is a valid user, and what a refresh token presented again means."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from orderhub_auth import model
from orderhub_auth.errors import UserDisabled, UserLocked
from orderhub_auth.model import Authentication, Exchange, Presented, User
from orderhub_chassis.errors import Failure, Invalid

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


def a_user(**over: Any) -> User:
    standing: dict[str, Any] = {"roles": ("customer",), "vendor_id": None, "email_verified": True, **over}
    fixed = {
        "email": "ada@example.org",
        "name": "Ada",
        "password_hash": "",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return User(id=UUID(int=1), **{"disabled": False, **fixed, **standing})


SECOND = timedelta(seconds=1)
GATE: list[tuple[dict[str, Any], type[Failure] | None]] = [
    ({}, None),
    ({"disabled": True}, UserDisabled),
    ({"locked_until": NOW + SECOND}, UserLocked),
    ({"locked_until": NOW}, None),
    ({"locked_until": NOW - SECOND}, None),
    ({"disabled": True, "locked_until": NOW + SECOND}, UserDisabled),
    ({"disabled": True, "locked_until": NOW - SECOND}, UserDisabled),
    ({"email_verified": False}, None),
]


@pytest.mark.parametrize(("standing", "refusal"), GATE, ids=range(len(GATE)))
def test_the_gate_stops_who_is_disabled_or_locked_and_an_operator_behind_it_is_none(
    standing: dict[str, Any], refusal: type[Failure] | None
) -> None:
    user = a_user(roles=("operator",), **standing)
    with pytest.raises(refusal) if refusal else nullcontext():
        model.check_can_issue(user, now=NOW)
    assert model.can_come_in(user, now=NOW) is (refusal is None)
    assert model.is_operator(user, now=NOW) is (refusal is None)
    assert not model.is_operator(a_user(**standing), now=NOW)
