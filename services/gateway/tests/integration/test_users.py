"""Operators and users over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest


async def test_an_operator_disables_a_user_and_lets_it_in_again(api: Any) -> None:
    operator = await api.as_("operator")
    user = {"email": f"{uuid4().hex}@example.org", "password": "a password for tests"}
    made = await api("POST", "/v1/admin/users", json={**user, "roles": ["customer"]}, headers=operator)
    path = f"/v1/admin/users/{made.json()['id']}"
    for disabled, status in ((True, 403), (False, 200)):
        changed = await api("PATCH", path, json={"disabled": disabled}, headers=operator)
        assert (changed.status_code, changed.json()["disabled"]) == (200, disabled)
        assert (await api("POST", "/v1/auth/login", json=user)).status_code == status
        assert (await api("GET", path, headers=operator)).json() == changed.json()


async def test_an_operator_locks_a_user_until_a_time_and_unlocks_it(api: Any) -> None:
    operator = await api.as_("operator")
    user = {"email": f"{uuid4().hex}@example.org", "password": "a password for tests"}
    made = await api("POST", "/v1/admin/users", json={**user, "roles": ["customer"]}, headers=operator)
    path = f"/v1/admin/users/{made.json()['id']}"
    for until, shown, status in (
        ("2126-01-01T01:00:00+01:00", "2126-01-01T00:00:00.000000Z", 403),
        (None, None, 200),
    ):
        changed = await api("PATCH", path, json={"locked_until": until}, headers=operator)
        assert (changed.status_code, changed.json()["locked_until"]) == (200, shown)
        assert (await api("POST", "/v1/auth/login", json=user)).status_code == status


async def test_a_change_that_cannot_be_names_its_field_and_changes_nothing(api: Any) -> None:
    operator = await api.as_("operator")
    user = {"email": f"{uuid4().hex}@example.org", "password": "a password for tests", "roles": ["customer"]}
    made = (await api("POST", "/v1/admin/users", json=user, headers=operator)).json()
    path = f"/v1/admin/users/{made['id']}"
    for body, pointer in (
        ({"vendor_id": str(uuid4())}, "/vendor_id"),
        ({"roles": ["vendor"]}, "/vendor_id"),
        ({"roles": []}, "/roles"),
        ({"roles": ["king"]}, "/roles/0"),
        ({"disabled": None}, "/disabled"),
        ({"locked_until": "2001-01-01T00:00:00Z"}, "/locked_until"),
        ({"locked_until": "2126-01-01T00:00:00"}, "/locked_until"),
        ({"disabled": True, "email": "other@example.org"}, "/email"),
    ):
        answer = await api("PATCH", path, json=body, headers=operator)
        assert answer.status_code == 400, body
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer], answer.text
        assert (await api("GET", path, headers=operator)).json() == made


async def test_nobody_gives_itself_a_role(api: Any) -> None:
    for role in ("customer", "vendor", "courier"):
        mine = await api.as_(role)
        path = f"/v1/admin/users/{api.users[role]['id']}"
        answer = await api("PATCH", path, json={"roles": ["operator"]}, headers=mine)
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")


async def test_everybody_says_where_it_lives_and_takes_it_back(api: Any) -> None:
    mine = await api.as_("courier")
    home = {"street_address": "Invalidenstr. 1\nHinterhof", "locality": "Berlin", "country": "DE"}
    before = (await api("GET", "/v1/auth/me", headers=mine)).json()
    assert (before["phone"], before["address"]) == (None, None)
    body = {"name": "Grace", "phone": "+49 30 1234567", "address": home}
    changed = await api("PATCH", "/v1/auth/me", json=body, headers=mine)
    assert changed.headers["cache-control"] == "no-store"
    said = {"name": "Grace", "phone": "+49301234567", "address": home}
    assert changed.json() == {**before, **said, "updated_at": changed.json()["updated_at"]}
    assert (await api("GET", "/v1/auth/me", headers=mine)).json() == changed.json()
    gone = await api("PATCH", "/v1/auth/me", json={"phone": None, "address": None}, headers=mine)
    assert (gone.json()["name"], gone.json()["phone"], gone.json()["address"]) == ("Grace", None, None)


@pytest.mark.parametrize(
    "member",
    [
        {"roles": ["operator"]},
        {"vendor_id": "0198c0de-0000-7000-8000-0000000000ff"},
        {"email_verified": True},
        {"email": "other@example.org"},
        {"disabled": False},
        {"id": "0198c0de-0000-7000-8000-0000000000ff"},
        {"password_hash": "x"},
    ],
    ids=lambda member: next(iter(member)),
)
async def test_what_nobody_gives_itself_is_named_and_changes_nothing(api: Any, member: Any) -> None:
    mine = await api.as_("customer")
    before = (await api("GET", "/v1/auth/me", headers=mine)).json()
    answer = await api("PATCH", "/v1/auth/me", json={"name": "Eve", **member}, headers=mine)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{next(iter(member))}"]
    assert (await api("GET", "/v1/auth/me", headers=mine)).json() == before
