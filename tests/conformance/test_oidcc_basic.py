"""The Basic OP plan, first third: the flow itself, ID token, userinfo, scopes, display."""

from __future__ import annotations

import secrets

from oidcc import flows
from oidcc.browser import query
from oidcc.conditions import answers, server, tokens
from oidcc.op import Op, a_client


def test_oidcc_server(op: Op) -> None:
    """The code flow with client_secret_basic, from the request to userinfo.

    - the conditions of every flow (`oidcc.flows`), of the configuration and of the keys
    - a fresh browser is asked to log in
    - the code has the length and the entropy of 128 random bits
    - at_hash fits the access token; c_hash, where there is one, would have to fit the code: there is none
    - the ID token has no name: nobody asked for it there
    """
    browser = op.browser()
    flow = flows.sound_flow(op, op.party(), browser)
    assert "login" in browser.shown
    answers.code_cannot_be_guessed(flow.answer)
    tokens.at_hash_is(flow.claims, flow.access_token)
    tokens.claims_are_absent(flow.claims, "c_hash", "name", "email", "address", "phone_number")


def test_oidcc_response_type_missing(op: Op) -> None:
    """A request without response_type is refused.

    - either an error page, or an error to the redirect_uri: with us the latter
    - the error is invalid_request or unsupported_response_type, with the state and the issuer, and without a code
    - nobody was asked to log in for it
    """
    party, browser = op.party(), op.browser()
    request = party.request(response_type=None)
    assert "response_type" not in request.params
    page = flows.ask(op, request, browser)
    flows.error_answer(op, party, request, page, "invalid_request", "unsupported_response_type")
    answers.was_shown(browser.shown)


def test_oidcc_idtoken_signature(op: Op) -> None:
    """A client that chose no algorithm gets its ID tokens by RS256.

    - the header has a kid, and a published key has it
    - the algorithm is RS256, the default of Registration
    - the conditions of every flow
    - (ours) a client that chose ES256 gets that
    """
    flow = flows.sound_flow(op, op.party(), op.browser())
    assert flow.header["alg"] == "RS256"
    assert flow.header["kid"] in [key["kid"] for key in op.keys["keys"]]
    flow = flows.sound_flow(op, op.party("es256"), op.browser())
    assert flow.header["alg"] == "ES256"


def test_oidcc_idtoken_unsigned(op: Op) -> None:
    """No ID token is unsigned (the suite skips the module where `none` is not among the algorithms).

    - `none` is not among id_token_signing_alg_values_supported
    - nobody can register a client with it
    - the ID token of a flow is signed
    """
    assert "none" not in op.metadata["id_token_signing_alg_values_supported"]
    refused = op.provider.register(a_client("unsigned", id_token_signed_response_alg="none"))
    assert refused.status_code in (400, 422), refused.text
    flow = flows.sound_flow(op, op.party(), op.browser())
    assert flow.header["alg"] != "none"


def test_oidcc_userinfo_get(op: Op) -> None:
    """Userinfo by GET, the token in the header.

    - the conditions of every flow; status 200, JSON, and sub is the ID token's
    - (ours) without a token, and with a wrong one, 401 and a challenge
    """
    party = op.party()
    flow = flows.sound_flow(op, party, op.browser(), by="get")
    tokens.is_refused_at_userinfo(party.userinfo(f"{flow.access_token}x"))
    without = op.fetch(op.metadata["userinfo_endpoint"])
    assert without.status_code == 401, without.text
    assert without.headers["www-authenticate"].lower().startswith("bearer"), without.headers


def test_oidcc_userinfo_post_header(op: Op) -> None:
    """Userinfo by POST, the token in the header.

    - the conditions of every flow; status 200, JSON, and sub is the ID token's
    """
    flows.sound_flow(op, op.party(), op.browser(), by="post")


def test_oidcc_userinfo_post_body(op: Op) -> None:
    """Userinfo by POST, the token in the body (RFC 6750, section 2.2).

    - the conditions of every flow; status 200, JSON, and sub is the ID token's
    """
    flows.sound_flow(op, op.party(), op.browser(), by="body")


def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(op: Op) -> None:
    """In the code flow the nonce is optional.

    - a request without one is answered by a code, with the conditions of an answer
    - (ours) the ID token then has none
    """
    request = op.party().request(nonce=None)
    assert request.nonce is None
    flow = flows.sound_flow(op, op.party(), op.browser(), request=request)
    tokens.claims_are_absent(flow.claims, "nonce")


def scoped(op: Op, scope: str, *names: str) -> flows.Flow:
    """A flow with this scope: userinfo has the claims of it, and the ID token has not (Core, section 5.4)."""
    server.values_include(op.metadata, "scopes_supported", *scope.split())
    flow = flows.sound_flow(op, op.party(), op.browser(), scope=scope)
    missing = [name for name in names if name not in flow.userinfo.json]
    assert not missing, f"userinfo is without {missing}: {flow.userinfo.json}"
    tokens.claims_are_absent(flow.claims, *names)
    return flow


PROFILE = ("name", "updated_at")
EMAIL = ("email", "email_verified")
ADDRESS = ("address",)
PHONE = ("phone_number", "phone_number_verified")


def test_oidcc_scope_profile(op: Op) -> None:
    """The scope profile gives what we know of it: name and updated_at.

    - the scope is among scopes_supported; the conditions of every flow
    - the claims of the scope come from userinfo, with the standard's types; updated_at is a time in the past
    - the ID token has none of them; the claims of other scopes are not there
    """
    flow = scoped(op, "openid profile", *PROFILE)
    assert 0 < flow.userinfo.json["updated_at"] <= op.now.timestamp() + 1
    tokens.claims_are_absent(flow.userinfo.json, *EMAIL, *ADDRESS, *PHONE)


def test_oidcc_scope_email(op: Op) -> None:
    """The scope email gives email and email_verified.

    - the scope is among scopes_supported; the conditions of every flow
    - the claims of the scope come from userinfo, with the standard's types, and are the person's
    - the ID token has none of them; the claims of other scopes are not there
    """
    flow = scoped(op, "openid email", *EMAIL)
    assert flow.userinfo.json["email"] == op.ada.email
    tokens.claims_are_absent(flow.userinfo.json, *PROFILE, *ADDRESS, *PHONE)


def test_oidcc_scope_address(op: Op) -> None:
    """The scope address gives the address, an object of the standard's members.

    - the scope is among scopes_supported; the conditions of every flow
    - the claim comes from userinfo: an object, its members strings with the names of Core, section 5.1.1
    - the ID token has none of it; the claims of other scopes are not there
    """
    flow = scoped(op, "openid address", *ADDRESS)
    assert flow.userinfo.json["address"], "an empty address"
    tokens.claims_are_absent(flow.userinfo.json, *PROFILE, *EMAIL, *PHONE)


def test_oidcc_scope_phone(op: Op) -> None:
    """The scope phone gives phone_number, in the form of E.164, and phone_number_verified.

    - the scope is among scopes_supported; the conditions of every flow
    - the claims of the scope come from userinfo, with the standard's types
    - the ID token has none of them; the claims of other scopes are not there
    """
    flow = scoped(op, "openid phone", *PHONE)
    assert flow.userinfo.json["phone_number"].startswith("+")
    tokens.claims_are_absent(flow.userinfo.json, *PROFILE, *EMAIL, *ADDRESS)


def test_oidcc_scope_all(op: Op) -> None:
    """All four scopes at once.

    - each is among scopes_supported; the conditions of every flow
    - userinfo has the claims of all, the ID token of none
    """
    scoped(op, "openid profile email address phone", *PROFILE, *EMAIL, *ADDRESS, *PHONE)


def test_oidcc_alternate_happy_flow(op: Op) -> None:
    """The order of scopes and of parameters means nothing (RFC 6749, section 3.3).

    - the scopes backwards and the parameters of the request in another order: the conditions of every flow
    - the claims of email come from userinfo
    """
    party = op.party()
    plain = party.request(scope="email openid")
    request = flows.Request(plain.endpoint, dict(sorted(plain.params.items(), reverse=True)))
    flow = flows.sound_flow(op, party, op.browser(), request=request)
    assert flow.userinfo.json["email"] == op.ada.email


def test_oidcc_display_page(op: Op) -> None:
    """display=page, in a browser without cookies.

    - the person gets a login page
    - the conditions of every flow
    """
    browser = op.browser()
    flows.sound_flow(op, op.party(), browser, display="page")
    assert "login" in browser.shown


def test_oidcc_display_popup(op: Op) -> None:
    """display=popup, in a browser without cookies.

    - the person gets a login page
    - the conditions of every flow
    """
    browser = op.browser()
    flows.sound_flow(op, op.party(), browser, display="popup")
    assert "login" in browser.shown


def test_oidcc_ensure_request_with_unknown_parameter_succeeds(op: Op) -> None:
    """What is not known is passed over (RFC 6749, section 3.1).

    - a request with a parameter that nobody has heard of: the conditions of every flow
    - the parameter does not come back
    """
    flow = flows.sound_flow(op, op.party(), op.browser(), extra=secrets.token_urlsafe(8))
    assert "extra" not in flow.answer


def test_oidcc_ensure_post_request_succeeds(op: Op) -> None:
    """The authorization endpoint takes POST, the parameters as a form (Core, section 3.1.2.1).

    - the conditions of every flow
    """
    party, browser = op.party(), op.browser()
    request = party.request()
    page = op.ada.goes_on(browser, browser.post(request.endpoint, request.params), op.issuer)
    answer = flows.sound_answer(op, party, request, page)
    reply, _, claims = flows.sound_tokens(op, party, request, answer)
    tokens.userinfo_is_of(party.userinfo(reply.json["access_token"]), claims)


def test_oidcc_ensure_registered_redirect_uri(op: Op) -> None:
    """An address that was not registered is never sent to.

    - the registered one with something after it: an error page, and no redirect at all
    - nobody was asked to log in for it
    """
    party, browser = op.party(), op.browser()
    request = party.request(redirect_uri=f"{party.callback}/{secrets.token_urlsafe(6)}")
    page = flows.ask(op, request, browser)
    answers.is_error_page(page)
    answers.was_shown(browser.shown, "nothing")
    assert "code" not in query(page.url)
