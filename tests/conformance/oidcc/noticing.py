"""Groups of cases by what they look at, so that a defect can say which of them notice it."""

from __future__ import annotations

from typing import Final

from oidcc.cases import all_cases
from oidcc.modules import case_of

ALL: Final = frozenset(all_cases())


def modules(*names: str) -> frozenset[str]:
    """`scope-all` is oidcc-scope-all."""
    return frozenset(case_of(f"oidcc-{name}") for name in names)


def beyond(*names: str) -> frozenset[str]:
    """`a_public_client_needs_pkce` is the case of that name."""
    return frozenset(f"test_{name}" for name in names)


UNANSWERED: Final = modules(
    "discovery-endpoint-verification",
    "ensure-registered-redirect-uri",
    "ensure-request-object-with-redirect-uri",
) | beyond(
    "a_form_of_another_browser_is_refused",
    "an_unknown_client_sends_nobody_anywhere",
    "no_trick_makes_an_address_a_registered_one",
    "pages_are_framed_and_cached_by_nobody",
    "parameters_that_stand_twice_are_refused",
    "the_cookie_is_a_careful_one",
    "an_assertion_is_good_once_and_for_us_alone",
    "client_credentials_give_a_token_for_the_client_itself",
    "a_device_that_is_denied_or_too_slow_gets_nothing",
)
"""The authorization endpoint sends the client nothing in these."""
DEVICE: Final = beyond("a_device_is_let_in_by_a_person")
"""Gets its tokens without it."""
TOKENLESS: Final = (
    UNANSWERED
    | modules(
        "prompt-none-not-logged-in",
        "request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
        "response-type-missing",
        "unsigned-request-object-supported-correctly-or-rejected-as-unsupported",
    )
    | beyond(
        "a_code_lives_for_a_minute",
        "a_response_type_that_is_not_there_is_refused",
        "a_wrong_password_is_asked_for_again",
        "another_verifier_gets_no_tokens",
        "the_code_is_bound_to_its_redirect_uri",
        "the_code_of_another_client_gets_no_tokens",
    )
)
"""No ID token is looked at in these."""
ANSWERED: Final = ALL - UNANSWERED - DEVICE
FLOWS: Final = ALL - TOKENLESS
WITHOUT_NONCE: Final = DEVICE | modules("ensure-request-without-nonce-succeeds-for-code-flow")
WITHOUT_USERINFO: Final = beyond("a_wrong_secret_gets_no_tokens", "form_post_hides_the_code_from_the_address")
CODE_REUSE: Final = modules("codereuse", "codereuse-30seconds")
SCOPES: Final = modules("scope-profile", "scope-email", "scope-address", "scope-phone", "scope-all")
HAPPY: Final = modules("alternate-happy-flow") | DEVICE
"""Ask for the scope email, too, and look for the address."""
LOGGED_OUT_AT_ONCE: Final = modules(
    "rp-initiated-logout",
    "rp-initiated-logout-no-post-logout-redirect-uri",
    "rp-initiated-logout-no-state",
    "backchannel-rp-initiated-logout",
)
ASKED_FIRST: Final = modules(
    "rp-initiated-logout-no-id-token-hint",
    "rp-initiated-logout-no-params",
    "rp-initiated-logout-only-state",
)
LOGGED_OUT: Final = LOGGED_OUT_AT_ONCE | ASKED_FIRST
TOLD: Final = modules("backchannel-rp-initiated-logout") | beyond(
    "logout_is_told_to_every_client_of_the_session"
)
"""Logout tokens are looked at."""
ENDED: Final = beyond("logout_ends_what_the_session_gave")
OFFLINE: Final = beyond("logout_leaves_what_was_granted_offline")
