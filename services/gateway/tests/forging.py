"""Access tokens that no library would make: any bytes for header and claims, any signature."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from idp import encoded
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

Made = Callable[["Mould"], str]


class Mould(NamedTuple):
    """What an attacker has: a good token, the issuer's public key, a key of its own, an address that it listens at."""

    token: str
    public: ECKey
    own: ECKey
    url: str

    @property
    def parts(self) -> tuple[str, str, str]:
        head, claims, signature = self.token.split(".")
        return head, claims, signature

    @property
    def kid(self) -> str:
        return str(self.public.as_dict()["kid"])


def raw(value: Any) -> str:
    return encoded(value if isinstance(value, bytes) else json.dumps(value).encode())


def signed(head: Any, claims: Any, key: ECKey) -> str:
    """By a key that the signer has; both are JSON or any bytes."""
    unsigned = f"{raw(head)}.{claims if isinstance(claims, str) else raw(claims)}"
    algorithm = JWSRegistry().get_alg("ES256")
    return f"{unsigned}.{encoded(algorithm.sign(unsigned.encode(), key))}"


def with_head(**changed: Any) -> Made:
    """The good token's claims and signature under another header; None leaves a member out."""

    def make(mould: Mould) -> str:
        head = {"alg": "ES256", "typ": "at+jwt", "kid": mould.kid, **changed}
        _, claims, signature = mould.parts
        return (
            f"{raw({name: value for name, value in head.items() if value is not None})}.{claims}.{signature}"
        )

    return make


def unsigned(alg: str, *, keep: bool = False) -> Made:
    """RFC 8725, section 2.1, with and without the signature of another token."""

    def make(mould: Mould) -> str:
        token = with_head(alg=alg)(mould)
        return token if keep else token.rpartition(".")[0] + "."

    return make


def hmac_by(secret: Callable[[ECKey], bytes], alg: str = "HS256") -> Made:
    """What is public taken for a shared secret."""

    def make(mould: Mould) -> str:
        text = with_head(alg=alg)(mould).rpartition(".")[0]
        digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[alg]
        return f"{text}.{encoded(hmac.digest(secret(mould.public), text.encode(), digest))}"

    return make


def by_the_attackers_key(**changed: Any) -> Made:
    """Well signed, by a key that the header brings along or says where to find: `URL` and `JWK` stand for them."""

    def make(mould: Mould) -> str:
        public = {**mould.own.as_dict(private=False), "kid": mould.kid, "alg": "ES256", "use": "sig"}
        known = {"URL": f"{mould.url}/keys.json", "JWK": public}
        head = {"alg": "ES256", "typ": "at+jwt", "kid": mould.kid}
        head |= {
            name: known.get(value, value) if isinstance(value, str) else value
            for name, value in changed.items()
        }
        return signed(head, mould.parts[1], mould.own)

    return make


def tampered(**changed: Any) -> Made:
    def make(mould: Mould) -> str:
        head, claims, signature = mould.parts
        table = json.loads(_decoded(claims)) | changed
        return f"{head}.{raw(table)}.{signature}"

    return make


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
