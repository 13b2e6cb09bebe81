"""Relying parties, authorization requests, and what has to happen before one is answered. Pure.

Sections are those of OpenID Connect Core 1.0 where no other document is named.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from orderhub_auth.model import Authentication, User
from orderhub_auth.provider.errors import PageError, RedirectError

CODE: Final = "authorization_code"
REFRESH: Final = "refresh_token"
CREDENTIALS: Final = "client_credentials"
DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"
GRANTS: Final = (CODE, REFRESH, CREDENTIALS, DEVICE)
AUTH_METHODS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
WITH_SECRET: Final = frozenset({"client_secret_basic", "client_secret_post"})
SCOPES: Final = ("openid", "profile", "email", "address", "phone", "offline_access", "api")
"""`api` is ours: without it an access token carries no role, so that it opens userinfo and nothing else."""
CLAIMS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "profile": ("name", "updated_at"),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}
"""Section 5.4, as far as a user here has them."""
PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
PASSWORD_ACR, TWO_FACTORS_ACR = "1", "2"
ACRS: Final = (PASSWORD_ACR, TWO_FACTORS_ACR)
SECOND_FACTOR: Final = "mfa"
"""RFC 8176, section 2: more than one factor."""
CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""BASE64URL of a SHA-256 (RFC 7636, section 4.2)."""
VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
"""RFC 7636, section 4.1."""
LONGEST_VALUE: Final = 4096
LONGEST_AGE: Final = 10**9
Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """A registered client. `roles` and `vendor_id` are for what it does as itself, by client_credentials."""

    id: UUID
    name: str
    secret_hash: bytes | None
    auth_method: str
    jwks: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    backchannel_logout_uri: str
    grant_types: tuple[str, ...]
    scopes: tuple[str, ...]
    id_token_alg: str
    require_pkce: bool
    first_party: bool
    roles: tuple[str, ...]
    vendor_id: UUID | None
    disabled: bool
    created_at: datetime
    updated_at: datetime

    @property
    def is_public(self) -> bool:
        return self.auth_method == "none"

    @property
    def needs_pkce(self) -> bool:
        """RFC 9700, section 2.1.1: public clients always."""
        return self.require_pkce or self.is_public


@dataclass(frozen=True, slots=True)
class Login:
    """A person who is logged in with a browser. Its id is the `sid` of all that follows from it."""

    id: UUID
    user_id: UUID
    how: Authentication

    @property
    def acr(self) -> str:
        return acr_of(self.how.amr)


@dataclass(frozen=True, slots=True)
class ClaimsRequest:
    """The `claims` parameter (section 5.5): names for each place, and what was demanded of `sub` and `acr`."""

    userinfo: tuple[str, ...] = ()
    id_token: tuple[str, ...] = ()
    subject: str = ""
    essential_acrs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """Section 3.1.2.1, checked. `hint_subject` is whom a good id_token_hint names."""

    client_id: UUID
    redirect_uri: str
    post: bool
    scopes: tuple[str, ...]
    state: str = ""
    nonce: str = ""
    challenge: str = ""
    prompts: frozenset[str] = frozenset()
    max_age: timedelta | None = None
    login_hint: str = ""
    claims: ClaimsRequest = field(default_factory=ClaimsRequest)


class Step(StrEnum):
    """What has to happen next."""

    LOGIN = "login"
    CONSENT = "consent"
    ISSUE = "issue"


def acr_of(amr: Collection[str]) -> str:
    return TWO_FACTORS_ACR if SECOND_FACTOR in amr else PASSWORD_ACR


def single(parameters: Parameters) -> dict[str, str]:
    """By name. Raises ValueError that names one which stands twice (RFC 6749, section 3.1).

    Without a value is the same as not there at all.
    """
    found: dict[str, str] = {}
    for name, value in parameters:
        if name in found:
            raise ValueError(name)
        found[name] = value
    return {name: value for name, value in found.items() if value}


def one_value(parameters: Parameters, name: str) -> str:
    """Of a parameter whose other values may not decide: "" where it is missing or stands more than once."""
    values = [value for given, value in parameters if given == name]
    return values[0] if len(values) == 1 else ""


def redirect_uri_of(parameters: Parameters, client: RelyingParty) -> str:
    """The registered URI, letter by letter (RFC 9700, section 4.1.3). Raises PageError: nothing is sent to another one."""
    given = one_value(parameters, "redirect_uri")
    if not given:
        raise PageError("redirect_uri_missing", "the request names no redirect_uri, or several")
    if given not in client.redirect_uris:
        raise PageError("redirect_uri_unknown", "the redirect_uri is not one that this client has registered")
    return given


def wants_post(parameters: Parameters) -> bool:
    return one_value(parameters, "response_mode") == "form_post"


def authorization_request(
    parameters: Parameters, client: RelyingParty, redirect_uri: str
) -> AuthorizationRequest:
    """Raises RedirectError for what the client did wrong. Unknown parameters mean nothing (section 3.1.2.1)."""
    try:
        given = single(parameters)
    except ValueError as error:
        raise RedirectError("invalid_request", f"{error} stands twice") from None
    _check_supported(given, client)
    scopes = tuple(dict.fromkeys(given.get("scope", "").split()))
    if "openid" not in scopes:
        raise RedirectError("invalid_scope", "scope must contain openid")
    # Scopes that nobody here knows are ignored (section 3.1.2.1); those the client may not have as well.
    granted = tuple(scope for scope in scopes if scope in client.scopes)
    if "openid" not in granted:
        raise RedirectError("invalid_scope", "this client is not registered for openid")
    return AuthorizationRequest(
        client.id, redirect_uri, wants_post(parameters), granted,
        state=given.get("state", ""),
        nonce=given.get("nonce", ""),
        challenge=_challenge(given, client),
        prompts=_prompts(given.get("prompt", "")),
        max_age=_max_age(given.get("max_age", "")),
        login_hint=given.get("login_hint", ""),
        claims=claims_request(given.get("claims", "")),
    )  # fmt: skip


def _check_supported(given: Mapping[str, str], client: RelyingParty) -> None:
    """Sections 3.1.2.6 and 6.1: what is not supported is refused by its own name."""
    if "request" in given:
        raise RedirectError("request_not_supported", "request objects are not supported")
    if "request_uri" in given:
        raise RedirectError("request_uri_not_supported", "request objects are not supported")
    if "registration" in given:
        raise RedirectError("registration_not_supported", "clients are registered by an operator")
    for name, value in given.items():
        if len(value) > LONGEST_VALUE or "\0" in value:
            raise RedirectError("invalid_request", f"{name} is too long, or has a NUL in it")
    if not given.get("response_type"):
        raise RedirectError("invalid_request", "response_type is missing")
    if given["response_type"] != "code":
        raise RedirectError("unsupported_response_type", "response_type must be code")
    if given.get("response_mode", "query") not in ("query", "form_post"):
        raise RedirectError("invalid_request", "response_mode must be query or form_post")
    if CODE not in client.grant_types:
        raise RedirectError("unauthorized_client", f"this client is not registered for {CODE}")


def _challenge(given: Mapping[str, str], client: RelyingParty) -> str:
    """RFC 7636, section 4.3; `plain`, which is also what no method means, protects nothing."""
    challenge, method = given.get("code_challenge", ""), given.get("code_challenge_method", "")
    if not challenge:
        if client.needs_pkce:
            raise RedirectError("invalid_request", "code_challenge is missing (PKCE, RFC 7636)")
        if method:
            raise RedirectError("invalid_request", "code_challenge_method without a code_challenge")
        return ""
    if method != "S256":
        raise RedirectError("invalid_request", "code_challenge_method must be S256")
    if not CHALLENGE.fullmatch(challenge):
        raise RedirectError("invalid_request", "code_challenge is no SHA-256 in base64url")
    return challenge


def _prompts(text: str) -> frozenset[str]:
    prompts = frozenset(text.split())
    if not prompts <= PROMPTS:
        raise RedirectError("invalid_request", f"prompt must be some of {', '.join(sorted(PROMPTS))}")
    if "none" in prompts and len(prompts) > 1:
        raise RedirectError("invalid_request", "prompt=none stands alone")
    return prompts


def _max_age(text: str) -> timedelta | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) > LONGEST_AGE:
        raise RedirectError("invalid_request", "max_age must be a number of seconds")
    return timedelta(seconds=int(text))


def claims_request(text: str) -> ClaimsRequest:
    """Section 5.5. Names that nobody knows are ignored; what is not such an object is refused."""
    if not text:
        return ClaimsRequest()
    try:
        table = json.loads(text)
        places = {place: dict(table.get(place) or {}) for place in ("userinfo", "id_token")}
        if not all(
            one is None or isinstance(one, dict) for wishes in places.values() for one in wishes.values()
        ):
            raise ValueError("each claim is null or an object")
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise RedirectError("invalid_request", "claims is not the object of section 5.5") from None
    subject, acr = places["id_token"].get("sub") or {}, places["id_token"].get("acr") or {}
    return ClaimsRequest(
        _known(places["userinfo"]),
        _known(places["id_token"]),
        str(subject.get("value", "")),
        _values(acr) if acr.get("essential") is True else (),
    )


def _known(wishes: Mapping[str, Any]) -> tuple[str, ...]:
    supported = {name for names in CLAIMS_OF.values() for name in names}
    return tuple(sorted(name for name in wishes if name in supported))


def _values(wish: Mapping[str, Any]) -> tuple[str, ...]:
    values = wish.get("values", [wish["value"]] if "value" in wish else [])
    return tuple(str(value) for value in values) if isinstance(values, list) else ()


def next_step(
    request: AuthorizationRequest,
    client: RelyingParty,
    login: Login | None,
    *,
    subject: str,
    consented: Collection[str],
    decided: bool,
    began_at: datetime,
    now: datetime,
) -> Step:
    """Sections 3.1.2.3 and 3.1.2.4. `subject` is whom a hint names, `consented` what the person allowed this client
    before, `decided` whether it just did, `began_at` when the browser came: who logged in since is fresh enough.

    Raises RedirectError where no page may be shown, or none would help.
    """
    silent = "none" in request.prompts
    if login is None or _needs_login(request, login, subject, began_at=began_at, now=now):
        if silent:
            raise RedirectError("login_required", "nobody is logged in who could answer")
        if login is not None and login.how.at >= began_at:
            raise RedirectError("login_required", "somebody else than asked for has logged in")
        return Step.LOGIN
    if request.claims.essential_acrs and login.acr not in request.claims.essential_acrs:
        # OpenID Connect Core Error Code unmet_authentication_requirements 1.0
        raise RedirectError("unmet_authentication_requirements", "this person did not log in strongly enough")
    if _needs_consent(request, client, consented) and not decided:
        if silent:
            raise RedirectError("consent_required", "the person was not asked yet")
        return Step.CONSENT
    return Step.ISSUE


def _needs_login(
    request: AuthorizationRequest, login: Login, subject: str, *, began_at: datetime, now: datetime
) -> bool:
    if subject and subject != str(login.user_id):
        return True
    if login.how.at >= began_at:
        return False
    if request.prompts & {"login", "select_account"}:
        return True
    return request.max_age is not None and now - login.how.at > request.max_age


def _needs_consent(request: AuthorizationRequest, client: RelyingParty, consented: Collection[str]) -> bool:
    if "consent" in request.prompts:
        return True
    return not client.first_party and not set(request.scopes) <= set(consented)


def verifier_fits(verifier: str, challenge: str) -> bool:
    """RFC 7636, section 4.6. A verifier where no challenge was, is an attempt to slip past (RFC 9700, section 4.8)."""
    if not challenge:
        return not verifier
    if not VERIFIER.fullmatch(verifier):
        return False
    return hmac.compare_digest(left_of(hashlib.sha256(verifier.encode()).digest()), challenge)


def left_of(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def half_hash(token: str) -> str:
    """`at_hash` (section 3.1.3.6) of RS256 and ES256, whose hash is SHA-256."""
    digest = hashlib.sha256(token.encode()).digest()
    return left_of(digest[: len(digest) // 2])


def claims_of(user: User, names: Collection[str]) -> dict[str, Any]:
    """What is known of these; nothing empty (section 5.3.2)."""
    known: dict[str, Any] = {
        "name": user.name,
        "updated_at": int(user.updated_at.timestamp()),
        "email": user.email,
        "email_verified": user.email_verified,
        "phone_number": user.phone,
        "phone_number_verified": False if user.phone else None,
        "address": user.address.known(),
    }
    return {name: known[name] for name in sorted(names) if known[name] not in (None, "", {})}


def names_of(scopes: Collection[str]) -> set[str]:
    return {name for scope in scopes for name in CLAIMS_OF.get(scope, ())}
