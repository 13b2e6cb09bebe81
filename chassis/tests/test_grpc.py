"""gRPC between services: the caller travels, failures keep their kind, bugs say nothing, deadlines hold."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from datetime import timedelta

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from orderhub_chassis import errors
from orderhub_chassis.calls import ANONYMOUS, Call, Caller, InternalTokens, current_call
from orderhub_chassis.clock import SystemClock
from orderhub_chassis.errors import (
    GRPC_STATUS,
    HTTP_STATUS,
    Failure,
    FieldError,
    Kind,
    Unavailable,
    invalid_field,
)
from orderhub_chassis.grpc import client, server
from orderhub_chassis.http import PortTaken
from orderhub_chassis.telemetry import current_traceparent, trace_id
from orderhub_contracts.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from orderhub_contracts.payments.v1 import payments_pb2, payments_pb2_grpc

TOKENS = InternalTokens("k" * 40, SystemClock())
NAMES = ["orderhub.payments.v1.PaymentsService"]


class Payments(payments_pb2_grpc.PaymentsServiceServicer):
    """Does what the test says, and remembers who called."""

    def __init__(self):
        self.calls, self.does = [], None

    async def GetPayment(self, request, context):
        self.calls.append((current_call.get(), current_traceparent.get()))
        if self.does:
            await self.does(context)
        return payments_pb2.Payment(id=request.id)


class Inventory(inventory_pb2_grpc.InventoryServiceServicer):
    async def ImportProducts(self, request, context):
        yield inventory_pb2.ImportProgress(rows_read=1)
        yield inventory_pb2.ImportProgress(rows_read=2)
        raise errors.Conflict("row 3 is there already", code="inventory.known")


@pytest.fixture
def payments():
    return Payments()


@pytest.fixture
async def port(payments):
    registrations = [
        lambda s: payments_pb2_grpc.add_PaymentsServiceServicer_to_server(payments, s),
        lambda s: inventory_pb2_grpc.add_InventoryServiceServicer_to_server(Inventory(), s),
    ]
    async with server.serve(
        "payments", registrations, NAMES, TOKENS, host="127.0.0.1", port=0, grace=5
    ) as port:
        yield port


@pytest.fixture
async def peer(port):
    async with client.connect(f"127.0.0.1:{port}", TOKENS, timedelta(seconds=5)) as peer:
        yield peer


async def get(peer, **options):
    stub = payments_pb2_grpc.PaymentsServiceStub(peer.channel)
    return await peer.call(stub.GetPayment, payments_pb2.GetPaymentRequest(id="p1"), **options)


def raising(error):
    async def does(context):
        raise error

    return does


async def test_a_call_carries_the_caller_the_request_the_trace_and_the_keys(peer, payments):
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    call = Call(
        caller=Caller("u1", frozenset({"vendor"}), "v1", "s1"), request_id="r1", traceparent=trace,
        idempotency_key="key-1", fingerprint=b"\x00\xff", if_match='"3"',
    )  # fmt: skip
    assert (await get(peer, call=call)).id == "p1"
    ((found, traceparent),) = payments.calls
    assert (found.caller, found.request_id, found.idempotency_key) == (call.caller, "r1", "key-1")
    assert (found.fingerprint, found.if_match) == (b"\x00\xff", '"3"')
    assert trace_id(traceparent) == "ab" * 16
    assert traceparent != trace, "a span of its own"


async def test_inside_a_call_the_caller_goes_along_to_the_next_service(peer, payments):
    token = current_call.set(Call(caller=Caller("u2", frozenset({"customer"})), request_id="r2"))
    await get(peer)
    current_call.reset(token)
    await get(peer)
    (inside, _), (outside, _) = payments.calls
    assert (inside.caller.user_id, inside.request_id) == ("u2", "r2")
    assert outside.caller == ANONYMOUS


@pytest.mark.parametrize("kind", list(Kind))
async def test_every_kind_of_failure_comes_through_as_it_was(peer, payments, kind):
    field = FieldError("/lines/0/quantity", "too_many", "only 3 are left — ünïcode")
    payments.does = raising(
        Failure("nö – not\nlike this", kind=kind, code="shop.no", errors=(field,), retry_after=7)
    )
    with pytest.raises(Failure) as refused:
        await get(peer)
    failure = refused.value
    assert (failure.kind, failure.code, failure.detail) == (kind, "shop.no", "nö – not\nlike this")
    assert (failure.errors, failure.retry_after) == ((field,), 7)
    assert isinstance(refused.value.__cause__, grpc.aio.AioRpcError)
    assert refused.value.__cause__.code() is GRPC_STATUS[kind]


def test_a_refused_field_stands_before_its_reason_and_the_whole_before_nothing():
    assert str(invalid_field("/name", "required", "is required")) == "/name: is required"
    assert str(invalid_field("", "required", "give one of both")) == "give one of both"


def test_each_kind_has_a_status_of_its_own_in_both_worlds():
    assert set(GRPC_STATUS) == set(HTTP_STATUS) == set(Kind)
    assert len(set(GRPC_STATUS.values())) == len(set(HTTP_STATUS.values())) == len(Kind)
    assert all(400 <= status < 500 for kind, status in HTTP_STATUS.items() if kind is not Kind.UNAVAILABLE)


async def test_an_unknown_kind_from_a_newer_peer_is_still_a_failure(peer, payments):
    detail = server.failure_detail(Failure("new", code="shop.new"))
    detail.kind = "brand_new"

    async def does(context):
        metadata = ((server.FAILURE_KEY, detail.SerializeToString()),)
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "new", metadata)

    payments.does = does
    with pytest.raises(Failure) as refused:
        await get(peer)
    assert (refused.value.code, refused.value.kind) == ("shop.new", Kind.UNAVAILABLE)


async def test_a_stream_ends_in_its_failure_after_what_came_before(peer):
    stub = inventory_pb2_grpc.InventoryServiceStub(peer.channel)
    rows = []

    async def read():
        request = inventory_pb2.ImportProductsRequest()
        async for progress in peer.stream(stub.ImportProducts, request, timeout=5):
            rows.append(progress.rows_read)

    with pytest.raises(Failure) as refused:
        await read()
    assert (rows, refused.value.code, refused.value.kind) == ([1, 2], "inventory.known", Kind.CONFLICT)


async def test_a_bug_is_logged_with_its_trace_and_the_caller_learns_nothing(peer, payments):
    payments.does = raising(ZeroDivisionError("secret of the house"))
    with structlog.testing.capture_logs() as logs, pytest.raises(grpc.aio.AioRpcError) as refused:
        await get(peer)
    assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.INTERNAL, "internal error")
    (line,) = [line for line in logs if line["event"] == "grpc.bug"]
    assert isinstance(line["exc_info"], ZeroDivisionError)
    assert line["method"] == "GetPayment"


async def test_a_deadline_that_passes_is_unavailable_and_ends_the_work(peer, payments):
    ended = asyncio.Event()

    async def does(context):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    payments.does = does
    with pytest.raises(Unavailable, match="took too long"):
        await get(peer, timeout=0.1)
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_peer_that_is_not_there_is_unavailable_and_found_again_when_it_comes(payments):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    registration = [lambda s: payments_pb2_grpc.add_PaymentsServiceServicer_to_server(payments, s)]
    async with client.connect(f"127.0.0.1:{port}", TOKENS, timedelta(seconds=2)) as peer:
        with pytest.raises(Unavailable) as refused:
            await get(peer)
        assert refused.value.retry_after == 1
        async with server.serve(
            "payments", registration, NAMES, TOKENS, host="127.0.0.1", port=port, grace=1
        ):
            async with asyncio.timeout(10):
                while not payments.calls:
                    try:
                        await get(peer)
                    except Unavailable:
                        await asyncio.sleep(0.02)


async def test_a_bad_token_is_refused_before_the_method_runs(port, payments):
    forged = InternalTokens("x" * 40, SystemClock())
    async with client.connect(f"127.0.0.1:{port}", forged, timedelta(seconds=5)) as peer:
        with pytest.raises(Failure) as refused:
            await get(peer, call=Call(caller=Caller("u1", frozenset({"operator"}))))
    assert (refused.value.kind, refused.value.code) == (Kind.UNAUTHENTICATED, "auth.unauthenticated")
    assert payments.calls == []


@pytest.mark.parametrize(
    "metadata", [(), (("authorization-internal", ""),), (("x-request-id", "r1"),)], ids=range(3)
)
async def test_a_call_without_an_internal_token_is_refused_before_the_method_runs(port, payments, metadata):
    """Also where nobody is logged in: then the gateway signs that it speaks for nobody."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = payments_pb2_grpc.PaymentsServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetPayment(payments_pb2.GetPaymentRequest(id="p1"), metadata=metadata, timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        answers = inventory_pb2_grpc.InventoryServiceStub(channel).ImportProducts(
            inventory_pb2.ImportProductsRequest(), metadata=metadata, timeout=5
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            [answer async for answer in answers]
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert payments.calls == []


async def test_health_tells_of_the_server_and_of_each_service(peer):
    stub = health_pb2_grpc.HealthStub(peer.channel)
    for name in ["", *NAMES]:
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_services(peer):
    stub = reflection_pb2_grpc.ServerReflectionStub(peer.channel)
    asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
    answers = [answer async for answer in stub.ServerReflectionInfo(iter(asked))]
    names = {service.name for service in answers[0].list_services_response.service}
    assert names >= {*NAMES, "grpc.health.v1.Health"}


async def test_a_port_that_is_taken_is_one_clear_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            async with server.serve("x", [], [], TOKENS, host="127.0.0.1", port=port, grace=1):
                pass


async def test_at_a_stop_a_call_that_is_under_way_is_finished(payments):
    under_way, go_on = asyncio.Event(), asyncio.Event()

    async def does(context):
        under_way.set()
        await go_on.wait()

    payments.does = does

    registration = [lambda s: payments_pb2_grpc.add_PaymentsServiceServicer_to_server(payments, s)]
    async with AsyncExitStack() as clients:
        async with server.serve(
            "payments", registration, NAMES, TOKENS, host="127.0.0.1", port=0, grace=5
        ) as port:
            peer = await clients.enter_async_context(
                client.connect(f"127.0.0.1:{port}", TOKENS, timedelta(seconds=5))
            )
            calling = asyncio.create_task(get(peer))
            await under_way.wait()
            asyncio.get_running_loop().call_later(0.1, go_on.set)
        assert (await calling).id == "p1"
        with pytest.raises(Unavailable):
            await get(peer, timeout=1)
