"""Tokens that somebody made who should not have, at the door of a real gateway with real keys: none of them opens it."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from orderhub_auth.app import build as build_auth
from orderhub_auth.keys import Seal
from orderhub_chassis.clock import SystemClock
from orderhub_chassis.service import Surroundings
from orderhub_gateway.app import build as build_gateway

USER = "0198c0de-0000-7000-8000-0000000000ff"


@dataclass(frozen=True)
class Attacker:
    """Knows everything that is public, has keys of its own, and once more than that: what auth would sign for it."""

    ring: Any
    ec: ECKey
    rsa: RSAKey
    now: int

    def claims(self, **over: Any) -> dict[str, Any]:
        claims = {
            "iss": "http://127.0.0.1:8080", "aud": "orderhub-api", "sub": USER, "sid": USER, "roles": ["operator"],
            "vendor_id": "", "jti": USER, "iat": self.now, "exp": self.now + 600, **over,
        }  # fmt: skip
        return {name: value for name, value in claims.items() if value is not None}

    def signed(self, alg: str = "ES256", typ: str = "at+jwt", **over: Any) -> str:
        """By auth itself."""
        return str(self.ring.sign(alg, self.claims(**over), typ=typ, now=self.ring.db.clock.now()))

    def kid(self, alg: str = "ES256") -> str:
        return str(decoded(self.signed(alg).split(".")[0])["kid"])

    def own(self, key: Any = None, **header: Any) -> str:
        """By a key of its own."""
        head = {"alg": "ES256", "typ": "at+jwt", "kid": self.kid(), **header}
        registry = JWSRegistry(algorithms=[head["alg"]], strict_check_header=False)
        return jwt.encode(head, self.claims(), key or self.ec, registry=registry)

    def stolen(self) -> Any:
        """The private key itself: what is refused then is not refused for its signature."""
        (stored,) = [key for key in self.ring.all() if key.kid == self.kid()]
        return Seal("k" * 40).open(stored)

    def with_head(self, raw: str) -> str:
        _, claims, signature = self.signed().split(".")
        return ".".join([encoded(raw.encode()), claims, signature])

    def with_claims(self, raw: str) -> str:
        head, _, signature = self.signed().split(".")
        return ".".join([head, encoded(raw.encode()), signature])

    def by_hmac(self, alg: str, secret: bytes) -> str:
        head = {"alg": "HS256", "typ": "at+jwt", "kid": self.kid(alg)}
        unsigned = f"{encoded(json.dumps(head).encode())}.{encoded(json.dumps(self.claims()).encode())}"
        return f"{unsigned}.{encoded(hmac.digest(secret, unsigned.encode(), 'sha256'))}"

    def public(self, alg: str) -> Any:
        return self.ring.public(self.kid(alg)).jwk


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


ATTACKS: dict[str, Callable[[Attacker], str]] = {
    "alg none": lambda a: a.with_head('{"alg":"none","typ":"at+jwt","kid":"' + a.kid() + '"}').rpartition(".")[0] + ".",
    "alg None in other letters": lambda a: a.with_head('{"alg":"nOnE","typ":"at+jwt","kid":"' + a.kid() + '"}'),
    "alg twice": lambda a: a.with_head('{"alg":"ES256","alg":"none","typ":"at+jwt","kid":"' + a.kid() + '"}'),
    "no kid": lambda a: a.with_head('{"alg":"ES256","typ":"at+jwt"}'),
    "HMAC with the PEM of the RSA key": lambda a: a.by_hmac("RS256", a.public("RS256").as_pem(private=False)),
    "HMAC with the PEM of the EC key": lambda a: a.by_hmac("ES256", a.public("ES256").as_pem(private=False)),
    "HMAC with the JWK": lambda a: a.by_hmac("ES256", json.dumps(a.public("ES256").as_dict(private=False)).encode()),
    "HMAC with nothing": lambda a: a.by_hmac("ES256", b""),
    "a key of its own": lambda a: a.own(),
    "a key of its own, in the header": lambda a: a.own(jwk=a.ec.as_dict(private=False)),
    "a key of its own, to be fetched": lambda a: a.own(kid="mine", jku="http://127.0.0.1:9/jwks"),
    "a certificate of its own, to be fetched": lambda a: a.own(kid="mine", x5u="http://127.0.0.1:9/cert.pem"),
    "an RSA key of its own under our kid": lambda a: a.own(a.rsa, alg="RS256", kid=a.kid("RS256")),
    "kid as a path": lambda a: a.own(kid="../../../../dev/null"),
    "kid as a URL": lambda a: a.own(kid="http://127.0.0.1:9/key"),
    "kid as SQL": lambda a: a.own(kid="x' union select 'k' --"),
    "kid as a command": lambda a: a.own(kid="|cat /etc/passwd"),
    "kid with a line end": lambda a: a.own(kid=a.kid() + "\r\nX-User-Id: 1"),
    "kid without end": lambda a: a.own(kid="k" * 5000),
    "kid that is no text": lambda a: a.with_head('{"alg":"ES256","typ":"at+jwt","kid":["' + a.kid() + '"]}'),
    "a critical header that nobody knows": lambda a: a.own(a.stolen(), crit=["kid"]),
    "an ID token of ours": lambda a: a.signed("RS256", "JWT"),
    "an ID token of ours by ES256": lambda a: a.signed("ES256", "JWT"),
    "a logout token of ours": lambda a: a.signed("ES256", "logout+jwt"),
    "an access token by the key of ID tokens": lambda a: a.signed("RS256"),
    "over": lambda a: a.signed(exp=a.now),
    "of another issuer": lambda a: a.signed(iss="https://elsewhere.example"),
    "of our issuer with a stroke": lambda a: a.signed(iss="http://127.0.0.1:8080/"),
    "for another audience": lambda a: a.signed(aud="orderhub-web"),
    "for several audiences": lambda a: a.signed(aud=["orderhub-api", "evil"]),
    "of nobody": lambda a: a.signed(sub=None),
    "claims of another": lambda a: a.with_claims(json.dumps(a.claims(sub=USER[:-2] + "ee"))),
    "claims twice": lambda a: a.with_claims(json.dumps(a.claims(roles=["customer"]))[:-1] + ', "roles": ["operator"]}'),
    "longer than 8 kB": lambda a: a.signed(padding="x" * 8192),
    "a signature of zeros": lambda a: a.signed().rpartition(".")[0] + "." + encoded(bytes(64)),
    "a signature in DER": lambda a: a.signed().rpartition(".")[0] + "." + encoded(b"0\x06\x02\x01\x00\x02\x01\x00"),
    "no signature": lambda a: a.signed().rpartition(".")[0] + ".",
    "two signatures": lambda a: a.signed() + "." + a.signed().rpartition(".")[2],
    "as JSON": lambda a: json.dumps(dict(zip(("protected", "payload", "signature"), a.signed().split("."), strict=True))),
    "encrypted": lambda a: "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAA.AAAA.AAAA",
}  # fmt: skip


@pytest.fixture
async def door(make_settings: Any, settings_for: Any, redis_url: str) -> AsyncIterator[Any]:
    """(client of a gateway, its attacker)"""
    gateway_settings, auth_settings = settings_for
    around = Surroundings(clock=SystemClock())
    async with AsyncExitStack() as stack:
        auth = await stack.enter_async_context(build_auth(await auth_settings(make_settings), around))
        settings = gateway_settings(redis_url, {"auth": auth.grpc_port})
        gateway = await stack.enter_async_context(build_gateway(settings, around))
        http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", timeout=30, trust_env=False)
        keys = ECKey.generate_key("P-256", private=True), RSAKey.generate_key(2048, private=True)
        attacker = Attacker(auth.keys.ring, *keys, now=int(around.clock.now().timestamp()))
        yield await stack.enter_async_context(http), attacker


async def test_no_made_up_token_opens_the_door(door: Any) -> None:
    http, attacker = door

    async def answered(token: str) -> int:
        headers = {"authorization": b"Bearer " + token.encode()}
        answer = await http.get("/api/v1/admin/users", headers=headers)
        if answer.status_code == 401:
            assert answer.json()["code"] == "auth.token_refused"
            assert answer.headers["www-authenticate"].startswith("Bearer")
        return int(answer.status_code)

    for good in (attacker.signed(), attacker.own(attacker.stolen())):
        assert await answered(good) == 200, "what auth signs for an operator does"
    found = {name: await answered(made(attacker)) for name, made in ATTACKS.items()}
    assert {name: status for name, status in found.items() if status != 401} == {}


async def test_identity_in_headers_from_outside_is_nobody(door: Any) -> None:
    http, _ = door
    for name in ("x-user-id", "x-roles", "x-internal-token", "x-orderhub-caller", "authorization-internal"):
        answer = await http.get("/api/v1/auth/me", headers={name: USER})
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.unauthenticated")
