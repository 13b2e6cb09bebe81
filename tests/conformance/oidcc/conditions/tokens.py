"""What the token and the userinfo endpoint answer (Core, sections 2, 3.1.3 and 5; RFC 6749, section 5).

Signatures are verified by PyJWT, claims once more by Authlib: neither is what the provider signs with.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime
from typing import Any, Final

import jwt
from authlib.oidc.core import CodeIDToken
from oidcc.conditions import answers
from oidcc.replies import Reply

UNTIMED: Final = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "verify_iss": False,
}
"""Time and audience are conditions of their own: the tests' clock is not the machine's."""
SKEW: Final = 5
TOKEN: Final = re.compile(r"[\x20-\x7e]+")
STANDARD: Final[dict[str, type | tuple[type, ...]]] = {
    "sub": str, "name": str, "given_name": str, "family_name": str, "middle_name": str, "nickname": str,
    "preferred_username": str, "profile": str, "picture": str, "website": str, "email": str,
    "email_verified": bool, "gender": str, "birthdate": str, "zoneinfo": str, "locale": str,
    "phone_number": str, "phone_number_verified": bool, "address": dict, "updated_at": (int, float),
    "acr": str, "amr": list, "azp": str, "auth_time": int, "nonce": str, "sid": str,
}  # fmt: skip
"""The types of the standard claims (Core, sections 2 and 5.1)."""
ADDRESS: Final = frozenset(
    {"formatted", "street_address", "locality", "region", "postal_code", "country"}
)  # Core, section 5.1.1


def answer_is_json(reply: Reply, status: int) -> None:
    assert reply.status == status, f"{reply.status}: {reply.text}"
    assert reply.headers["content-type"].partition(";")[0].strip() == "application/json", reply.headers


def is_kept_out_of_caches(reply: Reply) -> None:
    """RFC 6749, section 5.1."""
    assert "no-store" in reply.headers.get("cache-control", ""), reply.headers


def tokens_are_sound(reply: Reply) -> None:
    """An access token that a header takes, its type, and how long it lives (RFC 6749, section 5.1)."""
    answer_is_json(reply, 200)
    is_kept_out_of_caches(reply)
    assert "error" not in reply.json, reply.json
    assert TOKEN.fullmatch(reply.json["access_token"])
    answers.is_random(reply.json["access_token"])
    assert reply.json["token_type"].lower() == "bearer", reply.json
    expires_in = reply.json["expires_in"]
    assert type(expires_in) is int, expires_in
    assert 0 < expires_in <= 900, expires_in


def is_token_error(reply: Reply, error: str, *, status: int = 400) -> None:
    """RFC 6749, section 5.2."""
    answer_is_json(reply, status)
    is_kept_out_of_caches(reply)
    assert reply.json.get("error") == error, reply.json
    assert "access_token" not in reply.json, reply.json
    assert "id_token" not in reply.json, reply.json
    assert answers.ERROR.fullmatch(reply.json.get("error_description", " ")), reply.json


def verified(token: str, keys: dict[str, Any], algorithm: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token that a published key has signed by exactly this algorithm; the header names the key."""
    assert token.count(".") == 2, "not a signed token in its compact form"
    header = jwt.get_unverified_header(token)
    assert header.get("alg") == algorithm, header
    assert header.get("kid"), header
    (key,) = [one for one in keys["keys"] if one.get("kid") == header["kid"]]
    assert key["alg"] == algorithm, key
    options: Any = UNTIMED
    return header, jwt.decode(token, jwt.PyJWK(key), algorithms=[algorithm], options=options)


def is_ours(claims: dict[str, Any], *, issuer: str, client_id: str) -> None:
    """Core, section 3.1.3.7, points 2 to 5."""
    assert claims.get("iss") == issuer, claims
    audience = claims.get("aud")
    assert audience in (client_id, [client_id]), claims
    assert claims.get("azp", client_id) == client_id, claims


def is_timely(claims: dict[str, Any], now: datetime) -> None:
    """Issued just now, and not over; whole seconds."""
    seconds = now.timestamp()
    for name in ("iat", "exp"):
        assert type(claims.get(name)) is int, claims
    assert abs(claims["iat"] - seconds) <= SKEW, (claims["iat"], seconds)
    assert claims["exp"] > seconds, claims
    assert claims.get("nbf", 0) <= seconds + SKEW, claims
    assert claims.get("auth_time", 0) <= seconds + SKEW, claims


def nonce_is(claims: dict[str, Any], nonce: str | None) -> None:
    """As it was sent, and none where none was (Core, section 2)."""
    assert claims.get("nonce") == nonce, (claims.get("nonce"), nonce)


def has_a_subject(claims: dict[str, Any]) -> None:
    """At most 255 ASCII letters (Core, section 2)."""
    assert isinstance(claims.get("sub"), str), claims
    assert claims["sub"], claims
    assert claims["sub"].isascii(), claims
    assert len(claims["sub"]) <= 255, claims


def claims_have_their_types(claims: dict[str, Any]) -> None:
    for name, kinds in STANDARD.items():
        if name in claims:
            assert isinstance(claims[name], kinds), f"{name} is {claims[name]!r}"
    assert not isinstance(claims.get("updated_at"), bool), claims
    assert claims.get("updated_at", 0) < 4_000_000_000, "updated_at is in seconds"
    for name, value in claims.get("address", {}).items():
        assert name in ADDRESS, name
        assert isinstance(value, str), claims["address"]
    assert not [name for name, value in claims.items() if value in ("", None)], f"an empty claim: {claims}"


def at_hash_is(claims: dict[str, Any], access_token: str) -> None:
    """The left half of the SHA-256 of the access token, as every algorithm here has 256 bits (Core, section 3.1.3.6)."""
    left = hashlib.sha256(access_token.encode("ascii")).digest()[:16]
    assert claims.get("at_hash") == base64.urlsafe_b64encode(left).rstrip(b"=").decode(), claims


def authlib_agrees(
    header: dict[str, Any], claims: dict[str, Any], expected: dict[str, Any], now: datetime
) -> None:
    """A library that relying parties use takes the token."""
    options = {"iss": {"value": expected["iss"]}, "aud": {"value": expected["client_id"]}}
    CodeIDToken(claims, header, options, expected).validate(now=now.timestamp(), leeway=SKEW)


def claims_are_absent(claims: dict[str, Any], *names: str) -> None:
    """What was not asked for stays with the provider."""
    found = sorted(set(names) & claims.keys())
    assert not found, f"nobody asked for {found}"


def auth_time_is_told(claims: dict[str, Any]) -> None:
    """With max_age it has to be there (Core, section 2)."""
    assert type(claims.get("auth_time")) is int, claims


def auth_time_is_recent(claims: dict[str, Any], now: datetime) -> None:
    assert abs(claims["auth_time"] - now.timestamp()) <= 1, (claims["auth_time"], now.timestamp())


def auth_time_is_later(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert second["auth_time"] > first["auth_time"], (first["auth_time"], second["auth_time"])


def is_the_same_login(first: dict[str, Any], second: dict[str, Any]) -> None:
    """The person did not log in again."""
    assert second["auth_time"] == first["auth_time"], (first["auth_time"], second["auth_time"])
    assert second["sub"] == first["sub"], (first["sub"], second["sub"])


def acr_is_one_of(claims: dict[str, Any], values: list[str]) -> None:
    assert claims.get("acr") in values, (claims.get("acr"), values)


def renewed_token_goes_with(first: dict[str, Any], second: dict[str, Any]) -> None:
    """The ID token of a refresh is of the same login, and of a later time (Core, section 12.2)."""
    for name in ("iss", "sub", "auth_time", "azp", "sid"):
        assert second.get(name) == first.get(name), f"{name}: {first.get(name)!r}, then {second.get(name)!r}"
    assert second["aud"] == first["aud"]
    assert second["iat"] > first["iat"], (first["iat"], second["iat"])


def userinfo_is_of(reply: Reply, claims: dict[str, Any]) -> None:
    """Of the subject of the ID token (Core, section 5.3.2), with claims of the standard's types."""
    answer_is_json(reply, 200)
    has_a_subject(reply.json)
    assert reply.json["sub"] == claims["sub"], (reply.json["sub"], claims["sub"])
    claims_have_their_types(reply.json)


def is_refused_at_userinfo(reply: Reply) -> None:
    """RFC 6750, section 3.1."""
    assert reply.status == 401, f"{reply.status}: {reply.text}"
    challenge = reply.headers.get("www-authenticate", "")
    assert challenge.lower().startswith("bearer"), reply.headers
    assert 'error="invalid_token"' in challenge, challenge
