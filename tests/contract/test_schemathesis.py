"""Whatever the OpenAPI document allows or forbids, sent by everybody: no answer is a 5xx, and each is a documented one.

Every generated request goes out once per role. Half of them keep to the schema, half break it; often the ids in their
paths are those of things that exist, so that they reach more than the 404.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from installation import Installation
from orderhub import gateway, ordering
from schemathesis import Case, GenerationMode
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks
from schemathesis.transport.requests import REQUESTS_TRANSPORT

VENDOR: Final = "Scales and Tails"
ROLES: Final = {"customer": "customer", "vendor": VENDOR, "courier": "courier", "operator": "operator"}
PROBLEM: Final = "application/problem+json"
REQUEST_SECONDS: Final = 30.0
RENEW_SECONDS: Final = 300.0
SHORT, FULL = 2, 40  # of each mode
GENEROUS: Final = {
    f"ORDERHUB_GATEWAY_{name}": "1000000"
    for name in (
        "RATE_PER_PRINCIPAL", "BURST_PER_PRINCIPAL", "RATE_PER_ADDRESS", "BURST_PER_ADDRESS",
        "AUTH_RATE_PER_ADDRESS", "AUTH_BURST_PER_ADDRESS", "LOGIN_RATE_PER_ACCOUNT", "LOGIN_BURST_PER_ACCOUNT",
    )
} | {
    f"ORDERHUB_AUTH_WRONG_PASSWORDS_PER_{name}": "1000000" for name in ("PLACE", "ACCOUNT", "ADDRESS")
}  # fmt: skip
CHECKS: Final = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


FAILURES: Final = (
    AssertionError, FailureGroup, OSError, http.client.HTTPException, schemathesis.errors.SchemathesisError,
)  # fmt: skip


class Caller:
    """A role with one connection that stays open; far cheaper per request than a client that thinks along."""

    def __init__(self, hub: Installation, who: str) -> None:
        self._hub, self._who = hub, who
        self._connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=REQUEST_SECONDS)
        self._token, self._made_at = "", 0.0

    def close(self) -> None:
        self._connection.close()

    def headers(self) -> dict[str, str]:
        """Nobody has no token; the others take a new one in time."""
        if self._who and time.monotonic() - self._made_at > RENEW_SECONDS:
            known = gateway.credentials(self._hub.place, self._who)
            self._token, self._made_at = gateway.Gateway(self._hub.url).login(known).token, time.monotonic()
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def send(self, case: Case) -> Response:
        request = prepared(case, self._hub.url, self.headers())
        started = time.monotonic()
        answer = self._exchange(request)
        content = answer.read()
        return Response(
            status_code=answer.status,
            headers={name.lower(): [value] for name, value in answer.getheaders()},
            content=content, request=request, elapsed=time.monotonic() - started, verify=False,
        )  # fmt: skip

    def _exchange(self, request: requests.PreparedRequest) -> http.client.HTTPResponse:
        try:
            return self._attempt(request)
        except (http.client.RemoteDisconnected, ConnectionError):  # an idle connection that the server closed
            self._connection.close()
            return self._attempt(request)

    def _attempt(self, request: requests.PreparedRequest) -> http.client.HTTPResponse:
        try:
            self._connection.request(
                request.method or "GET", request.path_url, request.body, dict(request.headers)
            )
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise


def prepared(case: Case, url: str, headers: Mapping[str, str]) -> requests.PreparedRequest:
    """As it goes over the wire; header values that no client sends are made sendable."""
    serialized = REQUESTS_TRANSPORT.serialize_case(case, base_url=url, headers=dict(headers))
    serialized["headers"] = {
        name: sendable(value) for name, value in serialized["headers"].items() if sendable(name)
    }
    return requests.Request(**serialized).prepare()


def sendable(value: object) -> str:
    """Printable, in Latin-1, without space around it."""
    text = str(value).encode("latin-1", "replace").decode("latin-1")
    return "".join(c for c in text if c.isprintable()).strip()


def verdict(case: Case, answer: Response, role: str) -> None:
    """Fails with the request and the answer as a person would repeat them."""
    said = f"{role}: {case.method} {answer.request.path_url} {answer.request.body!r} -> {answer.status_code} {answer.text}"
    assert answer.status_code < 500, said
    if answer.status_code >= 400:
        assert answer.headers["content-type"][0].partition(";")[0] == PROBLEM, said
        problem = json.loads(answer.content)
        assert problem["code"], said
        assert problem["status"] == answer.status_code, said
    assert answer.status_code != 429, f"the limits hide the answer: {said}"
    case.validate_response(answer, checks=CHECKS)


class Things:
    """What exists before anything is generated: path parameters that lead somewhere."""

    def __init__(self, hub: Installation) -> None:
        self._as = {
            role: gateway.Gateway(hub.url).login(gateway.credentials(hub.place, who))
            for role, who in ROLES.items()
        }
        self._place_orders()
        operator, courier = self._as["operator"], self._as["courier"]
        self.ids = {
            "order_id": self._ids("orders"), "payment_id": self._ids("payments"),
            "delivery_id": self._ids("deliveries"), "run_id": self._ids("admin/sagas", "run_id"),
            "product_id": [self._product["id"]], "vendor_id": [self._product["vendor_id"]],
            "courier_id": [courier.get("auth/me")["id"]],
            "animal_id": [animal["id"] for animal in operator.get(f"products/{self._snake}/animals")["items"]],
        }  # fmt: skip
        assert all(self.ids.values()), self.ids

    def _place_orders(self) -> None:
        money = {"amount_minor": 1500, "currency": "EUR"}
        vendor = self._as["vendor"]
        self._product = vendor.post(
            "products", {"sku": "GEN-1", "title": "Thing", "kind": "good", "stock": 9, "price": money}
        ).body
        self._snake = vendor.post(
            "products",
            {
                "sku": "GEN-2",
                "title": "Snake",
                "kind": "individual",
                "species": "pantherophis_guttatus",
                "price": money,
            },
        ).body["id"]
        vendor.post(f"products/{self._snake}/animals", {"facts": {"life_stage": "adult"}})
        for token in ("tok_ok", "tok_declined"):
            body = {
                "lines": [{"product_id": self._product["id"], "quantity": 1}],
                "ship_to": ordering.ship_to("DE", "Test Customer"), "payment": {"token": token},
            }  # fmt: skip
            self._as["customer"].post(
                "orders", body, {"Idempotency-Key": f"generated-{token}", "Prefer": "wait=20"}
            )

    def _ids(self, path: str, name: str = "id") -> list[str]:
        return [item[name] for item in self._as["operator"].get(path)["items"]]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("contract") / "home", extra=GENEROUS)
    try:
        installation.start()
        yield installation
    finally:
        if installation.process is not None:
            installation.stop()


@pytest.fixture(scope="module")
def callers(hub: Installation) -> Iterator[dict[str, Caller]]:
    made = {role: Caller(hub, who) for role, who in {"nobody": "", **ROLES}.items()}
    yield made
    for caller in made.values():
        caller.close()


@pytest.fixture(scope="module")
def things(hub: Installation) -> Things:
    return Things(hub)


@pytest.fixture(scope="module")
def operations(hub: Installation, things: Things) -> list[APIOperation]:
    """From the document that this very product serves."""
    document = requests.get(f"{hub.url}/openapi.json", timeout=REQUEST_SECONDS)
    generation = GenerationConfig(with_security_parameters=False)
    config = SchemathesisConfig(projects=ProjectsConfig(default=ProjectConfig(generation=generation)))
    schema = schemathesis.openapi.from_dict(document.json(), config=config)
    return [found.ok() for found in schema.get_all_operations()]


def explore(
    operation: APIOperation, mode: GenerationMode, examples: int, callers: dict[str, Caller], things: Things
) -> None:
    """Sends that many generated requests as every role."""

    @settings(
        max_examples=examples, derandomize=True, deadline=None, database=None, report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(case=operation.as_strategy(mode), which=st.none() | st.integers(0, 999))
    def everybody(case: Case, which: int | None) -> None:
        if which is not None:
            lead_somewhere(case, things, which)
        for role, caller in callers.items():
            verdict(case, caller.send(case), role)

    everybody()


def lead_somewhere(case: Case, things: Things, which: int) -> None:
    """Ids in path and body become known ones, wherever the generated value is a string at all; versions match."""
    if case.headers and "If-Match" in case.headers and which % 2:
        case.headers["If-Match"] = "*"
    pending: list[Any] = [case.path_parameters, case.body]
    while pending:
        here = pending.pop()
        if isinstance(here, list):
            pending.extend(here)
        elif isinstance(here, dict):
            pending.extend(here.values())
            here.update({
                name: known[which % len(known)]
                for name, known in things.ids.items() if isinstance(here.get(name), str)
            })  # fmt: skip


def modes(operation: APIOperation) -> list[GenerationMode]:
    """A request without any parameter and body cannot break the schema."""
    takes_something = bool(list(operation.iter_parameters()) or operation.body)
    return (
        [GenerationMode.POSITIVE, GenerationMode.NEGATIVE] if takes_something else [GenerationMode.POSITIVE]
    )


def all_of(
    operations: list[APIOperation], examples: int, callers: dict[str, Caller], things: Things
) -> dict[str, Any]:
    """Goes on after a failure, so that one run names every operation that fails. Deletes last, for the others' sake."""
    failures: dict[str, Any] = {}
    for operation in sorted(operations, key=lambda one: one.method.upper() == "DELETE"):
        applicable = modes(operation)
        for mode in applicable:
            try:
                explore(operation, mode, 2 * examples // len(applicable), callers, things)
            except FAILURES as failure:
                failures[f"{operation.label} ({mode})"] = failure
    return failures


def named(failures: dict[str, Any]) -> str:
    return "\n\n".join(f"{label}: {failure}" for label, failure in failures.items())


def test_a_few_requests_to_every_operation_as_every_role_get_documented_answers(
    operations: list[APIOperation], callers: dict[str, Caller], things: Things
) -> None:
    failures = all_of(operations, SHORT, callers, things)
    assert not failures, named(failures)


@pytest.mark.full
def test_many_requests_to_every_operation_as_every_role_get_documented_answers(
    hub: Installation, operations: list[APIOperation], callers: dict[str, Caller], things: Things
) -> None:
    failures = all_of(operations, FULL, callers, things)
    assert not failures, named(failures)
    hub.check()
