"""The Basic OP plan, second third: who is logged in, since when, and what a request may say about it."""

from __future__ import annotations

import secrets

from oidcc import flows
from oidcc.conditions import answers, tokens
from oidcc.op import Op


def logins(shown: list[str]) -> int:
    return shown.count("login")


def test_oidcc_prompt_login(op: Op) -> None:
    """prompt=login has the person log in again.

    - two flows in one browser, the second a second later with prompt=login: the conditions of every flow in both
    - the second shows a login page too
    - auth_time of the second ID token is later
    - (ours) it is the time of the second login
    """
    party, browser = op.party(), op.browser()
    first = flows.sound_flow(op, party, browser)
    op.later(1)
    second = flows.sound_flow(op, party, browser, prompt="login")
    assert logins(browser.shown) == 2, browser.shown
    tokens.auth_time_is_later(first.claims, second.claims)
    tokens.auth_time_is_recent(second.claims, op.now)


def test_oidcc_prompt_none_not_logged_in(op: Op) -> None:
    """prompt=none in a browser where nobody is logged in.

    - no page is shown
    - the error is one of those that say a person would be needed (Core, section 3.1.2.6): with us login_required
    - the state of 128 letters comes back, the issuer is named, there is no code, nothing unknown
    """
    party, browser = op.party(), op.browser()
    request = party.request(prompt="none")
    page = browser.get(request.url)
    params = flows.error_answer(op, party, request, page, *answers.INTERACTION_ERRORS)
    assert params["error"] == "login_required"
    answers.was_shown(browser.shown)


def test_oidcc_prompt_none_logged_in(op: Op) -> None:
    """prompt=none in a browser where somebody is logged in.

    - the conditions of every flow, twice; the second time no page is shown
    - auth_time and sub are the first login's
    """
    party, browser = op.party(), op.browser()
    first = flows.sound_flow(op, party, browser)
    browser.shown.clear()
    op.later(1)
    second = flows.sound_flow(op, party, browser, prompt="none")
    answers.was_shown(browser.shown)
    tokens.is_the_same_login(first.claims, second.claims)


def test_oidcc_max_age_1(op: Op) -> None:
    """max_age=1 two seconds after the login has the person log in again.

    - the conditions of every flow, twice; the second time a login page is shown
    - the second ID token has auth_time, which is later than the first and recent
    """
    party, browser = op.party(), op.browser()
    first = flows.sound_flow(op, party, browser)
    op.later(2)
    second = flows.sound_flow(op, party, browser, max_age="1")
    assert logins(browser.shown) == 2, browser.shown
    tokens.auth_time_is_told(second.claims)
    tokens.auth_time_is_later(first.claims, second.claims)
    tokens.auth_time_is_recent(second.claims, op.now)


def test_oidcc_max_age_10000(op: Op) -> None:
    """max_age=10000 soon after the login does not.

    - two flows, with max_age=15000 and then 10000: the conditions of every flow in both
    - the second time nobody is asked to log in
    - both ID tokens have auth_time; auth_time and sub are the same
    """
    party, browser = op.party(), op.browser()
    first = flows.sound_flow(op, party, browser, max_age="15000")
    tokens.auth_time_is_told(first.claims)
    browser.shown.clear()
    op.later(2)
    second = flows.sound_flow(op, party, browser, max_age="10000")
    answers.was_shown(browser.shown)
    tokens.auth_time_is_told(second.claims)
    tokens.is_the_same_login(first.claims, second.claims)


def test_oidcc_id_token_hint(op: Op) -> None:
    """prompt=none with the ID token of the first flow as id_token_hint.

    - the conditions of every flow, twice; the second time no page is shown
    - auth_time and sub are the first login's
    - (ours) with the ID token of another person there is no code but login_required
    """
    party, browser = op.party(), op.browser()
    first = flows.sound_flow(op, party, browser)
    browser.shown.clear()
    op.later(1)
    second = flows.sound_flow(op, party, browser, prompt="none", id_token_hint=first.id_token)
    answers.was_shown(browser.shown)
    tokens.is_the_same_login(first.claims, second.claims)
    others = flows.sound_flow(op, party, op.browser(), person=op.grace)
    request = party.request(prompt="none", id_token_hint=others.id_token)
    flows.error_answer(op, party, request, browser.get(request.url), *answers.INTERACTION_ERRORS)


def test_oidcc_login_hint(op: Op) -> None:
    """login_hint does no harm.

    - a request with one: the conditions of every flow
    - (ours) the login page has it in its field
    """
    party, browser = op.party(), op.browser()
    request = party.request(login_hint=op.ada.email)
    page = browser.get(request.url)
    while page.redirect:
        page = browser.get(page.redirect)
    assert page.asks("login").fields["email"] == op.ada.email
    flows.sound_flow(op, party, browser, request=request)


def test_oidcc_ui_locales(op: Op) -> None:
    """ui_locales does no harm.

    - a request with some languages: the conditions of every flow
    """
    flows.sound_flow(op, op.party(), op.browser(), ui_locales="se ru en")


def test_oidcc_claims_locales(op: Op) -> None:
    """claims_locales does no harm.

    - a request with some languages: the conditions of every flow
    """
    flows.sound_flow(op, op.party(), op.browser(), claims_locales="se en")


def test_oidcc_ensure_request_with_acr_values_succeeds(op: Op) -> None:
    """acr_values, of those that discovery names.

    - the conditions of every flow
    - the ID token has one of them as acr
    """
    values = op.metadata.get("acr_values_supported", ["1", "2"])
    flow = flows.sound_flow(op, op.party(), op.browser(), acr_values=" ".join(values))
    tokens.acr_is_one_of(flow.claims, values)


def test_oidcc_claims_essential(op: Op) -> None:
    """The name asked for by the claims parameter, as essential, from userinfo (Core, section 5.5).

    - the conditions of every flow; discovery says that the parameter is taken
    - userinfo has the name, though the scope profile was not asked for, and nothing else of it
    - the ID token has it not
    - (ours) a claim that nobody knows does no harm
    """
    assert op.metadata["claims_parameter_supported"] is True
    claims = f'{{"userinfo": {{"name": {{"essential": true}}, "x_{secrets.token_hex(4)}": null}}}}'
    flow = flows.sound_flow(op, op.party(), op.browser(), claims=claims)
    assert flow.userinfo.json.get("name"), flow.userinfo.json
    tokens.claims_are_absent(flow.userinfo.json, "updated_at", "email", "address", "phone_number")
    tokens.claims_are_absent(flow.claims, "name")
