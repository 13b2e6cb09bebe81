"""The Basic OP plan, last third: codes, secrets, refresh tokens, PKCE, request objects."""

from __future__ import annotations

import base64
import json
import secrets

from oidcc import flows
from oidcc.browser import query
from oidcc.conditions import answers, tokens
from oidcc.op import Op
from oidcc.party import Party, Request


def test_oidcc_codereuse(op: Op) -> None:
    """A code that was used is worth nothing.

    - the conditions of every flow
    - the second use: status 400, JSON, invalid_grant, readable, and no token
    """
    party = op.party()
    flow = flows.sound_flow(op, party, op.browser())
    tokens.is_token_error(party.exchange(flow.answer["code"]), "invalid_grant")


def test_oidcc_codereuse_30seconds(op: Op) -> None:
    """A code that was used is worth nothing half a minute later either, and what it gave is taken back.

    - the conditions of every flow
    - the second use, 30 seconds after the first: status 400, JSON, invalid_grant, readable, and no token
    - the access token of the first use is refused at userinfo (RFC 6749, section 4.1.2)
    - (ours) so is the refresh token
    """
    party = op.party()
    flow = flows.sound_flow(op, party, op.browser())
    op.later(30)
    tokens.is_token_error(party.exchange(flow.answer["code"]), "invalid_grant")
    tokens.is_refused_at_userinfo(party.userinfo(flow.access_token))
    tokens.is_token_error(party.refresh(flow.refresh_token), "invalid_grant")


def test_oidcc_server_client_secret_post(op: Op) -> None:
    """The code flow with client_secret_post.

    - discovery names the method
    - the conditions of every flow, of the configuration and of the keys
    - the code has the length and the entropy of 128 random bits
    - at_hash fits the access token
    """
    party = op.party("post")
    assert party.method == "client_secret_post"
    assert party.method in op.metadata["token_endpoint_auth_methods_supported"]
    flow = flows.sound_flow(op, party, op.browser())
    answers.code_cannot_be_guessed(flow.answer)
    tokens.at_hash_is(flow.claims, flow.access_token)


def unsigned(op: Op, party: Party, request: Request) -> str:
    """The request as an object that nobody signed (Core, section 6.1)."""
    claims = {**request.params, "iss": party.id, "aud": op.issuer}
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])


def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(op: Op) -> None:
    """request_uri: taken, or refused as what it is; with us refused.

    - the error is request_uri_not_supported, sent to the redirect_uri; the conditions of an error
    - discovery says the same: request_uri_parameter_supported is false, which is not the default
    - nobody was asked to log in for it
    """
    party, browser = op.party(), op.browser()
    request = party.request(request_uri=f"{party.callback}/request.jwt")
    page = flows.ask(op, request, browser)
    flows.error_answer(op, party, request, page, "request_uri_not_supported")
    assert op.metadata["request_uri_parameter_supported"] is False
    answers.was_shown(browser.shown)


def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(op: Op) -> None:
    """request: taken, or refused as what it is, and never passed over; with us refused.

    - the error is request_not_supported, sent to the redirect_uri; the conditions of an error
    - discovery says the same: request_parameter_supported is false
    - nobody was asked to log in for it
    """
    party, browser = op.party(), op.browser()
    plain = party.request()
    request = Request(plain.endpoint, {**plain.params, "request": unsigned(op, party, plain)})
    page = flows.ask(op, request, browser)
    flows.error_answer(op, party, request, page, "request_not_supported")
    assert op.metadata.get("request_parameter_supported", False) is False
    answers.was_shown(browser.shown)


def test_oidcc_ensure_request_object_with_redirect_uri(op: Op) -> None:
    """A good redirect_uri in the request object and a bad one beside it.

    - the object is not read here, so that the bad one counts: an error page, and no redirect at all
    - a provider that read the object would have to answer to the good one; to the bad one never
    """
    party, browser = op.party(), op.browser()
    plain = party.request()
    bad = f"{party.callback}/{secrets.token_urlsafe(6)}"
    params = {**plain.params, "request": unsigned(op, party, plain), "redirect_uri": bad}
    page = flows.ask(op, Request(plain.endpoint, params), browser)
    answers.is_error_page(page)
    answers.was_shown(browser.shown, "nothing")
    assert "code" not in query(page.url)


def test_oidcc_refresh_token(op: Op) -> None:
    """Refresh tokens: they work, they are their client's alone.

    - discovery names the grant and offline_access; two clients, each a flow with offline_access and prompt=consent
    - the refresh token has letters of VSCHAR alone, and cannot be guessed
    - a refresh a second later: status 200, JSON, kept out of caches, another access token, type Bearer, expires_in
    - its ID token is of the same iss, sub, aud, azp and auth_time, its iat is later
    - the new access token works at userinfo
    - the second client's refresh token, presented by the first: status 400, JSON, invalid_grant
    """
    assert "refresh_token" in op.metadata["grant_types_supported"]
    assert "offline_access" in op.metadata["scopes_supported"]
    first, second = op.party("first"), op.party("second")
    refreshed(op, first)
    stolen = refreshed(op, second)
    tokens.is_token_error(first.refresh(stolen), "invalid_grant")


def refreshed(op: Op, party: Party) -> str:
    """A flow and a refresh after it, with their conditions; the refresh token that came last."""
    flow = flows.sound_flow(op, party, op.browser(), scope="openid offline_access", prompt="consent")
    assert tokens.TOKEN.fullmatch(flow.refresh_token)
    answers.is_random(flow.refresh_token)
    op.later(1)
    reply = party.refresh(flow.refresh_token)
    tokens.tokens_are_sound(reply)
    assert reply.json["access_token"] != flow.access_token
    _, claims = flows.sound_id_token(op, party, reply, nonce=reply_nonce(op, party, reply))
    tokens.renewed_token_goes_with(flow.claims, claims)
    tokens.userinfo_is_of(party.userinfo(reply.json["access_token"]), claims)
    return str(reply.json.get("refresh_token", flow.refresh_token))


def reply_nonce(op: Op, party: Party, reply: flows.Reply) -> str | None:
    """It should not be there, and if it is, it is the first one's (Core, section 12.2): ours has none."""
    _, claims = tokens.verified(reply.json["id_token"], op.keys, party.algorithm)
    tokens.claims_are_absent(claims, "nonce")
    return None


def test_oidcc_ensure_request_with_valid_pkce_succeeds(op: Op) -> None:
    """A client that need not use PKCE may (RFC 7636).

    - a challenge by S256 with the request, the verifier with the code: the conditions of every flow
    - (ours) discovery names S256, and not plain
    """
    assert op.metadata["code_challenge_methods_supported"] == ["S256"]
    verifier = secrets.token_urlsafe(48)
    request = op.party().request(verifier=verifier)
    assert request.params["code_challenge_method"] == "S256"
    flows.sound_flow(op, op.party(), op.browser(), request=request, verifier=verifier)
