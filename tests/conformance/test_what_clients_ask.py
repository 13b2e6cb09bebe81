"""What clients ask by themselves: other ways to prove who they are, tokens for themselves, devices, giving tokens back."""

from __future__ import annotations

import json
import secrets
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from oidcc import flows
from oidcc.browser import Browser, Page
from oidcc.conditions import answers, tokens
from oidcc.op import Op
from oidcc.party import Party

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
SECONDS = 3600
"""The life of an assertion that Authlib makes when nobody tells it otherwise."""
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def with_a_key(op: Op) -> tuple[Party, ec.EllipticCurvePrivateKey]:
    """A client that proves who it is by private_key_jwt."""
    key = ec.generate_private_key(ec.SECP256R1())
    public, private = (
        {**json.loads(ECAlgorithm.to_jwk(one)), "kid": "k1", "use": "sig", "alg": "ES256"}
        for one in (key.public_key(), key)
    )
    party = op.newcomer(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [public]})
    endpoint = op.metadata["token_endpoint"]
    party.signs_with(private, audience=endpoint, now=op.now, seconds=SECONDS)
    return party, key


def assertion(op: Op, party: Party, key: ec.EllipticCurvePrivateKey, **over: Any) -> dict[str, str]:
    now = int(op.now.timestamp())
    claims = {
        "iss": party.id, "sub": party.id, "aud": op.metadata["token_endpoint"], "jti": secrets.token_hex(8),
        "iat": now, "exp": now + 60, **over,
    }  # fmt: skip
    token = jwt.encode(claims, key, "ES256", headers={"kid": "k1"})
    return {"client_assertion_type": ASSERTION, "client_assertion": token}


def test_private_key_jwt_proves_a_client(op: Op) -> None:
    """A client with a key instead of a secret: the conditions of every flow (Core, section 9; RFC 7523)."""
    party, _ = with_a_key(op)
    flows.sound_flow(op, party, op.browser())


def test_an_assertion_is_good_once_and_for_us_alone(op: Op) -> None:
    """Used again, for somebody else, of another client, too old, or by another key: invalid_client (RFC 7523, section 3)."""
    party, key = with_a_key(op)
    bare = op.impostor(party, token_endpoint_auth_method="none")
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    good = assertion(op, party, key)
    tokens.is_token_error(bare.asks("token_endpoint", **form, **good), "invalid_grant")
    wrong = {
        "again": good,
        "audience": assertion(op, party, key, aud="https://elsewhere.example/token"),
        "client": assertion(op, party, key, iss=op.party().id),
        "old": assertion(op, party, key, exp=int(op.now.timestamp()) - 3600),
        "key": assertion(op, party, ec.generate_private_key(ec.SECP256R1())),
    }
    for name, one in wrong.items():
        refused = bare.asks("token_endpoint", **form, **one)
        assert refused.json.get("error") == "invalid_client", (name, refused)
        tokens.is_token_error(refused, "invalid_client", status=401)


def itself(op: Op) -> Party:
    """A client that acts for itself."""
    over: dict[str, Any] = {"redirect_uris": [], "post_logout_redirect_uris": []}
    return op.newcomer(grant_types=["client_credentials"], scopes=["api"], roles=["courier"], **over)


def test_client_credentials_give_a_token_for_the_client_itself(op: Op) -> None:
    """No refresh token, no ID token, nothing at userinfo; more scope than registered is refused (RFC 6749, section 4.4)."""
    party = itself(op)
    reply = party.asks("token_endpoint", grant_type="client_credentials", scope="api")
    tokens.tokens_are_sound(reply)
    assert not {"refresh_token", "id_token"} & reply.json.keys(), reply.json
    header, claims = tokens.verified(reply.json["access_token"], op.keys, "ES256")
    assert header["typ"] == "at+jwt"
    assert (claims["sub"], claims["client_id"], claims["roles"]) == (party.id, party.id, ["courier"])
    assert party.userinfo(reply.json["access_token"]).status in (401, 403)
    wider = party.asks("token_endpoint", grant_type="client_credentials", scope="openid api")
    tokens.is_token_error(wider, "invalid_scope")
    other = op.party().asks("token_endpoint", grant_type="client_credentials")
    tokens.is_token_error(other, "unauthorized_client")


def test_an_access_token_without_the_scope_api_has_no_roles(op: Op) -> None:
    """Who may read a profile may not place orders: typ at+jwt, the scope as granted, and no role (RFC 9068)."""
    flow = flows.sound_flow(op, op.party(), op.browser(), scope="openid profile")
    header, claims = tokens.verified(flow.access_token, op.keys, "ES256")
    assert header["typ"] == "at+jwt"
    assert claims["roles"] == []
    assert claims["scope"].split() == ["openid", "profile"]
    assert claims["client_id"] == op.party().id
    me = op.provider.http.get(
        f"{op.issuer}/api/v1/auth/me", headers={"authorization": f"Bearer {flow.access_token}"}
    )
    assert me.status_code in (401, 403), me.text


def test_an_id_token_is_no_access_token(op: Op) -> None:
    """Neither at userinfo nor at the API (RFC 9068, section 5)."""
    party = op.party()
    flow = flows.sound_flow(op, party, op.browser())
    tokens.is_refused_at_userinfo(party.userinfo(flow.id_token))
    headers = {"authorization": f"Bearer {flow.id_token}"}
    assert op.provider.http.get(f"{op.issuer}/api/v1/auth/me", headers=headers).status_code == 401


def test_a_token_can_be_looked_at_by_its_client(op: Op) -> None:
    """Introspection: active with its claims for its client, inactive for another, and for what is no token (RFC 7662)."""
    first, second = op.party("first"), op.party("second")
    flow = flows.sound_flow(op, first, op.browser(), scope="openid email")
    for token in (flow.access_token, flow.refresh_token):
        reply = first.asks("introspection_endpoint", token=token)
        tokens.answer_is_json(reply, 200)
        assert reply.json["active"] is True, reply.json
        assert (reply.json["sub"], reply.json["client_id"]) == (flow.claims["sub"], first.id)
        assert reply.json["scope"].split() == ["openid", "email"]
        assert second.asks("introspection_endpoint", token=token).json == {"active": False}
    assert first.asks("introspection_endpoint", token="nothing").json == {"active": False}
    refused = op.impostor(first, client_secret="x" * 43).asks("introspection_endpoint", token="nothing")
    tokens.is_token_error(refused, "invalid_client", status=401)


def test_a_token_can_be_given_back(op: Op) -> None:
    """Revocation: an access token ends, a refresh token ends with all of its family, another's does not (RFC 7009)."""
    first, second = op.party("first"), op.party("second")
    flow = flows.sound_flow(op, first, op.browser())
    assert second.asks("revocation_endpoint", token=flow.refresh_token).status == 200
    assert second.asks("revocation_endpoint", token=flow.access_token).status == 200
    tokens.userinfo_is_of(first.userinfo(flow.access_token), flow.claims)
    assert first.asks("revocation_endpoint", token=flow.access_token).status == 200
    tokens.is_refused_at_userinfo(first.userinfo(flow.access_token))
    newer = first.refresh(flow.refresh_token)
    tokens.tokens_are_sound(newer)
    assert first.asks("revocation_endpoint", token=newer.json["refresh_token"]).status == 200
    tokens.is_refused_at_userinfo(first.userinfo(newer.json["access_token"]))
    tokens.is_token_error(first.refresh(newer.json["refresh_token"]), "invalid_grant")
    unknown = first.asks("revocation_endpoint", token="nothing")
    assert (unknown.status, unknown.text) == (200, "")
    assert first.asks("introspection_endpoint", token=newer.json["access_token"]).json == {"active": False}


def a_device(op: Op) -> Party:
    return op.newcomer(grant_types=["authorization_code", DEVICE])


def poll(party: Party, device: dict[str, Any]) -> Any:
    return party.asks("token_endpoint", grant_type=DEVICE, device_code=device["device_code"])


def begun(op: Op, party: Party) -> dict[str, Any]:
    """A device that asks for its codes, and the conditions of the answer (RFC 8628, section 3.2)."""
    reply = party.asks("device_authorization_endpoint", scope="openid email")
    tokens.answer_is_json(reply, 200)
    device = reply.json
    answers.is_random(device["device_code"])
    assert device["verification_uri"].startswith(f"{op.issuer}/"), device
    assert device["user_code"] in device["verification_uri_complete"], device
    assert 0 < device["expires_in"] <= 1800, device
    assert device["interval"] >= 1, device
    return device


def decides(op: Op, browser: Browser, device: dict[str, Any], decision: str) -> Page:
    """The person goes where the device says, logs in, sees what it is about, and says so."""
    page = browser.get(device["verification_uri_complete"])
    if page.kind == "login":
        page = op.ada.logs_in(browser, page)
    while page.redirect:
        page = browser.get(page.redirect)
    form = page.asks("device")
    if ("decision", decision) not in form.buttons:
        page = browser.submit(page, form, user_code=device["user_code"])
    return browser.submit(page, page.asks("device"), user_code=device["user_code"], decision=decision)


def test_a_device_is_let_in_by_a_person(op: Op) -> None:
    """authorization_pending, slow_down, then tokens, once; the ID token is the person's (RFC 8628)."""
    party, browser = a_device(op), op.browser()
    device = begun(op, party)
    tokens.is_token_error(poll(party, device), "authorization_pending")
    tokens.is_token_error(poll(party, device), "slow_down")
    done = decides(op, browser, device, "allow")
    assert (done.status, done.kind) == (200, "nothing"), done
    op.later(2 * device["interval"] + 1)
    reply = poll(party, device)
    tokens.tokens_are_sound(reply)
    _, claims = flows.sound_id_token(op, party, reply, nonce=None)
    userinfo = party.userinfo(reply.json["access_token"])
    tokens.userinfo_is_of(userinfo, claims)
    assert userinfo.json["email"] == op.ada.email
    op.later(device["interval"] + 1)
    tokens.is_token_error(poll(party, device), "invalid_grant")


def test_a_device_that_is_denied_or_too_slow_gets_nothing(op: Op) -> None:
    """access_denied, expired_token; another client's code is invalid_grant (RFC 8628, section 3.5)."""
    party, browser = a_device(op), op.browser()
    device = begun(op, party)
    tokens.is_token_error(poll(a_device(op), device), "invalid_grant")
    decides(op, browser, device, "deny")
    tokens.is_token_error(poll(party, device), "access_denied")
    device = begun(op, party)
    op.later(device["expires_in"] + 1)
    tokens.is_token_error(poll(party, device), "expired_token")
