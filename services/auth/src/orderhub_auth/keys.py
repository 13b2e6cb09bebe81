"""The keys that sign access tokens: ES256 JWKs (RFC 7517), their private part sealed as a JWE (RFC 7516)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey

ALGORITHM: Final = "ES256"
SEALING: Final = {"alg": "dir", "enc": "A256GCM", "cty": "jwk+json"}


class CannotOpen(Exception):
    """The sealed key was sealed with another key-encryption key, or it was changed."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """As it stands in the database: the public part in plain, the private part sealed."""

    kid: str
    public_jwk: str
    sealed: str


def generate(secret: str) -> StoredKey:
    """A fresh key; its kid is the RFC 7638 thumbprint."""
    key = ECKey.generate_key("P-256", private=True)
    kid = key.thumbprint()
    public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": ALGORITHM}
    private = json.dumps({**key.as_dict(private=True), "kid": kid})
    sealed = jwe.encrypt_compact({**SEALING, "kid": kid}, private, _sealing_key(secret))
    return StoredKey(kid, json.dumps(public, sort_keys=True), sealed)


def open_private(stored: StoredKey, secret: str) -> ECKey:
    """Raises CannotOpen."""
    try:
        opened = jwe.decrypt_compact(stored.sealed, _sealing_key(secret))
        if opened.protected.get("kid") != stored.kid or opened.plaintext is None:
            raise CannotOpen(f"signing key {stored.kid} carries another key")
        return ECKey.import_key(json.loads(opened.plaintext))
    except (JoseError, ValueError) as error:
        raise CannotOpen(f"signing key {stored.kid} was sealed with another key") from error


def jwks(stored: list[StoredKey]) -> str:
    """The public JSON Web Key Set."""
    keys: list[dict[str, Any]] = [json.loads(key.public_jwk) for key in stored]
    return json.dumps({"keys": keys})


def _sealing_key(secret: str) -> OctKey:
    """Any long secret becomes the 256 bits that A256GCM takes (HKDF, RFC 5869)."""
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"orderhub-auth signing keys").derive(
        secret.encode()
    )
    return OctKey.import_key(derived)
