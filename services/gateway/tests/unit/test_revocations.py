"""What is closed while it is not known which tokens are revoked, by how old the list is."""

from __future__ import annotations

import asyncio
import math

import pytest
from orderhub_chassis.calls import Caller
from orderhub_contracts.revocations import Kind, Revocation
from orderhub_gateway import revocations
from orderhub_gateway.errors import RevocationsUnknown, TokenRevoked
from orderhub_gateway.revocations import SILENCE, Revocations

KEEP = 300.0
CUSTOMER = Caller("u", frozenset({"customer"}), "", "s")
OPERATOR = Caller("o", frozenset({"operator"}), "", "s")
MARKS = frozenset({"sid:s", "jti:t"})
ORDER = "/api/v1/orders"
REFUND = "/api/v1/payments/1/refunds"
ADMIN = "/api/v1/admin/users"
END = "/api/v1/auth/sessions/1"


def a_list(*, all_critical: bool = False, age: float = 0.0) -> Revocations:
    made = Revocations(KEEP, all_critical=all_critical)
    made.confirm()
    made.grow_older(age)
    return made


def is_open(known: Revocations, method: str, path: str, caller: Caller) -> bool:
    try:
        known.check(MARKS, caller.user_id, 0)
        known.check_route(method, path, caller)
    except RevocationsUnknown:
        return False
    return True


FRESH, SILENT, OLD = SILENCE, SILENCE + 0.1, SILENCE + KEEP + 0.1
READ, ORDERED = ("GET", ORDER, CUSTOMER), ("POST", ORDER, CUSTOMER)
TABLE = [
    # what, open while the list is fresh, silent, old
    (READ, "yyn"),
    (ORDERED, "yyn"),
    (("GET", "/api/v1/payments/1", CUSTOMER), "yyn"),
    (("GET", ORDER, OPERATOR), "yyn"),
    (("DELETE", END, CUSTOMER), "yyn"),
    (("DELETE", END, OPERATOR), "yyn"),
    (("POST", "/api/v1/auth/logout-all", CUSTOMER), "yyn"),
    (("POST", ORDER, OPERATOR), "ynn"),
    (("POST", REFUND, CUSTOMER), "ynn"),
    (("GET", ADMIN, OPERATOR), "ynn"),
    (("GET", ADMIN, CUSTOMER), "ynn"),
    (("PATCH", ADMIN, OPERATOR), "ynn"),
    (("POST", "/api/v1/auth/password/change", CUSTOMER), "ynn"),
    (("PATCH", "/api/v1/auth/me", CUSTOMER), "ynn"),
    (("POST", "/api/v1/api-keys", CUSTOMER), "ynn"),
]


@pytest.mark.parametrize(("what", "standing"), TABLE, ids=[f"{m}{p}-{c.user_id}" for (m, p, c), _ in TABLE])
def test_what_is_open_by_the_age_of_the_list(what: tuple[str, str, Caller], standing: str) -> None:
    for age, wanted in zip((FRESH, SILENT, OLD), standing, strict=True):
        assert is_open(a_list(age=age), *what) == (wanted == "y"), age


@pytest.mark.parametrize("what", [READ, ORDERED], ids=["read", "order"])
def test_all_may_be_closed_at_once(what: tuple[str, str, Caller]) -> None:
    known = a_list(all_critical=True)
    assert is_open(known, *what)
    known.grow_older(SILENT)
    assert not is_open(known, *what)
    known.confirm()
    assert is_open(known, *what)


def test_what_was_revoked_stays_so_however_old_the_list_is() -> None:
    for age in (FRESH, SILENT, OLD):
        known = a_list(age=age)
        known.add([Revocation(Kind.SESSION, "s", 2000)])
        with pytest.raises(TokenRevoked):
            known.check(MARKS, "u", 0)


def test_a_revocation_is_forgotten_when_nothing_alive_is_about_it() -> None:
    known = a_list()
    known.add([Revocation(Kind.API_KEY, "k", 2000), Revocation(Kind.USER, "u", 2000, 3)])
    known.forget(1999.0)
    assert known.has(Kind.API_KEY, "k")
    assert len(known) == 2
    known.forget(2000.0)
    assert not known.has(Kind.API_KEY, "k")
    assert len(known) == 0
    known.check(MARKS, "u", 2)


async def test_who_comes_before_the_first_list_waits_for_it() -> None:
    known = Revocations(KEEP)
    assert known.age == math.inf
    waiting = asyncio.create_task(known.first_list())
    await asyncio.sleep(0)
    assert not waiting.done()
    known.confirm()
    await asyncio.wait_for(waiting, 30)


async def test_without_a_first_list_no_token_of_ours_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "FIRST_LIST", 0.01)
    known = Revocations(KEEP)
    with pytest.raises(RevocationsUnknown):
        await known.first_list()
    assert not is_open(known, *READ)
