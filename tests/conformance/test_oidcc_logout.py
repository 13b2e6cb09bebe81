"""The plans of RP-initiated logout (RP-Initiated Logout 1.0) and of back-channel logout (Back-Channel Logout 1.0)."""

from __future__ import annotations

import secrets
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from oidcc import flows
from oidcc.browser import Browser, Page, query
from oidcc.conditions import answers, logout
from oidcc.op import Op
from oidcc.party import Party

STATE_LENGTH = 128


def a_state() -> str:
    return secrets.token_urlsafe(STATE_LENGTH)[:STATE_LENGTH]


def asked_to_log_out(
    op: Op, party: Party, browser: Browser, flow: flows.Flow, state: str | None, **over: str | None
) -> Page:
    """The first page: the request has all parameters but those that `over` makes None."""
    params = {
        "id_token_hint": flow.id_token,
        "post_logout_redirect_uri": party.after_logout,
        "state": state,
        **over,
    }
    browser.shown.clear()
    return browser.get(party.logout_url(**params))


def nobody_is_logged_in(op: Op, party: Party, browser: Browser) -> None:
    """prompt=none is answered by one of the errors that say a person would be needed."""
    request = party.request(prompt="none")
    flows.error_answer(op, party, request, browser.get(request.url), *answers.INTERACTION_ERRORS)


def somebody_is_logged_in(op: Op, party: Party, browser: Browser) -> None:
    request = party.request(prompt="none")
    flows.sound_answer(op, party, request, browser.get(request.url))


def sent_back(party: Party, page: Page, state: str | None) -> None:
    """To the registered address, with the state as it was sent and nothing else."""
    assert page.redirect, f"no redirect: {page!r}"
    answers.is_at(page.redirect, party.after_logout)
    params = query(page.redirect)
    assert params.get("state") == state, params
    answers.holds_nothing_unknown(params, frozenset({"state"}))


def refused(op: Op, party: Party, browser: Browser, page: Page) -> None:
    """An error page: no redirect, to nowhere, and nothing ended."""
    answers.is_error_page(page)
    somebody_is_logged_in(op, party, browser)


def asked_first(op: Op, party: Party, browser: Browser, page: Page) -> None:
    """Without a hint the person is asked, so that no link logs anybody out (section 2); then it is done, and told."""
    page.asks("logout")
    somebody_is_logged_in(op, party, browser)
    answers.says_logged_out(op.ada.goes_on(browser, page, op.issuer))
    nobody_is_logged_in(op, party, browser)


def test_oidcc_rp_initiated_logout(op: Op) -> None:
    """With a hint, an address and a state: logged out, and sent back.

    - the conditions of every flow
    - the browser is sent to the registered post_logout_redirect_uri
    - the state, of 128 letters, comes back as it was sent; nothing unknown does
    - prompt=none is then answered by an error that says a person would be needed; its conditions
    """
    party, browser, state = op.party(), op.browser(), a_state()
    flow = flows.sound_flow(op, party, browser)
    page = asked_to_log_out(op, party, browser, flow, state)
    sent_back(party, page, state)
    nobody_is_logged_in(op, party, browser)


def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(op: Op) -> None:
    """An address that was not registered is never sent to.

    - the conditions of every flow
    - another address of the client's own host: an error page (a question to the person would do), and no redirect
    - (ours) nothing ended
    """
    party, browser = op.party(), op.browser()
    flow = flows.sound_flow(op, party, browser)
    bad = party.after_logout.replace("/post_logout_redirect", "/bad_post_logout_redirect_uri")
    page = asked_to_log_out(op, party, browser, flow, a_state(), post_logout_redirect_uri=bad)
    refused(op, party, browser, page)


def test_oidcc_rp_initiated_logout_modified_id_token_hint(op: Op) -> None:
    """A hint whose signature was taken away is no hint.

    - the conditions of every flow
    - the ID token made over to alg none: an error page (a question to the person would do), and no redirect
    - (ours) nothing ended
    """
    party, browser = op.party(), op.browser()
    flow = flows.sound_flow(op, party, browser)
    page = asked_to_log_out(
        op, party, browser, flow, a_state(), id_token_hint=jwt.encode(flow.claims, None, "none")
    )
    refused(op, party, browser, page)


def test_oidcc_rp_initiated_logout_bad_id_token_hint(op: Op) -> None:
    """A hint that somebody else has signed is no hint.

    - the conditions of every flow
    - the same claims, signed by a key of the tester's under the provider's kid: an error page, and no redirect
    - (ours) nothing ended
    """
    party, browser = op.party(), op.browser()
    flow = flows.sound_flow(op, party, browser)
    key = rsa.generate_private_key(65537, 2048)
    forged = jwt.encode(flow.claims, key, "RS256", headers={"kid": flow.header["kid"]})
    page = asked_to_log_out(op, party, browser, flow, a_state(), id_token_hint=forged)
    refused(op, party, browser, page)


def test_oidcc_rp_initiated_logout_no_id_token_hint(op: Op) -> None:
    """An address without a hint: nobody vouches that it is the client's.

    - the conditions of every flow
    - a question to the person (an error page would do), and no redirect, also after they said yes
    - (ours) nothing has ended before they said so; prompt=none then finds nobody
    """
    party, browser = op.party(), op.browser()
    flow = flows.sound_flow(op, party, browser)
    page = asked_to_log_out(op, party, browser, flow, a_state(), id_token_hint=None)
    asked_first(op, party, browser, page)


def test_oidcc_rp_initiated_logout_no_params(op: Op) -> None:
    """Without any parameter: the person is asked, and then logged out.

    - the conditions of every flow
    - the page tells that they are logged out; no redirect
    - (ours) nothing has ended before they said so; prompt=none then finds nobody
    """
    party, browser = op.party(), op.browser()
    flow = flows.sound_flow(op, party, browser)
    nothing: dict[str, Any] = {"id_token_hint": None, "post_logout_redirect_uri": None}
    page = asked_to_log_out(op, party, browser, flow, None, **nothing)
    asked_first(op, party, browser, page)


def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(op: Op) -> None:
    """Without an address: logged out, and told so.

    - the conditions of every flow
    - the page tells that they are logged out; no redirect, though an address is registered
    - (ours) prompt=none then finds nobody
    """
    party, browser = op.party(), op.browser()
    flow = flows.sound_flow(op, party, browser)
    page = asked_to_log_out(op, party, browser, flow, a_state(), post_logout_redirect_uri=None)
    answers.says_logged_out(page)
    nobody_is_logged_in(op, party, browser)


def test_oidcc_rp_initiated_logout_no_state(op: Op) -> None:
    """Without a state none comes back.

    - the conditions of every flow
    - the browser is sent to the registered post_logout_redirect_uri, without a state and without anything unknown
    - prompt=none then finds nobody
    """
    party, browser = op.party(), op.browser()
    flow = flows.sound_flow(op, party, browser)
    page = asked_to_log_out(op, party, browser, flow, None)
    sent_back(party, page, None)
    nobody_is_logged_in(op, party, browser)


def test_oidcc_rp_initiated_logout_only_state(op: Op) -> None:
    """With nothing but a state: as without any parameter.

    - the conditions of every flow
    - the page tells that they are logged out; no redirect
    - (ours) nothing has ended before they said so; prompt=none then finds nobody
    """
    party, browser = op.party(), op.browser()
    flow = flows.sound_flow(op, party, browser)
    nothing: dict[str, Any] = {"id_token_hint": None, "post_logout_redirect_uri": None}
    page = asked_to_log_out(op, party, browser, flow, a_state(), **nothing)
    asked_first(op, party, browser, page)


def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(op: Op) -> None:
    """The registered address with a query is another address.

    - the conditions of every flow
    - ?foo=bar added: an error page (a question to the person would do), and no redirect
    - (ours) nothing ended
    """
    party, browser = op.party(), op.browser()
    flow = flows.sound_flow(op, party, browser)
    longer = f"{party.after_logout}?foo=bar"
    page = asked_to_log_out(op, party, browser, flow, a_state(), post_logout_redirect_uri=longer)
    refused(op, party, browser, page)


def test_oidcc_backchannel_rp_initiated_logout(op: Op) -> None:
    """A logout is told to the client by the back channel too.

    - the conditions of every flow; discovery tells of back-channel logout
    - the backchannel_logout_uri gets a POST of a form with logout_token and nothing else
    - the token is signed by a published key, with the algorithm of the client's ID tokens; typ is logout+jwt
    - iss, aud, iat, exp, jti; events is the one of the standard, an empty object; no nonce
    - sub or sid is there; each that is there is the ID token's
    - the browser is sent to the registered post_logout_redirect_uri, with the state and nothing unknown
    - prompt=none then finds nobody
    """
    assert op.metadata["backchannel_logout_supported"] is True
    told = f"{op.provider.receiver.url}/{secrets.token_hex(6)}"
    party, browser, state = op.newcomer(backchannel_logout_uri=told), op.browser(), a_state()
    flow = flows.sound_flow(op, party, browser)
    page = asked_to_log_out(op, party, browser, flow, state)
    token = logout.request_is_sound(op.provider.receiver.take(told))
    claims = logout.token_is_sound(
        token, op.keys, party.algorithm, issuer=op.issuer, client_id=party.id, now=op.now
    )
    logout.has_no_nonce(claims)
    logout.is_of_the_session(claims, flow.claims)
    sent_back(party, page, state)
    nobody_is_logged_in(op, party, browser)
