"""Other issuers in tests: real HTTP servers with discovery, a JWKS and keys that sign, and a verifier that believes them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from orderhub_chassis.clock import ManualClock, SystemClock
from orderhub_chassis.errors import Failure
from orderhub_gateway.issuers import Issuer
from orderhub_gateway.readiness import GatedReadiness
from orderhub_gateway.verifier import Verifier

OWN = "http://own.example"
SLOWLY = {"jwks_refresh": 3600, "jwks_keep": 7200}
"""So that within a test nothing but a token makes us ask again."""


class Gate:
    """A verifier with all that stands around it."""

    def __init__(self, access: Verifier, clock: ManualClock, readiness: GatedReadiness) -> None:
        self.access = access
        self.clock = clock
        self.readiness = readiness

    async def caller(self, token: str) -> Any:
        return self.access.known(token.encode()) or await self.access.verify(token.encode())

    async def refusal(self, token: str) -> Failure:
        with pytest.raises(Failure) as refused:
            await self.caller(token)
        return refused.value


@cache
def rsa_key() -> RSAKey:
    """Making one takes a while."""
    return RSAKey.generate_key(2048, private=True)


def ec_key() -> ECKey:
    return ECKey.generate_key("P-256", private=True)


class Idp:
    """An issuer of its own: a real HTTP server with discovery and a JWKS, and the keys that sign its tokens."""

    def __init__(self) -> None:
        self.url = ""
        self.clock: Any = SystemClock()
        self.keys: list[Any] = [ec_key()]
        self.asked = {"discovery": 0, "jwks": 0}
        self.status = 200
        self.jwks: bytes | None = None
        self.metadata: dict[str, Any] = {}
        self.location = ""
        self.gate = asyncio.Event()
        self.gate.set()

    def settings(self, **over: Any) -> dict[str, Any]:
        """As in ORDERHUB_OIDC_ISSUERS."""
        return {
            "issuer": self.url, "audience": "orderhub", "roles_claim": "realm_access.roles",
            "role_map": {"customer": "customer", "staff": "operator", "seller": "vendor"}, "vendor_claim": "vendor_id",
            **over,
        }  # fmt: skip

    def claims(self, **over: Any) -> dict[str, Any]:
        """Of a good token of Keycloak's kind. A claim that is given as None is left out."""
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": self.url, "aud": ["account", "orderhub"], "sub": "0198c0de-0000-7000-8000-000000000001",
            "typ": "Bearer", "iat": now, "exp": now + 300, "realm_access": {"roles": ["customer", "offline_access"]},
            "email": "ada@example.org", "email_verified": True, "name": "Ada", **over,
        }  # fmt: skip
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key: Any = None, head: dict[str, Any] | None = None, **over: Any) -> str:
        key = key or self.keys[-1]
        alg = "RS256" if isinstance(key, RSAKey) else "ES256"
        header = {"alg": alg, "typ": "JWT", "kid": key.thumbprint(), **(head or {})}
        anything = JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
        return jwt.encode(header, self.claims(**over), key, registry=anything)

    def published(self) -> list[dict[str, Any]]:
        return [{**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig"} for key in self.keys]

    async def _discovery(self, request: web.Request) -> web.Response:
        self.asked["discovery"] += 1
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/certs", **self.metadata})

    async def _certs(self, request: web.Request) -> web.StreamResponse:
        self.asked["jwks"] += 1
        await self.gate.wait()
        if self.location:
            raise web.HTTPFound(self.location)
        if self.jwks is not None:
            return web.Response(status=self.status, body=self.jwks)
        return web.json_response({"keys": self.published()}, status=self.status)

    async def _moved(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": self.published()})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Idp]:
        app = web.Application()
        app.router.add_get("/realms/shop/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/realms/shop/certs", self._certs)
        app.router.add_get("/realms/shop/moved", self._moved)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/realms/shop"
            yield self
        finally:
            self.gate.set()
            await runner.cleanup()


async def truth(value: Any) -> Any:
    return value


def parsed(issuers: Any) -> tuple[Issuer, ...]:
    return tuple(Issuer.model_validate(one) for one in issuers)


def at(idp: Any, gate: Gate) -> Any:
    """The issuer goes by the same clock."""
    idp.clock = gate.clock
    return idp


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")
