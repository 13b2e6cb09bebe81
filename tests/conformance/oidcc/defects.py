"""Defects that a provider can have, by what is wrong, each with the cases that have to turn red, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest
from oidcc import planting
from oidcc.noticing import (
    ALL,
    ANSWERED,
    ASKED_FIRST,
    CODE_REUSE,
    ENDED,
    FLOWS,
    HAPPY,
    LOGGED_OUT,
    LOGGED_OUT_AT_ONCE,
    OFFLINE,
    SCOPES,
    TOLD,
    WITHOUT_NONCE,
    WITHOUT_USERINFO,
    beyond,
    modules,
)


@dataclass(frozen=True)
class Defect:
    """`plant` puts it into the provider that runs in this process."""

    plant: Callable[[pytest.MonkeyPatch], None]
    noticed: frozenset[str]


DEFECTS: Final = {
    # keys and ID tokens
    "kid missing in the JWKS": Defect(planting.keys_without_kid, ALL),
    "alg none": Defect(planting.unsigned, FLOWS),
    "signed by another algorithm than the client's": Defect(planting.signed_by_the_other_algorithm, FLOWS),
    "iss wrong": Defect(planting.id_token(iss="https://evil.example"), FLOWS),
    "aud wrong": Defect(planting.id_token(aud="somebody"), FLOWS),
    "exp in the past": Defect(planting.id_token(exp=1), FLOWS),
    "nonce dropped": Defect(planting.nonce_dropped, FLOWS - WITHOUT_NONCE),
    "at_hash wrong": Defect(planting.at_hash_of_the_whole, FLOWS),
    "auth_time missing": Defect(
        planting.id_token(auth_time=None),
        modules("max-age-1", "max-age-10000", "prompt-login", "prompt-none-logged-in", "id-token-hint"),
    ),
    "acr missing": Defect(planting.id_token(acr=None), modules("ensure-request-with-acr-values-succeeds")),
    "sid missing": Defect(planting.id_token(sid=None), LOGGED_OUT_AT_ONCE | TOLD | ENDED | OFFLINE),
    "claims of scopes in the ID token": Defect(
        planting.claims_of_scopes_in_the_id_token,
        SCOPES
        | HAPPY
        | beyond(
            "a_refresh_does_not_widen_the_scope",
            "a_token_can_be_looked_at_by_its_client",
            "an_access_token_without_the_scope_api_has_no_roles",
        ),
    ),
    # codes, secrets, refresh tokens
    "used code accepted": Defect(planting.reused_code_accepted, CODE_REUSE),
    "used code revokes nothing": Defect(planting.reuse_revokes_nothing, modules("codereuse-30seconds")),
    "code of another client accepted": Defect(
        planting.code_of_another_client_accepted, beyond("the_code_of_another_client_gets_no_tokens")
    ),
    "code never expires": Defect(planting.code_never_expires, beyond("a_code_lives_for_a_minute")),
    "assertion taken again": Defect(
        planting.assertion_taken_again, beyond("an_assertion_is_good_once_and_for_us_alone")
    ),
    "revocation ends nothing": Defect(planting.revocation_ends_nothing, beyond("a_token_can_be_given_back")),
    "third parties get the person's roles": Defect(
        planting.roles_for_every_scope, beyond("an_access_token_without_the_scope_api_has_no_roles")
    ),
    "redirect_uri of the code not compared": Defect(
        planting.redirect_uri_of_the_code_not_compared, beyond("the_code_is_bound_to_its_redirect_uri")
    ),
    "PKCE verifier not checked": Defect(
        planting.verifier_not_checked, beyond("another_verifier_gets_no_tokens")
    ),
    "PKCE never needed": Defect(
        planting.pkce_never_needed,
        beyond("a_public_client_needs_pkce", "a_client_that_has_to_use_pkce_has_to"),
    ),
    "clients not authenticated": Defect(
        planting.clients_not_authenticated,
        beyond(
            "a_wrong_secret_gets_no_tokens",
            "an_assertion_is_good_once_and_for_us_alone",
            "a_token_can_be_looked_at_by_its_client",
        ),
    ),
    "refresh token not bound to the client": Defect(
        planting.refresh_token_not_bound, modules("refresh-token")
    ),
    # the authorization request and its answer
    "redirect_uri matched by its prefix": Defect(
        planting.redirect_uri_by_prefix,
        modules("ensure-registered-redirect-uri", "ensure-request-object-with-redirect-uri")
        | beyond("no_trick_makes_an_address_a_registered_one"),
    ),
    "max_age ignored": Defect(planting.max_age_ignored, modules("max-age-1")),
    "prompt=login ignored": Defect(planting.without_prompt("login"), modules("prompt-login")),
    "prompt=none shows a page": Defect(
        planting.without_prompt("none"),
        LOGGED_OUT
        | modules("prompt-none-not-logged-in", "id-token-hint")
        | beyond("a_third_party_asks_for_consent_once"),
    ),
    "id_token_hint ignored": Defect(planting.id_token_hint_ignored, modules("id-token-hint")),
    "claims ignored": Defect(planting.claims_ignored, modules("claims-essential")),
    "request object passed over": Defect(
        planting.request_object_passed_over,
        modules(
            "request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
            "unsigned-request-object-supported-correctly-or-rejected-as-unsupported",
        ),
    ),
    "response_type guessed": Defect(planting.response_type_guessed, modules("response-type-missing")),
    "nobody asked for consent": Defect(
        planting.nobody_asked_for_consent, beyond("a_third_party_asks_for_consent_once")
    ),
    "iss missing in answers": Defect(planting.issuer_not_named, ANSWERED),
    "state cut off": Defect(planting.state_cut_off, ANSWERED),
    # userinfo
    "userinfo of somebody else": Defect(planting.userinfo_of_somebody_else, FLOWS - WITHOUT_USERINFO),
    "userinfo without the e-mail address": Defect(
        planting.userinfo_without_email, modules("scope-email", "scope-all") | HAPPY
    ),
    "userinfo by the wrong scopes": Defect(
        planting.userinfo_by_the_wrong_scopes,
        SCOPES | modules("claims-essential") | beyond("a_refresh_does_not_widen_the_scope"),
    ),
    # logout
    "hint believed without its signature": Defect(
        planting.hint_believed_unread,
        modules("rp-initiated-logout-modified-id-token-hint", "rp-initiated-logout-bad-id-token-hint"),
    ),
    "logout redirects to an unregistered URI": Defect(
        planting.logout_redirects_anywhere,
        modules(
            "rp-initiated-logout-bad-post-logout-redirect-uri",
            "rp-initiated-logout-query-added-to-post-logout-redirect-uri",
        ),
    ),
    "logout state dropped": Defect(
        planting.logout_drops_the_state, modules("rp-initiated-logout", "backchannel-rp-initiated-logout")
    ),
    "logout without a hint asks nobody": Defect(planting.logout_asks_nobody, ASKED_FIRST),
    "logout ends nothing": Defect(planting.logout_ends_nothing, LOGGED_OUT | TOLD | ENDED),
    "logout token with a nonce": Defect(
        planting.logout_token(nonce="n"), modules("backchannel-rp-initiated-logout")
    ),
    "logout token without events": Defect(
        planting.logout_token(events=None), modules("backchannel-rp-initiated-logout")
    ),
    "logout token of another session": Defect(planting.logout_token(sid="another"), TOLD),
}
"""By what is wrong."""
