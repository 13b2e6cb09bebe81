"""Every RPC of every service, called past the gateway: forged identities gain nothing, and neither do real ones of strangers."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import uuid4

import grpc
import rpcs
from google.protobuf import json_format
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from joserfc import jwt
from joserfc.jwk import OctKey
from orderhub_chassis.calls import ANONYMOUS, AUDIENCE, Caller, InternalTokens, service_caller
from orderhub_chassis.clock import ManualClock, SystemClock
from orderhub_chassis.grpc.server import FAILURE_KEY
from orderhub_contracts.common.v1 import common_pb2
from orderhub_gateway.examples import things
from scenes import Scene

KEY: Final = "i" * 40
PACKAGE: Final = "orderhub."
CODES: Final = {
    grpc.StatusCode.UNAUTHENTICATED: ("401", "auth.unauthenticated"),
    grpc.StatusCode.PERMISSION_DENIED: ("403", "auth.forbidden"),
    grpc.StatusCode.NOT_FOUND: ("404", ""),
}
NOW: Final = SystemClock().now()


class Rpc(NamedTuple):
    """One method of a running server."""

    server: str
    name: str
    method: Any
    channel: Any

    async def __call__(self, request: Any, token: str | None) -> Any:
        """All that is answered. Raises grpc's error."""
        kind = self.channel.unary_stream if self.method.server_streaming else self.channel.unary_unary
        call = kind(
            f"/{PACKAGE}{self.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(self.method.output_type).FromString,
        )
        metadata = () if token is None else (("authorization-internal", token),)
        metadata = (*metadata, ("x-idempotency-key", uuid4().hex), ("x-fingerprint-bin", b"f" * 32))
        answering = call(request, metadata=metadata, timeout=20)
        if self.method.server_streaming:
            return [answer async for answer in answering]
        return await answering

    def request(self, given: dict[str, Any]) -> Any:
        return json_format.ParseDict(given, GetMessageClass(self.method.input_type)())


@asynccontextmanager
async def served(ports: dict[str, int]) -> AsyncIterator[list[Rpc]]:
    """What the running servers say of themselves by reflection."""
    async with AsyncExitStack() as stack:
        found = []
        for server, port in ports.items():
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
            for name in await _services(channel):
                service = Default().FindServiceByName(name)
                found += [
                    Rpc(server, f"{name.removeprefix(PACKAGE)}/{method.name}", method, channel)
                    for method in service.methods
                ]
        yield found


async def _services(channel: Any) -> list[str]:
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    [answer] = [answer async for answer in stub.ServerReflectionInfo(asked)]
    return [one.name for one in answer.list_services_response.service if one.name.startswith(PACKAGE)]


async def outcome(rpc: Rpc, request: Any, token: str | None, *hidden: str) -> str:
    """`hidden`: ids that an answer to a stranger leaves out."""
    try:
        answer = await rpc(request, token)
    except grpc.aio.AioRpcError as error:
        if error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNKNOWN):
            return error.code().name
        trailing: dict[str, Any] = dict(error.trailing_metadata() or ())
        detail = common_pb2.FailureDetail.FromString(trailing[FAILURE_KEY])
        word, code = CODES.get(error.code(), ("in", ""))
        # A wrong password is refused by another code: that caller was let in.
        return word if code in ("", detail.code) else "in"
    listed = hasattr(answer, "items") and hasattr(answer, "next_cursor")
    return "out" if listed and not any(id in str(answer) for id in hidden) else "in"


def forged() -> Iterator[tuple[str, str | None]]:
    """What no service may believe, each for an operator, who would be let in everywhere."""
    operator = Caller(str(uuid4()), frozenset({"operator", "service"}))
    good = InternalTokens(KEY, SystemClock()).sign(operator)
    head, body, signature = good.split(".")
    claims = {"aud": AUDIENCE, "sub": "u", "roles": ["operator"], "vendor_id": "", "sid": "", "exp": 2**33}
    yield "none", None
    yield "empty", ""
    yield "of another key", InternalTokens("x" * 40, SystemClock()).sign(operator)
    yield "expired", InternalTokens(KEY, ManualClock(NOW - timedelta(minutes=5))).sign(operator)
    yield "for another audience", _signed({**claims, "aud": "orderhub-api"})
    yield "unsigned", f"{_part({'alg': 'none'})}.{_part(claims)}."
    yield "with other claims", f"{head}.{_part({**claims, 'sub': 'somebody else'})}.{signature}"
    yield "cut short", f"{head}.{body}"


def _signed(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(KEY.encode()))


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def test_every_rpc_of_every_service_is_in_the_table(whole: Any) -> None:
    async with served(whole.ports) as found:
        assert {rpc.name for rpc in found} == set(rpcs.RPCS)
        assert {rpc.server for rpc in found} == set(whole.ports)


async def test_no_rpc_runs_for_a_caller_without_an_identity_or_with_a_forged_one(whole: Any) -> None:
    access_token = await whole.token("operator")
    wrong = []
    async with served(whole.ports) as found:
        for rpc in found:
            request = rpc.request(rpcs.RPCS[rpc.name][0])
            for what, token in [*forged(), ("an access token", access_token)]:
                got = await outcome(rpc, request, token)
                wrong += [(rpc.server, rpc.name, what, got)] if got != "401" else []
    assert not wrong, "\n".join(map(str, wrong))


async def test_every_rpc_does_for_strangers_past_the_gateway_what_the_table_says(whole: Any) -> None:
    scene, callers = await _scene(whole), await _strangers(whole)
    tokens, wrong = InternalTokens(KEY, SystemClock()), list[Any]()
    theirs = [
        scene.ids[kind]
        for kind in (things.ORDER, things.PAYMENT, things.DELIVERY, things.SESSION, things.API_KEY)
    ]
    async with served(whole.ports) as found:
        for rpc in found:
            given, words = rpcs.RPCS[rpc.name]
            request = rpc.request(scene.real(given))
            for (who, caller), wanted in zip(callers.items(), words.split(), strict=True):
                got = await outcome(rpc, request, tokens.sign(caller), *theirs)
                got = "in" if got == "out" and "out" not in words else got
                wrong += [(rpc.server, rpc.name, who, wanted, got)] if got != wanted else []
    assert not wrong, "\n".join(map(str, wrong))


async def _scene(whole: Any) -> Scene:
    """A customer's order that a courier has taken, an animal, and a session."""
    scene = Scene(whole)
    await whole.token("courier")
    await whole.token("customer")
    for stage in (scene.user, scene.session, scene.api_key, scene.ferrets, scene.order):
        await stage()
    await scene.act("assign")
    return scene


async def _strangers(whole: Any) -> dict[str, Caller]:
    mine, other = whole.vendor_id, await whole.make_vendor()
    whole.vendor_id = mine
    found = [ANONYMOUS]
    for role in ("customer", "vendor", "courier"):
        await whole.token(role, "-stranger")
        vendor_id = other if role == "vendor" else ""
        found.append(
            Caller(whole.users[f"{role}-stranger"]["id"], frozenset({role}), vendor_id, str(uuid4()))
        )
    return dict(zip(rpcs.COLUMNS, [*found, service_caller("orders")], strict=True))
