"""Every example of the OpenAPI document, executed against the whole product. Only ids and tokens are replaced."""

from __future__ import annotations

from typing import Any

from orderhub_gateway.examples import EXAMPLES, Example
from scenes import STAGES, Scene, ask, nothing


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
    answer = await ask(scene, example, operations[name], await scene.api.as_(example.role))
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
            if name == "logoutAll":  # and with it the access token
                whole.forget_users("customer")
