"""What the modules of the plans do not ask and a provider can get wrong all the same."""

from __future__ import annotations

import secrets
from typing import Any

from oidcc import flows
from oidcc.browser import query
from oidcc.conditions import answers, tokens
from oidcc.op import Op

VERIFIER = secrets.token_urlsafe(48)


def test_another_verifier_gets_no_tokens(op: Op) -> None:
    """A code with a challenge needs its verifier (RFC 7636, section 4.6).

    - another verifier, and none: status 400, invalid_grant
    - a verifier for a code without a challenge is refused too: it was taken from somewhere else (RFC 9700, section 2.1.1)
    """
    party, browser = op.party(), op.browser()
    for wrong in ({"verifier": secrets.token_urlsafe(48)}, {}):
        request = party.request(verifier=VERIFIER)
        answer = flows.sound_answer(op, party, request, flows.ask(op, request, browser))
        tokens.is_token_error(party.exchange(answer["code"], **wrong), "invalid_grant")
    request = party.request()
    answer = flows.sound_answer(op, party, request, flows.ask(op, request, browser))
    tokens.is_token_error(party.exchange(answer["code"], verifier=VERIFIER), "invalid_grant")


def test_a_public_client_needs_pkce(op: Op) -> None:
    """A public client cannot do without PKCE, nor with plain (RFC 9700, section 2.1.1).

    - without a challenge, and with a plain one: invalid_request to the redirect_uri
    - with S256: the conditions of every flow, without a secret
    """
    party, browser = op.party("public"), op.browser()
    refused: list[dict[str, Any]] = [{}, {"code_challenge": VERIFIER, "code_challenge_method": "plain"}]
    for params in refused:
        request = party.request(**params)
        page = flows.ask(op, request, browser)
        flows.error_answer(op, party, request, page, "invalid_request")
    flows.sound_flow(op, party, browser, verifier=VERIFIER)


def test_a_client_that_has_to_use_pkce_has_to(op: Op) -> None:
    """A confidential client with require_pkce cannot do without.

    - without a challenge: invalid_request to the redirect_uri; with one: the conditions of every flow
    """
    party, browser = op.newcomer(require_pkce=True), op.browser()
    request = party.request()
    flows.error_answer(op, party, request, flows.ask(op, request, browser), "invalid_request")
    flows.sound_flow(op, party, browser, verifier=VERIFIER)


def test_the_code_of_another_client_gets_no_tokens(op: Op) -> None:
    """A code is its client's alone (RFC 6749, section 4.1.3).

    - presented by another client, with its own secret: status 400, invalid_grant
    """
    first, second, browser = op.party("first"), op.party("second"), op.browser()
    request = first.request()
    answer = flows.sound_answer(op, first, request, flows.ask(op, request, browser))
    for callback in (first.callback, second.callback):
        stolen = second.exchange(answer["code"], redirect_uri=callback)
        tokens.is_token_error(stolen, "invalid_grant")


def test_the_code_is_bound_to_its_redirect_uri(op: Op) -> None:
    """A code is good for the redirect_uri that it was sent to (RFC 6749, section 4.1.3).

    - another address, though it is registered as well: status 400, invalid_grant
    """
    uris = [f"https://two-{secrets.token_hex(6)}.rp.example/{name}" for name in ("one", "two")]
    party, browser = op.newcomer(redirect_uris=uris), op.browser()
    request = party.request()
    answer = flows.sound_answer(op, party, request, flows.ask(op, request, browser))
    tokens.is_token_error(party.exchange(answer["code"], redirect_uri=uris[1]), "invalid_grant")


def test_a_code_lives_for_a_minute(op: Op) -> None:
    """A code has a short life (RFC 6749, section 4.1.2).

    - after 61 seconds: status 400, invalid_grant
    """
    party, browser = op.party(), op.browser()
    request = party.request()
    answer = flows.sound_answer(op, party, request, flows.ask(op, request, browser))
    op.later(61)
    tokens.is_token_error(party.exchange(answer["code"]), "invalid_grant")


def test_a_wrong_secret_gets_no_tokens(op: Op) -> None:
    """Only the registered method with the right secret proves a client (RFC 6749, section 5.2).

    - a wrong secret: status 401, invalid_client, and for Basic a challenge
    - the right secret by the method that was not registered: the same
    - the code is not spent by it
    """
    party, browser = op.party(), op.browser()
    request = party.request()
    answer = flows.sound_answer(op, party, request, flows.ask(op, request, browser))
    wrong = op.impostor(party, client_secret="x" * 43)
    other = op.impostor(party, token_endpoint_auth_method="client_secret_post")
    for impostor in (wrong, other):
        refused = impostor.exchange(answer["code"])
        tokens.is_token_error(refused, "invalid_client", status=401)
    challenge = wrong.exchange(answer["code"]).headers.get("www-authenticate", "")
    assert challenge.lower().startswith("basic"), challenge
    flows.sound_tokens(op, party, request, answer)


REDIRECT_TRICKS = (
    "{uri}.evil.example",
    "{uri}/../evil",
    "{uri}?next=evil",
    "{uri}#evil",
    "https://first.rp.example@evil.example/callback",
    "https://first.rp.example%2f@evil.example/callback",
    "http://first.rp.example/callback",
    "https://first.rp.example/CALLBACK",
    "https://first.rp.example:444/callback",
    "",
)


def test_no_trick_makes_an_address_a_registered_one(op: Op) -> None:
    """Addresses are compared letter by letter (RFC 9700, section 4.1.3).

    - prefix, path, query, fragment, userinfo, encoding, scheme, case, port, none: an error page, no redirect, no login
    """
    party = op.party()
    for trick in REDIRECT_TRICKS:
        browser = op.browser()
        request = party.request(redirect_uri=trick.format(uri=party.callback))
        answers.is_error_page(flows.ask(op, request, browser))
        answers.was_shown(browser.shown, "nothing")


def test_an_unknown_client_sends_nobody_anywhere(op: Op) -> None:
    """An unknown client_id: an error page, no redirect."""
    party, browser = op.party(), op.browser()
    answers.is_error_page(flows.ask(op, party.request(client_id=secrets.token_hex(8)), browser))


def test_a_response_type_that_is_not_there_is_refused(op: Op) -> None:
    """`token` and `id_token` are refused by unsupported_response_type, told to the client."""
    party, browser = op.party(), op.browser()
    for kind in ("token", "id_token", "code id_token"):
        request = party.request(response_type=kind)
        page = flows.ask(op, request, browser)
        flows.error_answer(op, party, request, page, "unsupported_response_type")


def test_a_third_party_asks_for_consent_once(op: Op) -> None:
    """Consent is asked for, remembered, and can be refused (Core, section 3.1.2.4).

    - a client of somebody else: the person is asked, once; with prompt=none before that, consent_required
    - who says no sends access_denied to the client
    - prompt=consent asks again
    """
    party, browser = op.newcomer(), op.browser()
    flows.sound_flow(op, op.party(), browser)  # logged in, by another client
    browser.shown.clear()
    request = party.request(prompt="none")
    flows.error_answer(op, party, request, browser.get(request.url), "consent_required")
    request = party.request()
    page = flows.ask(op, request, browser, consent="deny")
    flows.error_answer(op, party, request, page, "access_denied")
    answers.was_shown(browser.shown, "consent")
    flows.sound_flow(op, party, browser)
    flows.sound_flow(op, party, browser)
    answers.was_shown(browser.shown, "consent", "consent")
    flows.sound_flow(op, party, browser, prompt="consent")
    answers.was_shown(browser.shown, "consent", "consent", "consent")


def test_a_wrong_password_is_asked_for_again(op: Op) -> None:
    """Status 401, the login page with an alert, no redirect; then the right one works."""
    party, browser = op.party(), op.browser()
    request = party.request()
    page = browser.get(request.url)
    while page.redirect:
        page = browser.get(page.redirect)
    page = browser.submit(page, page.asks("login"), email=op.ada.email, password="not this one")
    assert page.status == 401, page
    assert page.alert, page
    done = op.ada.goes_on(browser, op.ada.logs_in(browser, page), op.issuer)
    flows.sound_answer(op, party, request, done)


def test_a_form_of_another_browser_is_refused(op: Op) -> None:
    """An interaction is bound to the browser that began it: no CSRF (RFC 9700, section 4.7).

    - the login form, filled in rightly in another browser: status 403, no redirect to the client
    """
    party, browser = op.party(), op.browser()
    page = browser.get(party.request().url)
    while page.redirect:
        page = browser.get(page.redirect)
    stolen = op.ada.logs_in(op.browser(), page)
    assert stolen.status == 403, stolen
    assert stolen.redirect is None, stolen


def test_the_cookie_is_a_careful_one(op: Op) -> None:
    """HttpOnly, SameSite=Lax, Path=/, and no Domain."""
    browser = op.browser()
    page = browser.get(op.party().request().url)
    said = page.headers.get("set-cookie", "").lower()
    assert said.startswith("orderhub_op="), said
    parts = {part.strip() for part in said.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= parts, said
    assert not [part for part in parts if part.startswith("domain")], said


def test_pages_are_framed_and_cached_by_nobody(op: Op) -> None:
    """A login page is in no frame (RFC 9700, section 4.16) and in no cache.

    - frame-ancestors 'none' in the policy, no-store, no referrer to others
    """
    browser = op.browser()
    page = browser.get(op.party().request().url)
    while page.redirect:
        page = browser.get(page.redirect)
    page.asks("login")
    assert "frame-ancestors 'none'" in page.headers.get("content-security-policy", ""), page.headers
    assert "no-store" in page.headers.get("cache-control", ""), page.headers
    assert page.headers.get("referrer-policy"), page.headers


def test_form_post_hides_the_code_from_the_address(op: Op) -> None:
    """response_mode=form_post answers by a form (OAuth 2.0 Form Post Response Mode).

    - response_mode=form_post: a page with a form for the redirect_uri, with what the query would have had
    """
    party, browser = op.party(), op.browser()
    request = party.request(response_mode="form_post")
    page = flows.ask(op, request, browser)
    assert page.status == 200, page
    (form,) = page.forms
    assert (form.action, form.method) == (party.callback, "POST")
    answers.issuer_is_named(form.fields, op.issuer)
    answers.state_is_returned(form.fields, request.params["state"])
    flows.sound_tokens(op, party, request, form.fields)


def test_logout_by_a_hint_of_another_session_asks_first(op: Op) -> None:
    """A hint that is not of this browser's session ends nothing by itself (RP-Initiated Logout, section 2).

    - the hint of Ada's other browser, and of Grace: a question; who stays is logged in still
    """
    party, browser = op.party(), op.browser()
    flows.sound_flow(op, party, browser)
    for person in (op.ada, op.grace):
        hint = flows.sound_flow(op, party, op.browser(), person=person).id_token
        page = browser.get(party.logout_url(id_token_hint=hint, post_logout_redirect_uri=party.after_logout))
        stays = browser.submit(page, page.asks("logout"), decision="stay")
        assert stays.redirect is None or stays.redirect.startswith(op.issuer), stays
        request = party.request(prompt="none")
        flows.sound_answer(op, party, request, browser.get(request.url))


def test_logout_ends_what_the_session_gave(op: Op) -> None:
    """What was given without offline_access ends with the session (Back-Channel Logout, section 2.7).

    - after the logout the refresh token is worth nothing, and neither is the access token at userinfo
    """
    party, browser = op.party(), op.browser()
    flow = flows.sound_flow(op, party, browser)
    answers.says_logged_out(browser.get(party.logout_url(id_token_hint=flow.id_token)))
    tokens.is_refused_at_userinfo(party.userinfo(flow.access_token))
    tokens.is_token_error(party.refresh(flow.refresh_token), "invalid_grant")


def test_logout_leaves_what_was_granted_offline(op: Op) -> None:
    """What was given with offline_access does not end with the session (Back-Channel Logout, section 2.7).

    - after the logout the refresh token works
    """
    party, browser = op.party(), op.browser()
    flow = flows.sound_flow(op, party, browser, scope="openid offline_access", prompt="consent")
    answers.says_logged_out(browser.get(party.logout_url(id_token_hint=flow.id_token)))
    tokens.tokens_are_sound(party.refresh(flow.refresh_token))


def test_logout_is_told_to_every_client_of_the_session(op: Op) -> None:
    """Two clients under one session, one of them asks: both are told, each with its own audience."""
    receiver = op.provider.receiver
    uris = [f"{receiver.url}/{secrets.token_hex(6)}" for _ in range(2)]
    parties, browser = [op.newcomer(backchannel_logout_uri=uri) for uri in uris], op.browser()
    first, second = (flows.sound_flow(op, party, browser) for party in parties)
    assert first.claims["sid"] == second.claims["sid"]
    browser.get(parties[0].logout_url(id_token_hint=first.id_token))
    for party, uri in zip(parties, uris, strict=True):
        _, claims = tokens.verified(receiver.take(uri).form["logout_token"], op.keys, "RS256")
        assert claims["aud"] in (party.id, [party.id])
        assert claims["sid"] == first.claims["sid"]


def test_refresh_tokens_rotate(op: Op) -> None:
    """A refresh token is good once (RFC 9700, section 4.14.2).

    - a refresh gives another one; the old one, long after, is refused, and ends the new one too
    """
    party = op.party()
    flow = flows.sound_flow(op, party, op.browser(), scope="openid offline_access")
    newer = party.refresh(flow.refresh_token).json["refresh_token"]
    assert newer != flow.refresh_token
    op.later(60)
    tokens.is_token_error(party.refresh(flow.refresh_token), "invalid_grant")
    tokens.is_token_error(party.refresh(newer), "invalid_grant")


def test_a_refresh_does_not_widen_the_scope(op: Op) -> None:
    """A refresh gives what was granted or less (RFC 6749, section 6).

    - less than was granted is fine, and the token then opens no more at userinfo; more is invalid_scope
    """
    party = op.party()
    flow = flows.sound_flow(op, party, op.browser(), scope="openid email offline_access")
    less = party.refresh(flow.refresh_token, scope="openid")
    tokens.tokens_are_sound(less)
    assert less.json["scope"].split() == ["openid"], less.json
    tokens.claims_are_absent(party.userinfo(less.json["access_token"]).json, "email")
    more = party.refresh(less.json["refresh_token"], scope="openid profile")
    tokens.is_token_error(more, "invalid_scope")


def test_parameters_that_stand_twice_are_refused(op: Op) -> None:
    """No parameter stands more than once (RFC 6749, section 3.1).

    - with client_id or redirect_uri twice: an error page; with scope twice: invalid_request, to the client or on a page
    """
    party, browser = op.party(), op.browser()
    request = party.request()
    page = browser.get(f"{request.url}&redirect_uri=https%3A%2F%2Fevil.example%2F")
    answers.is_error_page(page)
    page = browser.get(f"{request.url}&scope=openid")
    if page.redirect:
        assert query(page.redirect)["error"] == "invalid_request"
    else:
        answers.is_error_page(page)
