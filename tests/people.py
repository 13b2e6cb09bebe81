"""Where the people of the tests have their tokens from: our own auth, or another issuer. Both know the same names."""

from __future__ import annotations

import secrets
from typing import Any, Final, Protocol

DOMAIN: Final = "e2e.orderhub.example"


class People(Protocol):
    """`who` is a demo user: customer, customer2, courier, operator, or a vendor by name. Each gives an access token."""

    token_seconds: float

    async def token(self, shop: Any, who: str) -> str: ...

    async def newcomer(self, shop: Any) -> str:
        """Of a customer of today."""
        ...

    async def employee(self, shop: Any, role: str) -> str:
        """Of another user of a role."""
        ...


class OwnPeople:
    """Users of auth; the demo has made some."""

    token_seconds = 600.0

    async def token(self, shop: Any, who: str) -> str:
        from orderhub import gateway

        known = gateway.credentials(shop.hub.place, who)
        return await self._login(shop, {"email": known.email, "password": known.password})

    async def newcomer(self, shop: Any) -> str:
        who = _somebody()
        answer = await shop.http.post("auth/register", json={**who, "name": "Newcomer"})
        assert answer.status_code == 202, answer.text
        return await self._login(shop, who)

    async def employee(self, shop: Any, role: str) -> str:
        who = _somebody()
        await (await shop.as_("operator")).done("admin/users", {**who, "roles": [role], "name": "Newcomer"})
        return await self._login(shop, who)

    async def _login(self, shop: Any, who: dict[str, str]) -> str:
        answer = await shop.http.post("auth/login", json=who)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


def _somebody() -> dict[str, str]:
    return {"email": f"{secrets.token_hex(8)}@{DOMAIN}", "password": secrets.token_urlsafe(15)}
