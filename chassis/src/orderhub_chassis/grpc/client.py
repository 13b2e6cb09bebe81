"""gRPC channels to peers: every call has a deadline, the caller's token, and typed failures."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import grpc
from orderhub_contracts.common.v1 import common_pb2

from orderhub_chassis import metrics
from orderhub_chassis.calls import Call, InternalTokens, current_call
from orderhub_chassis.errors import Failure, FieldError, Kind, Unavailable
from orderhub_chassis.grpc import KEEPALIVE_MS, MAX_MESSAGE
from orderhub_chassis.grpc.server import FAILURE_KEY
from orderhub_chassis.telemetry import current_traceparent, new_traceparent

SERVICE_CONFIG: Final = json.dumps(
    {"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}
)
"""gRPC's "service config". The name "" in its health protocol stands for the whole server."""


def target(addresses: str) -> str:
    """What gRPC calls the addresses: a name is looked up and may stand for many, several are IP addresses of one kind."""
    several = [address.strip() for address in addresses.split(",")]
    if len(several) == 1:
        return several[0]
    return f"{'ipv6' if several[0].startswith('[') else 'ipv4'}:{','.join(several)}"


def failure_from(detail: common_pb2.FailureDetail) -> Failure:
    """A kind that only newer code knows is taken for unavailable: nobody here can say that it is the caller's fault."""
    errors = tuple(FieldError(e.pointer, e.code, e.message) for e in detail.errors)
    kind = Kind(detail.kind) if detail.kind in Kind.__members__.values() else Kind.UNAVAILABLE
    return Failure(
        detail.message, kind=kind, code=detail.code, errors=errors,
        retry_after=detail.retry_after_seconds or None, members=detail.members,
    )  # fmt: skip


class PeerAway(Unavailable):
    """No answer came: refused, reset, or broken off. Whether the call was done nobody here knows."""


class PeerLate(Unavailable):
    """No answer came within `waited` seconds."""

    def __init__(self, detail: str, waited: float) -> None:
        super().__init__(detail, retry_after=1)
        self.waited = waited


class Peer:
    """One peer service. `call` runs a stub's method under the current call's caller."""

    def __init__(self, channel: Any, tokens: InternalTokens, timeout: timedelta) -> None:
        self.channel = channel
        self._tokens = tokens
        self._timeout = timeout.total_seconds()

    async def call(
        self,
        method: Any,
        request: Any,
        *,
        timeout: float | None = None,
        call: Call | None = None,
        received: dict[str, Any] | None = None,
    ) -> Any:
        """Raises the peer's Failure, PeerAway when it cannot be reached, PeerLate when it takes too long.

        It is given `timeout` seconds, and no longer than whoever asked us still waits: the deadline goes on to it.
        `received` is filled with the initial metadata of the answer, `x-idempotency-replayed` for instance.
        """
        started, code = time.perf_counter(), "OK"
        call = call or current_call.get()
        seconds = _left(call, timeout or self._timeout)
        try:
            answering = method(request, timeout=seconds, metadata=self._metadata(call))
            answer = await answering
            if received is not None:
                received.update(await answering.initial_metadata() or ())
            return answer
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            raise _failure(error, seconds) from error
        finally:
            name = type(request).__name__.removesuffix("Request")
            metrics.GRPC_CLIENT_SECONDS.labels(name, code).observe(time.perf_counter() - started)

    async def stream(self, method: Any, request: Any, *, timeout: float) -> AsyncIterator[Any]:
        call = current_call.get()
        seconds = _left(call, timeout)
        try:
            async for item in method(request, timeout=seconds, metadata=self._metadata(call)):
                yield item
        except grpc.aio.AioRpcError as error:
            raise _failure(error, seconds) from error

    def _metadata(self, call: Call) -> tuple[tuple[str, str | bytes], ...]:
        metadata: list[tuple[str, str | bytes]] = [
            ("traceparent", call.traceparent or current_traceparent.get() or new_traceparent()),
            ("authorization-internal", self._tokens.sign(call.caller)),
        ]
        if call.request_id:
            metadata.append(("x-request-id", call.request_id))
        if call.idempotency_key:
            metadata += [("x-idempotency-key", call.idempotency_key), ("x-fingerprint-bin", call.fingerprint)]
        if call.if_match:
            metadata.append(("x-if-match", call.if_match))
        return tuple(metadata)


def _left(call: Call, seconds: float) -> float:
    """Raises PeerLate where nobody waits any more."""
    if not call.deadline:
        return seconds
    left = min(seconds, call.deadline - time.monotonic())
    if left <= 0:
        raise PeerLate("the time for the request was over before the call", 0.0)
    return left


def _failure(error: grpc.aio.AioRpcError, waited: float) -> Failure:
    trailing: dict[str, Any] = dict(error.trailing_metadata() or ())
    if FAILURE_KEY in trailing:
        return failure_from(common_pb2.FailureDetail.FromString(trailing[FAILURE_KEY]))
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return PeerLate(f"a service took too long: {error.details()}", waited)
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return PeerAway(f"a service could not be reached: {error.details()}", retry_after=1)
    raise error


@asynccontextmanager
async def connect(address: str, tokens: InternalTokens, timeout: timedelta) -> AsyncIterator[Peer]:
    """A channel to `host:port` or to several replicas (`10.0.0.1:1,10.0.0.2:1`); it connects, and again, by itself.

    The replicas take turns. One that cannot be reached, or says by gRPC's health protocol that it is about to stop,
    is left out. A call that a replica has not begun, since it was just closing, goes to another one; whether a call
    that broke off was done nobody knows, so that is the caller's to repeat under its key.
    """
    options = [
        ("grpc.service_config", SERVICE_CONFIG),
        ("grpc.enable_retries", 1),
        ("grpc.dns_min_time_between_resolutions_ms", 5000),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_MS),
        ("grpc.max_receive_message_length", MAX_MESSAGE),
        ("grpc.max_send_message_length", MAX_MESSAGE),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.enable_http_proxy", 0),
    ]
    async with grpc.aio.insecure_channel(target(address), options=options) as channel:
        yield Peer(channel, tokens, timeout)
