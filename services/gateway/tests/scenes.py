"""What an operation needs to be there before it is called: orders, deliveries, animals, sessions, all of them real."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pyotp
from orderhub_gateway.examples import Example, things

Stage = Callable[["Scene"], Awaitable[None]]
DRIFTWOOD = {"title": "Driftwood", "description": "Soaked for a month."}


class Scene:
    """What an example needs to be there, and the real ids behind the examples' own."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self.ids: dict[str, str] = {things.VENDOR: api.vendor_id}
        self.texts: dict[str, str] = {}

    async def product(self) -> dict[str, Any]:
        made = await self.api.make_product(sku=f"WOOD-{uuid4().hex[:8]}", **DRIFTWOOD)
        self.ids[things.PRODUCT] = made["id"]
        self.texts["WOOD-1"] = made["sku"]
        return dict(made)

    async def ferrets(self) -> None:
        facts = {"life_stage": "juvenile", "weaned": True, "born_on": "2025-11-03", "weight_kg": 1.4}
        made = await self.api.make_product(
            kind="individual",
            species="mustela_furo",
            stock=0,
            facts={"life_stage": "juvenile", "weaned": True},
        )
        self.ids[things.FERRETS] = made["id"]
        answer = await self.api(
            "POST", f"/v1/products/{made['id']}/animals", json={"identifier": uuid4().hex[:15], "facts": facts},
            headers=await self.api.as_("vendor"),
        )  # fmt: skip
        assert answer.status_code == 201, answer.text
        self.ids[things.ANIMAL] = answer.json()["id"]

    async def order(self) -> None:
        answer = await self.api.place(await self.product(), headers={"prefer": "wait=30"})
        assert answer.json()["status"] == "CONFIRMED", answer.text
        order = answer.json()
        self.ids |= {
            things.ORDER: order["id"],
            things.PAYMENT: order["payment"]["id"],
            things.DELIVERY: order["delivery"]["id"],
            things.CUSTOMER: order["customer_id"],
        }
        sagas = await self.api(
            "GET", f"/v1/admin/sagas?order_id={order['id']}", headers=await self.api.as_("operator")
        )
        self.ids[things.RUN] = sagas.json()["items"][0]["run_id"]

    async def act(self, action: str, **body: Any) -> None:
        path = f"/v1/deliveries/{self.ids[things.DELIVERY]}/{action}"
        answer = await self.api("POST", path, json=body, headers=await self.api.as_("courier"))
        assert answer.status_code == 200, answer.text

    async def login(self) -> None:
        user = {"email": f"{uuid4().hex}@example.org", "password": "a password for tests"}
        await self.api("POST", "/v1/auth/register", json=user)
        pair = await self.api("POST", "/v1/auth/login", json=user)
        self.texts |= {"ada@example.org": user["email"], "ohr_c2VjcmV0": pair.json()["refresh_token"]}

    async def session(self) -> None:
        """Opened by the customer beside the one of the token."""
        user = {"email": self.api.users["customer"]["email"], "password": "a password for tests"}
        pair = await self.api("POST", "/v1/auth/login", json=user)
        assert pair.status_code == 200, pair.text
        [newest, *_] = (
            await self.api("GET", "/v1/auth/sessions", headers=await self.api.as_("customer"))
        ).json()["items"]
        self.ids[things.SESSION] = newest["id"]

    async def user(self) -> None:
        user = {
            "email": f"{uuid4().hex}@example.org",
            "password": "a password for tests",
            "roles": ["courier"],
        }
        made = await self.api("POST", "/v1/admin/users", json=user, headers=await self.api.as_("operator"))
        self.ids[things.COURIER] = made.json()["id"]

    async def enrolling(self) -> None:
        """The courier has a secret in its app, and the code that confirms it."""
        courier = await self.api.as_("courier")
        await self.api(
            "DELETE",
            f"/v1/admin/users/{self.api.users['courier']['id']}/mfa",
            headers=await self.api.as_("operator"),
        )
        self.texts["492039"] = (await self._app(courier)).now()

    async def enrolled(self) -> None:
        """The courier has a second factor, and the next code of it."""
        await self.enrolling()
        courier = await self.api.as_("courier")
        app = await self._confirmed(courier, await self._app(courier))
        self.texts["492039"] = next_code(app)

    async def second_step(self) -> None:
        """Somebody has shown its password, and has the code that is asked for then."""
        await self.login()
        user = {"email": f"{uuid4().hex}@example.org", "password": "a password for tests"}
        made = {**user, "roles": ["customer"]}
        await self.api("POST", "/v1/admin/users", json=made, headers=await self.api.as_("operator"))
        pair = await self.api("POST", "/v1/auth/login", json=user)
        mine = {"authorization": f"Bearer {pair.json()['access_token']}"}
        app = await self._confirmed(mine, await self._app(mine))
        asked = await self.api("POST", "/v1/auth/login", json=user)
        self.texts |= {
            "grace@example.org": user["email"],
            "ohm_c2VjcmV0": asked.json()["mfa_token"],
            "492039": next_code(app),
        }

    async def _app(self, who: dict[str, str]) -> pyotp.TOTP:
        body = {"current_password": "a password for tests"}
        made = await self.api("POST", "/v1/auth/mfa/totp/enroll", json=body, headers=who)
        assert made.status_code == 200, made.text
        return pyotp.TOTP(made.json()["secret"])

    async def _confirmed(self, who: dict[str, str], app: pyotp.TOTP) -> pyotp.TOTP:
        body = {"code": app.now()}
        answer = await self.api("POST", "/v1/auth/mfa/totp/confirm", json=body, headers=who)
        assert answer.status_code == 200, answer.text
        return app

    async def client(self) -> None:
        client = {"name": "Aquarist app", "redirect_uris": ["https://app.example/callback"]}
        made = await self.api(
            "POST", "/v1/admin/clients", json=client, headers=await self.api.as_("operator")
        )
        self.ids[things.CLIENT] = made.json()["client_id"]

    async def api_key(self) -> None:
        body = {"name": "Till", "scopes": ["orders:read"]}
        made = await self.api("POST", "/v1/api-keys", json=body, headers=await self.api.as_("vendor"))
        assert made.status_code == 201, made.text
        self.ids[things.API_KEY] = made.json()["id"]

    def real(self, value: Any) -> Any:
        text = json.dumps(value)
        for shown, real in (self.ids | self.texts).items():
            text = text.replace(shown, real)
        return json.loads(text)


def next_code(app: pyotp.TOTP) -> str:
    """The one after that of now, which is good already: one time step has one code, and it was used."""
    return app.at(datetime.now(UTC), counter_offset=1)


async def taken(scene: Scene) -> None:
    await scene.order()
    await scene.act("assign")


async def on_its_way(scene: Scene) -> None:
    await taken(scene)
    await scene.act("pickup")


async def nothing(scene: Scene) -> None:
    """The example stands alone."""


async def some_product(scene: Scene) -> None:
    await scene.product()


STAGES: dict[str, Stage] = {
    **dict.fromkeys(
        ("listClients", "getClient", "replaceClient", "deleteClient", "renewClientSecret"), Scene.client
    ),
    **dict.fromkeys(("listApiKeys", "getApiKey", "updateApiKey", "revokeApiKey"), Scene.api_key),
    "revokeSession": Scene.session, "getUser": Scene.user, "updateUser": Scene.user,
    "login": Scene.second_step, "verifySecondFactor": Scene.second_step, "confirmTotp": Scene.enrolling,
    "disableTotp": Scene.enrolled, "renewRecoveryCodes": Scene.enrolled, "switchOffMfa": Scene.user,
    "refresh": Scene.login, "logout": Scene.login,
    **dict.fromkeys(
        ("listProducts", "getProduct", "updateProduct", "archiveProduct", "changeStock", "placeOrder"), some_product
    ),
    **dict.fromkeys(("listAnimals", "addAnimal", "releaseAnimal", "quoteDelivery"), Scene.ferrets),
    **dict.fromkeys(
        (
            "listOrders", "getOrder", "cancelOrder", "getTimeline", "listPayments", "getPayment", "refundPayment",
            "createDelivery", "listDeliveries", "getDelivery", "assignDelivery", "cancelDelivery", "releaseOrder",
            "rejectOrder", "listSagas", "getSaga", "retrySaga", "compensateSaga", "skipSaga", "forceSaga", "listLedger",
        ),
        Scene.order,
    ),
    **dict.fromkeys(("pickUpDelivery",), taken),
    **dict.fromkeys(("reportPosition", "handOverDelivery", "failDelivery"), on_its_way),
}  # fmt: skip


async def ask(scene: Scene, example: Example, operation: tuple[str, str, Any], who: dict[str, str]) -> Any:
    """The example's request with the real ids, by whoever the headers say."""
    method, path, described = operation
    kinds = {parameter["name"]: parameter["in"] for parameter in described.get("parameters", ())}
    headers, query = dict(who), {}
    for parameter, value in scene.real(dict(example.parameters)).items():
        if kinds[parameter] == "path":
            path = path.replace("{" + parameter + "}", value)
        elif kinds[parameter] == "query":
            query[parameter] = str(value).lower() if isinstance(value, bool) else value
        else:
            headers[parameter] = value
    body: dict[str, Any] = {}
    if example.body is not None:
        media = next(iter(described["requestBody"]["content"]))
        content = scene.real(example.body)
        headers["content-type"] = media
        body["content"] = content if isinstance(content, str) else json.dumps(content)
    return await scene.api(method, path, params=query, headers=headers, **body)
