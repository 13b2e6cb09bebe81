"""Keycloak's own part: what its realm lets in, whom OrderHub takes its people for, and what happens when keys change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from keycloak import CALLBACK, CLIENT, ROLES, KeycloakPeople, Realm
from processes import KEYCLOAK
from shop import Person, Shop, eventually, of

pytestmark = [pytest.mark.parametrize("hub", [KEYCLOAK], indirect=True), pytest.mark.usefixtures("fits")]


@pytest.fixture
def anew(shop: Shop) -> Iterator[None]:
    """What was signed with a key that is gone is worth nothing to the tests that come after."""
    yield
    shop.hub.tokens.clear()


@pytest.fixture
def realm(shop: Shop) -> Realm:
    people = shop.hub.people
    assert isinstance(people, KeycloakPeople)
    return people.realm


async def me(shop: Shop, token: str) -> Any:
    return await Person(shop.http, token).get("auth/me")


async def test_each_role_of_the_realm_is_the_role_of_that_name(shop: Shop, realm: Realm) -> None:
    vendor_id = (await (await shop.as_("Scales and Tails")).found("auth/me"))["vendor_id"]
    for role in ROLES:
        name = f"test-{role}"
        realm.add_user(name, role, vendor_id=vendor_id if role == "vendor" else "")
        shown = (await me(shop, realm.login(name)["access_token"])).json()
        assert (shown["roles"], shown["issuer"], shown["name"]) == ([role], realm.issuer, f"Test {name}")
        assert shown["vendor_id"] == (vendor_id if role == "vendor" else None)
        assert shown["email_verified"]


async def test_a_role_without_meaning_here_and_a_vendor_without_a_shop_may_do_nothing(
    shop: Shop, realm: Realm
) -> None:
    realm.add_user("no-role")
    refused = await me(shop, realm.login("no-role")["access_token"])
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.forbidden")
    realm.add_user("shopless", "vendor")
    refused = await me(shop, realm.login("shopless")["access_token"])
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.vendor_missing")


async def test_only_the_access_token_of_our_client_is_one(shop: Shop, realm: Realm) -> None:
    realm.add_user("tokens", "customer")
    given = realm.login("tokens")
    password = realm.password_of("tokens")
    other = realm.granted(grant_type="password", client_id="admin-cli", username="tokens", password=password)
    assert (await me(shop, given["access_token"])).status_code == 200
    for token in (given["id_token"], given["refresh_token"], other["access_token"]):
        refused = await me(shop, token)
        assert (refused.status_code, refused.json()["code"]) == (401, "auth.token_refused")


async def test_a_refreshed_token_is_the_same_person_and_a_spent_one_is_worth_nothing(
    shop: Shop, realm: Realm
) -> None:
    realm.add_user("refreshing", "customer")
    given = realm.login("refreshing")
    form = {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": given["refresh_token"]}
    fresh = realm.granted(**form)
    ids = [(await me(shop, one["access_token"])).json()["id"] for one in (given, fresh)]
    assert ids[0] == ids[1]
    again = realm.post(f"{realm.issuer}/protocol/openid-connect/token", data=form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("over", "status", "error"),
    [
        ({"code_challenge": "", "code_challenge_method": ""}, 302, "error=invalid_request"),
        ({"code_challenge_method": "plain"}, 302, "error=invalid_request"),
        ({"response_type": "token"}, 302, "error=unauthorized_client"),
        ({"redirect_uri": f"{CALLBACK}/more"}, 400, ""),
        ({"redirect_uri": f"{CALLBACK}?more"}, 400, ""),
        ({"redirect_uri": "https://elsewhere.example/"}, 400, ""),
        ({}, 200, ""),
    ],
)
async def test_a_login_that_is_not_code_with_pkce_for_this_client_does_not_begin(
    realm: Realm, over: dict[str, str], status: int, error: str
) -> None:
    answer = realm.ask(**over)
    assert answer.status_code == status, answer.text
    assert error in answer.headers.get("location", "")


async def test_nobody_makes_themselves_a_vendor(shop: Shop, realm: Realm) -> None:
    """Keycloak's account API lets users change their own attributes; `vendor_id` is not among them."""
    realm.add_user("climber", "customer")
    realm.admin(
        "POST",
        "/clients",
        {"clientId": "account-test", "publicClient": True, "directAccessGrantsEnabled": True},
    )
    password = realm.password_of("climber")
    token = realm.granted(
        grant_type="password", client_id="account-test", username="climber", password=password, scope="openid"
    )["access_token"]
    headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
    account = f"{realm.issuer}/account/"
    shown = realm.get(account, headers=headers).json()
    assert shown["username"] == "climber"
    wanted = {
        **shown,
        "firstName": "Changed",
        "attributes": {"vendor_id": ["0198c0de-0000-7000-8000-000000000001"]},
    }
    answer = realm.post(account, headers=headers, json=wanted)
    (kept,) = realm.admin("GET", "/users?username=climber&exact=true").json()
    assert "vendor_id" not in kept.get("attributes", {}), answer.text
    realm.post(account, headers=headers, json={**shown, "firstName": "Changed"}).raise_for_status()
    (kept,) = realm.admin("GET", "/users?username=climber&exact=true").json()
    assert kept["firstName"] == "Changed"


@pytest.mark.usefixtures("anew")
async def test_an_order_stays_its_customer_s_over_a_change_of_keys(shop: Shop, realm: Realm) -> None:
    """Keycloak signs with a new key at once; the old one is first kept for checking, then taken back."""
    realm.add_user("rotating", "customer")
    before = Person(shop.http, realm.login("rotating")["access_token"])
    order = await before.place(of(await shop.product()), wait="20")
    [old] = realm.admin("GET", "/components?type=org.keycloak.keys.KeyProvider&name=rsa-generated").json()
    provider = {**old, "name": "newer", "config": {**old["config"], "priority": ["200"]}}
    del provider["id"]
    realm.admin("POST", "/components", provider)
    after = Person(shop.http, realm.login("rotating")["access_token"])

    async def known() -> bool:
        return (await after.get(f"orders/{order['id']}")).status_code == 200

    await eventually(known)
    assert (await before.get(f"orders/{order['id']}")).status_code == 200
    realm.admin("DELETE", f"/components/{old['id']}")
    # The next look at the keys is due in minutes, or when a key comes that nobody knows yet.
    realm.admin(
        "POST",
        "/components",
        {**provider, "name": "newest", "config": {**provider["config"], "priority": ["300"]}},
    )

    async def refused() -> bool:
        newest = Person(shop.http, realm.login("rotating")["access_token"])
        await newest.get(f"orders/{order['id']}")
        return (await before.get(f"orders/{order['id']}")).status_code == 401

    await eventually(refused)


async def test_the_realm_that_make_backends_up_imported_is_the_file_s(
    backend: Callable[[str], dict[str, str]],
) -> None:
    server = backend("keycloak")
    imported = Realm(server, server["realm"])
    try:
        found = imported.get(f"{imported.issuer}/.well-known/openid-configuration").json()
        assert (found["issuer"], imported.issuer) == (server["issuer"], server["issuer"])
        [client] = imported.admin("GET", f"/clients?clientId={CLIENT}").json()
        assert client["attributes"]["pkce.code.challenge.method"] == "S256"
        assert CALLBACK in client["redirectUris"]
    finally:
        imported.close()
