"""The keys that sign tokens: JWKs (RFC 7517) for ES256 and RS256, their private part sealed as a JWE (RFC 7516)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey

ES256: Final = "ES256"
"""Access tokens: short, and quick to sign."""
RS256: Final = "RS256"
"""ID tokens: every relying party can check it (OpenID Connect Discovery 1.0, section 3)."""
ALGORITHMS: Final = (ES256, RS256)
RSA_BITS: Final = 2048
"""The least that RFC 7518, section 3.3, allows; good until 2030 by NIST SP 800-57."""
SEALING: Final = {"alg": "dir", "enc": "A256GCM", "cty": "jwk+json"}
SECRETS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
Jwk = ECKey | RSAKey


class CannotOpen(Exception):
    """The sealed key was sealed with a key-encryption key that is not known here, or it was changed."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """As it stands in the database: the public part in plain, the private part sealed, or empty where it is spent."""

    kid: str
    alg: str
    public_jwk: str
    sealed: str
    created_at: datetime
    signs_from: datetime
    revoked_at: datetime | None = None


class Seal:
    """Closes with the first of these secrets, and opens with any of them."""

    def __init__(self, secret: str, former: Iterable[str] = ()) -> None:
        self._keys = [_sealing_key(one) for one in (secret, *former)]

    def close(self, kid: str, private: str) -> str:
        return jwe.encrypt_compact({**SEALING, "kid": kid}, private, self._keys[0])

    def open(self, stored: StoredKey) -> Jwk:
        """The private key. Raises CannotOpen."""
        for key in self._keys:
            try:
                return _opened(stored, key)
            except (JoseError, ValueError):
                continue
        raise CannotOpen(f"signing key {stored.kid} was sealed with another key")

    def renewed(self, stored: StoredKey) -> str | None:
        """The private key sealed with the secret of today; None where it is that already, or cannot be opened."""
        try:
            jwe.decrypt_compact(stored.sealed, self._keys[0])
        except (JoseError, ValueError):
            return self._again(stored)
        return None

    def _again(self, stored: StoredKey) -> str | None:
        try:
            return self.close(stored.kid, _private_text(self.open(stored), stored.kid))
        except CannotOpen:
            return None


def generate(alg: str, seal: Seal, *, now: datetime, signs_from: datetime) -> StoredKey:
    """A fresh key; its kid is the RFC 7638 thumbprint. Takes up to a fifth of a second: never call it in the loop."""
    key: Jwk = (
        RSAKey.generate_key(RSA_BITS, private=True)
        if alg == RS256
        else ECKey.generate_key("P-256", private=True)
    )
    kid = key.thumbprint()
    public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": alg}
    sealed = seal.close(kid, _private_text(key, kid))
    return StoredKey(kid, alg, json.dumps(public, sort_keys=True), sealed, now, signs_from)


def public_key(stored: StoredKey) -> Jwk:
    return _imported(json.loads(stored.public_jwk))


def jwks(stored: Iterable[StoredKey]) -> str:
    """The public JSON Web Key Set."""
    keys: list[dict[str, Any]] = [json.loads(key.public_jwk) for key in stored]
    return json.dumps({"keys": keys})


def _private_text(key: Jwk, kid: str) -> str:
    return json.dumps({**key.as_dict(private=True), "kid": kid})


def _opened(stored: StoredKey, key: OctKey) -> Jwk:
    """Raises JoseError or ValueError."""
    opened = jwe.decrypt_compact(stored.sealed, key)
    if opened.protected.get("kid") != stored.kid or opened.plaintext is None:
        raise ValueError("it carries another key")
    private = _imported(json.loads(opened.plaintext))
    if private.thumbprint() != stored.kid:
        raise ValueError("it is another key")
    return private


def _imported(table: dict[str, Any]) -> Jwk:
    return RSAKey.import_key(table) if table["kty"] == "RSA" else ECKey.import_key(table)


def _sealing_key(secret: str) -> OctKey:
    """Any long secret becomes the 256 bits that A256GCM takes (HKDF, RFC 5869)."""
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"orderhub-auth signing keys").derive(
        secret.encode()
    )
    return OctKey.import_key(derived)
