"""Every example of the OpenAPI document, executed against the whole product. Only ids and tokens are replaced."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from orderhub_gateway.examples import EXAMPLES, Example, things

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
        pair = await self.api("POST", "/v1/auth/register", json=user)
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

    def real(self, value: Any) -> Any:
        text = json.dumps(value)
        for shown, real in (self.ids | self.texts).items():
            text = text.replace(shown, real)
        return json.loads(text)


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
    "revokeSession": Scene.session, "getUser": Scene.user, "updateUser": Scene.user,
    "login": Scene.login, "refresh": Scene.login, "logout": Scene.login,
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


def shape(value: Any) -> Any:
    """Names and types; a list by its first item. Null stands for anything, since much may be absent."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )


def same_shape(shown: Any, real: Any) -> bool:
    if shown is None or real is None or shown == [] or real == []:
        return True
    if isinstance(shown, dict) and isinstance(real, dict):
        return shown.keys() == real.keys() and all(same_shape(shown[name], real[name]) for name in shown)
    if isinstance(shown, list) and isinstance(real, list):
        return same_shape(shown[0], real[0])
    return bool(shape(shown) == shape(real))


async def execute(scene: Scene, name: str, example: Example, operations: dict[str, Any]) -> None:
    method, path, operation = operations[name]
    kinds = {parameter["name"]: parameter["in"] for parameter in operation.get("parameters", ())}
    given = scene.real(dict(example.parameters))
    headers = await scene.api.as_(example.role)
    query = {}
    for parameter, value in given.items():
        if kinds[parameter] == "path":
            path = path.replace("{" + parameter + "}", value)
        elif kinds[parameter] == "query":
            query[parameter] = str(value).lower() if isinstance(value, bool) else value
        else:
            headers[parameter] = value
    body: dict[str, Any] = {}
    if example.body is not None:
        media = next(iter(operation["requestBody"]["content"]))
        content = scene.real(example.body)
        headers["content-type"] = media
        body["content"] = content if isinstance(content, str) else json.dumps(content)
    answer = await scene.api(method, path, params=query, headers=headers, **body)
    where = (name, example.name, answer.text)
    assert answer.status_code == example.status, where
    if example.answer is None:
        assert answer.content == b"", where
        return
    assert same_shape(example.answer, answer.json()), where
    for field in ("status", "code"):
        if isinstance(example.answer.get(field), str | int):
            assert answer.json()[field] == example.answer[field], where


async def test_every_example_is_executed_and_answered_as_shown(whole: Any) -> None:
    document = (await whole("GET", "/openapi.json")).json()
    operations = {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert set(EXAMPLES) == set(operations)
    vendor = (await whole("GET", f"/v1/vendors/{whole.vendor_id}")).json()
    await whole.token("courier")
    for name, (_, _, operation) in operations.items():
        for example in EXAMPLES[name]:
            shown = [
                content["examples"][example.name]["value"]
                for content in operation["responses"][str(example.status)].get("content", {}).values()
            ]
            assert shown == ([example.answer] if example.answer is not None else []), "the document shows it"
            scene = Scene(whole)
            scene.texts["Blue Lagoon Aquatics,STONE"] = f"{vendor['name']},STONE"
            await STAGES.get(name, nothing)(scene)
            await execute(scene, name, example, operations)
