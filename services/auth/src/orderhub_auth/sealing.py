"""What lies sealed in the database: as a JWE (RFC 7516) under a key made of the key-encryption key, one for each purpose."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

HEADER: Final = {"alg": "dir", "enc": "A256GCM"}


class StaysSealed(Exception):
    """It was sealed with a secret that is not known here, or for another owner, or it was changed."""


class Sealing:
    """Closes with the first of these secrets and opens with any of them. `owner` is bound in: what was sealed for one
    user is worth nothing in another one's row.
    """

    def __init__(self, purpose: str, secret: str, former: Iterable[str] = ()) -> None:
        self._keys = {_name(key): key for key in (_key(purpose, one) for one in (secret, *former))}
        self.current, *self.former = self._keys
        """The name of the key that closes, and those of the keys whose work is to be sealed again."""

    def close(self, owner: str, content: str) -> str:
        return jwe.encrypt_compact({**HEADER, "kid": owner}, content, self._keys[self.current])

    def open(self, owner: str, sealed: str) -> str:
        """Raises StaysSealed."""
        for key in self._keys.values():
            try:
                opened = jwe.decrypt_compact(sealed, key)
            except (JoseError, ValueError):
                continue
            if opened.protected.get("kid") == owner and opened.plaintext is not None:
                return opened.plaintext.decode()
        raise StaysSealed


def _key(purpose: str, secret: str) -> OctKey:
    """Any long secret becomes the 256 bits that A256GCM takes (HKDF, RFC 5869)."""
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret.encode())
    return OctKey.import_key(derived)


def _name(key: OctKey) -> str:
    """Says which key it is, and nothing about it."""
    return hashlib.sha256(b"name\0" + key.get_op_key("encrypt")).hexdigest()[:16]
