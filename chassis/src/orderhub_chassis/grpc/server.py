"""The gRPC server: one interceptor verifies the caller, sets the call's context and maps failures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from orderhub_contracts.common.v1 import common_pb2

from orderhub_chassis import metrics
from orderhub_chassis.calls import Call, InternalTokens, current_call
from orderhub_chassis.errors import GRPC_STATUS, Failure, Kind
from orderhub_chassis.grpc import KEEPALIVE_MS, MAX_MESSAGE
from orderhub_chassis.http import PortTaken
from orderhub_chassis.telemetry import child_of, current_traceparent, log

FAILURE_KEY = "orderhub-failure-bin"
NOTICE_SECONDS = 0.05
Register = Callable[[grpc.aio.Server], None]


def failure_detail(failure: Failure) -> common_pb2.FailureDetail:
    errors = [common_pb2.FieldError(pointer=e.pointer, code=e.code, message=e.detail) for e in failure.errors]
    return common_pb2.FailureDetail(
        kind=failure.kind, code=failure.code, message=failure.detail, errors=errors,
        retry_after_seconds=failure.retry_after or 0, members=failure.members,
    )  # fmt: skip


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Everything that surrounds a servicer's method."""

    def __init__(self, service: str, tokens: InternalTokens) -> None:
        self._service = service
        self._tokens = tokens

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = await continuation(details)
        if handler is None or details.method.startswith("/grpc."):
            return handler
        method = details.method.rpartition("/")[2]
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, handler.unary_unary),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_stream_rpc_method_handler(
            self._stream(method, handler.unary_stream),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _unary(
        self, method: str, inner: Callable[[Any, Any], Awaitable[Any]]
    ) -> Callable[[Any, Any], Awaitable[Any]]:
        async def serve(request: Any, context: Any) -> Any:
            async with self._surround(method, context):
                return await inner(request, context)

        return serve

    def _stream(
        self, method: str, inner: Callable[[Any, Any], AsyncIterator[Any]]
    ) -> Callable[[Any, Any], AsyncIterator[Any]]:
        async def serve(request: Any, context: Any) -> AsyncIterator[Any]:
            async with self._surround(method, context):
                async for item in inner(request, context):
                    yield item

        return serve

    @asynccontextmanager
    async def _surround(self, method: str, context: Any) -> AsyncIterator[None]:
        started, code = time.perf_counter(), "OK"
        try:
            self._enter(context)
            yield
        except Failure as failure:
            code = GRPC_STATUS[failure.kind].name
            await _abort(context, failure)
        except (asyncio.CancelledError, grpc.aio.AbortError):
            code = "CANCELLED"
            raise
        except Exception as error:  # noqa: BLE001 - a bug: logged with its trace, INTERNAL to the caller
            code = "INTERNAL"
            log("grpc").error("grpc.bug", method=method, exc_info=error)
            await context.abort(grpc.StatusCode.INTERNAL, "internal error")
        finally:
            metrics.GRPC_SERVER_SECONDS.labels(self._service, method, code).observe(
                time.perf_counter() - started
            )

    def _enter(self, context: Any) -> None:
        metadata: dict[str, Any] = dict(context.invocation_metadata() or ())
        traceparent = child_of(metadata.get("traceparent", ""))
        current_traceparent.set(traceparent)
        structlog.contextvars.bind_contextvars(
            service=self._service, request_id=metadata.get("x-request-id", "")
        )
        call = Call(
            caller=self._tokens.verify(metadata.get("authorization-internal", "")),
            request_id=metadata.get("x-request-id", ""),
            traceparent=traceparent,
            idempotency_key=metadata.get("x-idempotency-key", ""),
            fingerprint=metadata.get("x-fingerprint-bin", b""),
            if_match=metadata.get("x-if-match", ""),
        )
        current_call.set(call)


async def _abort(context: Any, failure: Failure) -> None:
    detail = failure_detail(failure).SerializeToString()
    if failure.kind is Kind.UNAVAILABLE:
        log("grpc").warning("grpc.unavailable", code=failure.code, detail=failure.detail)
    await context.abort(GRPC_STATUS[failure.kind], failure.detail, ((FAILURE_KEY, detail),))


class Health(health.aio.HealthServicer):  # type: ignore[misc]
    """What peers are told by gRPC's health protocol; after `await leave()` they go elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self._watching = 0
        self._left = False

    async def Watch(self, request: Any, context: Any) -> None:
        self._watching += 1
        try:
            await super().Watch(request, context)
        finally:
            self._watching -= 1

    async def leave(self) -> None:
        """Tell the peers, and give those that listen a moment: a call that comes to a closing door is cancelled."""
        if self._left:
            return
        self._left = True
        await self.enter_graceful_shutdown()
        if self._watching:
            await asyncio.sleep(NOTICE_SECONDS)


@asynccontextmanager
async def serve(
    service: str,
    registrations: Sequence[Register],
    service_names: Sequence[str],
    tokens: InternalTokens,
    *,
    host: str,
    port: int,
    grace: float,
    peers_health: Health | None = None,
) -> AsyncIterator[int]:
    """Serve until the block ends, then stop accepting and drain for `grace` seconds. Yields the bound port.

    Who gives `peers_health` may take the server out of its peers' choice before that.

    Raises PortTaken when it is in use.
    """
    server = grpc.aio.server(
        interceptors=[CallInterceptor(service, tokens)],
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
            ("grpc.so_reuseport", 0),
            # Peers ask whether this host still lives; more often than this is taken for an attack.
            ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
        ],
    )
    for register in registrations:
        register(server)
    healthy = peers_health or Health()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    reflection.enable_server_reflection(
        [*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise PortTaken(f"port {port} on {host} cannot be used for gRPC") from error
    await server.start()
    for name in ("", *service_names):
        await healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield bound
    finally:
        await healthy.leave()
        await server.stop(grace)
