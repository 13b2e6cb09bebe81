"""What may be registered as a relying party (OpenID Connect Dynamic Client Registration 1.0, section 2, by an operator). Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey
from orderhub_chassis.errors import invalid_field

from orderhub_auth import model as users
from orderhub_auth.provider import model

NAME_LENGTH: Final = 100
MOST_URIS: Final = 20
LONGEST_URI: Final = 2000
LONGEST_JWKS: Final = 16 * 1024
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
PRIVATE_SCHEME: Final = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
"""RFC 8252, section 7.1: a name in reverse, so that two apps do not take the same."""
ID_TOKEN_ALGS: Final = ("RS256", "ES256")
SMALLEST_RSA: Final = 2048


@dataclass(frozen=True, slots=True)
class Registration:
    """As asked for. Nothing is looked at yet."""

    name: str
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = (model.CODE,)
    auth_method: str = "client_secret_basic"
    scopes: tuple[str, ...] = ("openid",)
    jwks: str = ""
    backchannel_logout_uri: str = ""
    id_token_alg: str = "RS256"
    require_pkce: bool = False
    first_party: bool = False
    roles: tuple[str, ...] = ()
    vendor_id: str = ""


def checked(given: Registration) -> Registration:
    """In its normal form. Raises Invalid that names the field."""
    name = given.name.strip()
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
        raise invalid_field("/name", "name", f"must be 1 to {NAME_LENGTH} printable characters")
    _check_some("/grant_types", given.grant_types, model.GRANTS)
    _check_some("/scopes", given.scopes, model.SCOPES)
    _check_one("/token_endpoint_auth_method", given.auth_method, model.AUTH_METHODS)
    _check_one("/id_token_signed_response_alg", given.id_token_alg, ID_TOKEN_ALGS)
    _check_uris(given)
    _check_grants(given)
    _check_jwks(given)
    _check_roles(given)
    return replace(given, name=name, roles=tuple(sorted(set(given.roles))))


def _check_some(pointer: str, given: Sequence[str], known: Sequence[str]) -> None:
    if not given or len(set(given)) != len(given) or not set(given) <= set(known):
        raise invalid_field(pointer, "enum", f"must be some of {', '.join(known)}, each once")


def _check_one(pointer: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise invalid_field(pointer, "enum", f"must be one of {', '.join(known)}")


def _check_uris(given: Registration) -> None:
    native = given.auth_method == "none"
    for name in ("redirect_uris", "post_logout_redirect_uris"):
        uris = getattr(given, name)
        if len(uris) > MOST_URIS:
            raise invalid_field(f"/{name}", "length", f"must be at most {MOST_URIS}")
        for index, uri in enumerate(uris):
            _check_uri(f"/{name}/{index}", uri, private=native)
    if given.backchannel_logout_uri:
        _check_uri("/backchannel_logout_uri", given.backchannel_logout_uri, private=False)


def _check_uri(pointer: str, uri: str, *, private: bool) -> None:
    """Absolute and without a fragment (RFC 6749, section 3.1.2); https but on this machine (RFC 9700, section 2.6)."""
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise invalid_field(pointer, "uri", "is not a URI") from error
    printable = uri.isascii() and uri.isprintable() and " " not in uri and "\\" not in uri
    if not printable or len(uri) > LONGEST_URI or "#" in uri or parts.username is not None:
        raise invalid_field(pointer, "uri", "must be an absolute URI without a fragment or a user")
    web = parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)
    own = private and PRIVATE_SCHEME.fullmatch(parts.scheme) is not None
    if not ((web and host) or own):
        words = "must be https; http is for 127.0.0.1, [::1] and localhost"
        raise invalid_field(pointer, "uri", words)


def _check_grants(given: Registration) -> None:
    interactive = model.CODE in given.grant_types
    if interactive != bool(given.redirect_uris):
        words = f"are needed for the grant {model.CODE}, and only for it"
        raise invalid_field("/redirect_uris", "required", words)
    if model.CREDENTIALS in given.grant_types and given.auth_method == "none":
        words = f"{model.CREDENTIALS} is for clients that can keep a secret"
        raise invalid_field("/grant_types", "public_client", words)
    if set(given.grant_types) == {model.REFRESH}:
        raise invalid_field("/grant_types", "enum", "a refresh token comes from another grant")


def _check_jwks(given: Registration) -> None:
    if (given.auth_method == "private_key_jwt") != bool(given.jwks):
        raise invalid_field("/jwks", "required", "is needed for private_key_jwt, and only for it")
    if not given.jwks:
        return
    if len(given.jwks) > LONGEST_JWKS:
        raise invalid_field("/jwks", "length", f"must be at most {LONGEST_JWKS} bytes")
    try:
        keys = KeySet.import_key_set(json.loads(given.jwks)).keys
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise invalid_field("/jwks", "jwks", "is no JSON Web Key Set (RFC 7517)") from error
    good = [key for key in keys if _is_public_and_strong(key)]
    if not keys or len(good) != len(keys):
        words = f"must hold public keys alone: EC, or RSA of {SMALLEST_RSA} bits or more"
        raise invalid_field("/jwks", "jwks", words)


def _is_public_and_strong(key: object) -> bool:
    if isinstance(key, RSAKey):
        return not key.is_private and key.public_key.key_size >= SMALLEST_RSA
    return isinstance(key, ECKey) and not key.is_private


def _check_roles(given: Registration) -> None:
    """Roles are for what the client does as itself."""
    if given.roles and model.CREDENTIALS not in given.grant_types:
        raise invalid_field("/roles", "grant", f"are for clients with the grant {model.CREDENTIALS}")
    if given.roles:
        users.checked_roles(given.roles, given.vendor_id)
    elif given.vendor_id:
        raise invalid_field("/vendor_id", "vendor_id", "is for clients with the role vendor")
