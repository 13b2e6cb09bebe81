"""Logout tokens (OpenID Connect Back-Channel Logout 1.0, sections 2.4 to 2.6)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from oidcc.conditions import tokens
from oidcc.receiver import Received

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"


def request_is_sound(received: Received) -> str:
    """A form with the logout token and nothing else; returns the token."""
    assert received.method == "POST"
    assert received.content_type == "application/x-www-form-urlencoded", received.content_type
    assert set(received.form) == {"logout_token"}, sorted(received.form)
    return received.form["logout_token"]


def token_is_sound(
    token: str, keys: dict[str, Any], algorithm: str, *, issuer: str, client_id: str, now: datetime
) -> dict[str, Any]:
    """Signed as the client's ID tokens are, for this client, now, once, and the one event; returns its claims."""
    header, claims = tokens.verified(token, keys, algorithm)
    assert header.get("typ") == "logout+jwt", header
    tokens.is_ours(claims, issuer=issuer, client_id=client_id)
    assert type(claims.get("iat")) is int, claims
    assert abs(claims["iat"] - now.timestamp()) <= tokens.SKEW, claims
    assert type(claims.get("exp")) is int, claims
    assert now.timestamp() < claims["exp"] <= now.timestamp() + 120, "at most two minutes are recommended"
    assert isinstance(claims.get("jti"), str), claims
    assert claims["jti"], claims
    assert claims.get("events") == {EVENT: {}}, claims
    return claims


def has_no_nonce(claims: dict[str, Any]) -> None:
    """So that it can never be taken for an ID token (section 2.4)."""
    assert "nonce" not in claims, claims


def is_of_the_session(claims: dict[str, Any], id_claims: dict[str, Any]) -> None:
    """A subject or a session at least; both as in the ID token."""
    assert "sub" in claims or "sid" in claims, claims
    for name in ("sub", "sid"):
        if name in claims:
            assert claims[name] == id_claims[name], (name, claims[name], id_claims[name])
    assert claims.get("sid"), "the metadata promises a sid"
