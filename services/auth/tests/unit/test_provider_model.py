"""What an authorization request may be, and what has to happen before it is answered."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orderhub_auth.model import Authentication
from orderhub_auth.provider import model
from orderhub_auth.provider.errors import PageError, RedirectError
from orderhub_auth.provider.model import AuthorizationRequest, Login, RelyingParty, Step

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
BEGAN = NOW - timedelta(minutes=1)
CALLBACK = "https://app.example/callback"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
"""RFC 7636, appendix B."""
ANN = UUID(int=7)


def a_party(**over: Any) -> RelyingParty:
    values = {
        "id": UUID(int=1), "name": "App", "secret_hash": b"x", "auth_method": "client_secret_basic", "jwks": "",
        "redirect_uris": (CALLBACK, "https://app.example/other"), "post_logout_redirect_uris": (),
        "backchannel_logout_uri": "", "grant_types": (model.CODE,), "scopes": ("openid", "profile", "email"),
        "id_token_alg": "RS256", "require_pkce": False, "first_party": True, "roles": (), "vendor_id": None,
        "disabled": False, "created_at": NOW, "updated_at": NOW, **over,
    }  # fmt: skip
    return RelyingParty(**values)


def a_login(**over: Any) -> Login:
    """Logged in an hour ago, by a password."""
    values = {"at": NOW - timedelta(hours=1), "amr": ("pwd",), "user_id": ANN, **over}
    return Login(UUID(int=9), values["user_id"], Authentication(values["amr"], values["at"]))


def asked(party: RelyingParty | None = None, **over: str | None) -> AuthorizationRequest:
    values = {
        "client_id": str(UUID(int=1)),
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid",
    }
    given = tuple((name, value) for name, value in {**values, **over}.items() if value is not None)
    return model.authorization_request(given, party or a_party(), CALLBACK)


@pytest.mark.parametrize(
    "given",
    [
        f"{CALLBACK}/", f"{CALLBACK}?a=b", f"{CALLBACK}#f", "https://app.example/callbac", "https://app.example/",
        "https://app.example@evil.example/callback", "https://APP.example/callback", "http://app.example/callback",
        "https://app.example:443/callback", "https://app.example/%63allback", "https://app.example/x/../callback",
        "//app.example/callback", f"{CALLBACK} ", "", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_a_redirect_uri_is_the_registered_one_letter_by_letter(given: str) -> None:
    with pytest.raises(PageError):
        model.redirect_uri_of((("redirect_uri", given),), a_party())


def test_a_redirect_uri_that_stands_twice_is_none() -> None:
    with pytest.raises(PageError):
        model.redirect_uri_of((("redirect_uri", CALLBACK), ("redirect_uri", CALLBACK)), a_party())
    assert model.redirect_uri_of((("redirect_uri", CALLBACK),), a_party()) == CALLBACK


@pytest.mark.parametrize(
    ("over", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "٣"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://app.example/request"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"code_challenge": CHALLENGE}, "invalid_request"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
        ({"claims": "no JSON"}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"claims": '{"userinfo": {"email": 1}}'}, "invalid_request"),
        ({"claims": "[" * 3000}, "invalid_request"),
        ({"state": "x" * 5000}, "invalid_request"),
        ({"nonce": "a\0b"}, "invalid_request"),
    ],
)
def test_what_a_client_does_wrong_has_its_error(over: dict[str, str | None], error: str) -> None:
    with pytest.raises(RedirectError) as refused:
        asked(**over)
    assert refused.value.error == error


def test_a_parameter_that_stands_twice_is_refused() -> None:
    with pytest.raises(RedirectError, match="nonce stands twice"):
        model.authorization_request((("nonce", "a"), ("nonce", "b")), a_party(), CALLBACK)


def test_unknown_parameters_and_scopes_mean_nothing() -> None:
    request = asked(
        scope="openid email phone world", nonsense="x", display="popup", ui_locales="de", acr_values="9"
    )
    assert request.scopes == ("openid", "email"), "only what the client is registered for"


@pytest.mark.parametrize(
    "over", [{"auth_method": "none", "secret_hash": None}, {"require_pkce": True}], ids=str
)
def test_who_needs_pkce_cannot_go_without(over: dict[str, Any]) -> None:
    with pytest.raises(RedirectError, match="PKCE"):
        asked(a_party(**over))
    request = asked(a_party(**over), code_challenge=CHALLENGE, code_challenge_method="S256")
    assert request.challenge == CHALLENGE


def test_a_verifier_fits_its_own_challenge_alone() -> None:
    assert model.verifier_fits(VERIFIER, CHALLENGE)
    assert not model.verifier_fits(VERIFIER[:-1] + "x", CHALLENGE)
    assert not model.verifier_fits("", CHALLENGE)
    assert not model.verifier_fits("short", CHALLENGE)
    assert model.verifier_fits("", "")
    assert not model.verifier_fits(VERIFIER, ""), "a verifier without a challenge is a downgrade"


@given(st.text(alphabet="abcXYZ019-._~", min_size=43, max_size=128))
def test_every_verifier_fits_what_is_made_of_it(verifier: str) -> None:
    challenge = model.left_of(hashlib.sha256(verifier.encode()).digest())
    assert model.CHALLENGE.fullmatch(challenge)
    assert model.verifier_fits(verifier, challenge)


def step(request: AuthorizationRequest, login: Login | None, **over: Any) -> Step | str:
    """The step, or the error."""
    values: dict[str, Any] = {
        "subject": "", "consented": frozenset(), "decided": False, "began_at": BEGAN, "now": NOW, **over,
    }  # fmt: skip
    party = values.pop("party", a_party())
    try:
        return model.next_step(request, party, login, **values)
    except RedirectError as error:
        return error.error


FRESH = a_login(at=NOW)
STRICT = a_party(first_party=False)
BOTH = json.dumps({"id_token": {"acr": {"essential": True, "values": ["2"]}}})


@pytest.mark.parametrize(
    ("over", "login", "given", "expected"),
    [
        ({}, None, {}, Step.LOGIN),
        ({}, a_login(), {}, Step.ISSUE),
        ({"prompt": "none"}, None, {}, "login_required"),
        ({"prompt": "none"}, a_login(), {}, Step.ISSUE),
        ({"prompt": "login"}, a_login(), {}, Step.LOGIN),
        ({"prompt": "login"}, FRESH, {}, Step.ISSUE),
        ({"prompt": "select_account"}, a_login(), {}, Step.LOGIN),
        ({"max_age": "3600"}, a_login(), {}, Step.ISSUE),
        ({"max_age": "3599"}, a_login(), {}, Step.LOGIN),
        ({"max_age": "0"}, FRESH, {}, Step.ISSUE),
        ({"max_age": "1", "prompt": "none"}, a_login(), {}, "login_required"),
        ({}, a_login(), {"subject": str(ANN)}, Step.ISSUE),
        ({}, a_login(), {"subject": "somebody else"}, Step.LOGIN),
        ({}, FRESH, {"subject": "somebody else"}, "login_required"),
        ({"prompt": "none"}, a_login(), {"subject": "somebody else"}, "login_required"),
        ({}, a_login(), {"party": STRICT}, Step.CONSENT),
        ({}, a_login(), {"party": STRICT, "consented": {"openid"}}, Step.ISSUE),
        ({"scope": "openid email"}, a_login(), {"party": STRICT, "consented": {"openid"}}, Step.CONSENT),
        ({}, a_login(), {"party": STRICT, "decided": True}, Step.ISSUE),
        ({"prompt": "none"}, a_login(), {"party": STRICT}, "consent_required"),
        ({"prompt": "consent"}, a_login(), {"consented": {"openid"}}, Step.CONSENT),
        ({"prompt": "consent"}, a_login(), {"decided": True}, Step.ISSUE),
        ({"claims": BOTH}, a_login(), {}, "unmet_authentication_requirements"),
        ({"claims": BOTH}, a_login(amr=("pwd", "otp", "mfa")), {}, Step.ISSUE),
    ],
)
def test_what_has_to_happen_next(
    over: dict[str, str], login: Login | None, given: dict[str, Any], expected: Step | str
) -> None:
    assert step(asked(**over), login, **given) == expected


def test_the_hash_of_a_token_is_the_left_half() -> None:
    """The access token of OpenID Connect Core 1.0, appendix A.3, and its at_hash."""
    assert model.half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y") == "77QmUPtjPfzWtF2AnpK9RQ"
