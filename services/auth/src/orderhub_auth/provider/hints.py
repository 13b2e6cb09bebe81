"""ID tokens that come back as hints: of whom is spoken, and of which login."""

from __future__ import annotations

from dataclasses import dataclass

from joserfc import jwt
from joserfc.errors import JoseError

from orderhub_auth.keyring import KeyRing
from orderhub_auth.provider import model
from orderhub_auth.provider.errors import RedirectError
from orderhub_auth.provider.model import Parameters, RelyingParty
from orderhub_auth.provider.registration import ID_TOKEN_ALGS
from orderhub_auth.tokens import kid_of


@dataclass(frozen=True, slots=True)
class Hint:
    """Of an ID token of ours, whether it still lives or not."""

    subject: str
    login_id: str
    audience: str


@dataclass(frozen=True, slots=True)
class Hints:
    """Reads the ID tokens that this issuer has made. An expired one is as good a hint (OpenID Connect RP-Initiated
    Logout 1.0, section 4)."""

    ring: KeyRing
    issuer: str

    def read(self, token: str) -> Hint | None:
        """None for what is no ID token of ours."""
        try:
            key = self.ring.public(kid_of(token))
            if key is None or key.alg not in ID_TOKEN_ALGS:
                return None
            decoded = jwt.decode(token, key.jwk, algorithms=[key.alg])
        except (JoseError, ValueError):
            return None
        claims = decoded.claims
        if decoded.header.get("typ") != "JWT" or claims.get("iss") != self.issuer:
            return None
        return Hint(str(claims.get("sub", "")), str(claims.get("sid", "")), str(claims.get("aud", "")))

    def subject_of(self, parameters: Parameters, client: RelyingParty) -> str:
        """Whom an id_token_hint names; "" without one. Raises RedirectError for a bad one."""
        token = model.one_value(parameters, "id_token_hint")
        if not token:
            return ""
        hint = self.read(token)
        if hint is None or hint.audience != str(client.id):
            raise RedirectError("invalid_request", "id_token_hint is no ID token of ours for this client")
        return hint.subject
