"""The routes: who may ask, what is called, and how long it took."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from orderhub_chassis import http, telemetry, wire
from orderhub_chassis.db import Database
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.health import Readiness

from orderhub_simulator import commands, errors, metrics, queries
from orderhub_simulator.api import inputs, outputs
from orderhub_simulator.api.inputs import Request
from orderhub_simulator.api.outputs import Response, Slot
from orderhub_simulator.commands import Operation
from orderhub_simulator.settings import Settings
from orderhub_simulator.writer import Writer

PROBES: Final = frozenset({"/livez", "/readyz", "/metrics"})

log = telemetry.log("simulator.api")


class Api:
    """The ASGI application."""

    def __init__(self, settings: Settings, database: Database, writer: Writer, readiness: Readiness) -> None:
        self._bearer = b"bearer " + settings.api_key.get_secret_value().encode()
        self._timeout = settings.timeout_seconds
        self._database = database
        self._writer = writer
        self._readiness = readiness
        self._probes = http.health_app(settings.service, readiness)
        self._routes: dict[str, dict[str, Callable[[Request], Awaitable[Response]]]] = {
            "/v1/batch": {"POST": self._batch},
            "/v1/authorizations": {"POST": self._authorize, "GET": self._list},
            "/v1/authorizations/{id}": {"GET": self._show},
            "/v1/authorizations/{id}/capture": {"POST": self._capture},
            "/v1/authorizations/{id}/void": {"POST": self._void},
            "/v1/authorizations/{id}/refunds": {"POST": self._refund, "GET": self._refunds},
            "/v1/operations/{key}": {"GET": self._operation},
        }

    async def __call__(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        if scope["path"] in PROBES and not wire.refusal(scope):
            await self._probe(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        started = time.perf_counter()
        route, rest = _route(scope["path"])
        response = await self._respond(route, Request(scope, receive, dict(scope["headers"]), rest))
        await outputs.send_response(send, response)
        seconds = metrics.HTTP_SECONDS.labels(
            scope["method"], route if route in self._routes else "", response.status
        )
        seconds.observe(time.perf_counter() - started)

    async def _probe(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        if scope["path"] == "/readyz":
            await self._ping()
        await self._probes(scope, receive, send)

    async def _respond(self, route: str, request: Request) -> Response:
        try:
            handler = self._handler(route, request)
            return await handler(request)
        except errors.ProviderError as error:
            return outputs.failed(error)
        except Unavailable as away:
            log.warning("database away", cause=away.detail)
            return outputs.failed(errors.Unavailable())
        except Exception:  # the caller gets an answer, the log gets the bug
            log.exception("request failed", route=route)
            return outputs.failed(errors.InternalError())

    def _handler(self, route: str, request: Request) -> Callable[[Request], Awaitable[Response]]:
        inputs.check_readable(request)
        methods = self._routes.get(route)
        self._require_key(request)
        if methods is None:
            raise errors.RouteNotFound
        handler = methods.get(request.scope["method"])
        if handler is None:
            raise errors.MethodNotAllowed(", ".join(sorted(methods)))
        return handler

    def _require_key(self, request: Request) -> None:
        scheme, _, given = request.headers.get(b"authorization", b"").partition(b" ")
        if not hmac.compare_digest(scheme.lower() + b" " + given, self._bearer):
            raise errors.Unauthorized

    async def _authorize(self, request: Request) -> Response:
        key = inputs.idempotency_key(request)
        body = inputs.decode(inputs.AUTHORIZE_BODY, await inputs.body_of(request))
        return await self._single(
            commands.Authorize(
                key=key,
                amount_minor=body.amount_minor,
                currency=body.currency,
                token=body.token,
                reference=body.reference,
            )
        )

    async def _capture(self, request: Request) -> Response:
        key = inputs.idempotency_key(request)
        body = inputs.decode(inputs.CAPTURE_BODY, await inputs.body_of(request))
        return await self._single(
            commands.Capture(
                key=key, authorization_id=inputs.path_id(request), amount_minor=body.amount_minor
            )
        )

    async def _void(self, request: Request) -> Response:
        key = inputs.idempotency_key(request)
        inputs.decode(inputs.VOID_BODY, await inputs.body_of(request) or b"{}")
        return await self._single(commands.Void(key=key, authorization_id=inputs.path_id(request)))

    async def _refund(self, request: Request) -> Response:
        key = inputs.idempotency_key(request)
        body = inputs.decode(inputs.REFUND_BODY, await inputs.body_of(request))
        return await self._single(
            commands.RefundCaptured(
                key=key,
                authorization_id=inputs.path_id(request),
                amount_minor=body.amount_minor,
                reference=body.reference,
            )
        )

    async def _single(self, operation: Operation) -> Response:
        (answer,) = await self._writer.submit([operation])
        if answer.http_status == errors.TimedOut.http_status:
            await asyncio.sleep(self._timeout)
        replayed = ((b"idempotency-replayed", b"true"),) if answer.replayed else ()
        return Response(answer.http_status, answer.body, replayed)

    async def _batch(self, request: Request) -> Response:
        body = await inputs.body_of(request)
        try:
            operations = inputs.BATCH_BODY.decode(body).operations
        except (ValueError, RecursionError):
            return await self._batch_with_mistakes(body)
        answers = await self._writer.submit(operations)
        slots = [outputs.slot(o.key, a) for o, a in zip(operations, answers, strict=True)]
        return Response(200, msgspec.json.encode(outputs.Results(slots)))

    async def _batch_with_mistakes(self, body: bytes) -> Response:
        """The slow way: a malformed operation gets its own 400, the others run."""
        parts = [
            _operation_or_refusal(raw) for raw in inputs.decode(inputs.LOOSE_BATCH_BODY, body).operations
        ]
        operations = [part for part in parts if not isinstance(part, Slot)]
        answers = iter(await self._writer.submit(operations))
        slots = [part if isinstance(part, Slot) else outputs.slot(part.key, next(answers)) for part in parts]
        return Response(200, msgspec.json.encode(outputs.Results(slots)))

    async def _operation(self, request: Request) -> Response:
        """Asked through the writer, behind everything that arrived earlier: a 404 is not a race with it."""
        if not inputs.KEY.match(request.rest):
            raise errors.KeyInvalid
        return await self._single(commands.Lookup(key=request.rest))

    async def _show(self, request: Request) -> Response:
        found = await queries.authorization(self._database, inputs.path_id(request))
        if found is None:
            raise errors.AuthorizationNotFound
        return outputs.shown(found)

    async def _refunds(self, request: Request) -> Response:
        authorization_id = inputs.path_id(request)
        if await queries.authorization(self._database, authorization_id) is None:
            raise errors.AuthorizationNotFound
        return outputs.shown(outputs.Refunds(await queries.refunds(self._database, authorization_id)))

    async def _list(self, request: Request) -> Response:
        query = inputs.query_of(request, {"reference", "updated_after", "limit", "cursor"})
        limit = inputs.limit_of(query.get("limit"))
        rows = await queries.authorizations(
            self._database,
            after=inputs.after(query),
            limit=limit + 1,
            reference=inputs.reference_of(query.get("reference")),
        )
        more = outputs.cursor(rows[limit - 1]) if len(rows) > limit else None
        return outputs.shown(outputs.Page(rows[:limit], more))

    async def _ping(self) -> None:
        try:
            await self._database.fetchval("SELECT 1")
            self._readiness.ready("database")
        except Unavailable as away:
            self._readiness.unready("database", away.detail)


def _route(path: str) -> tuple[str, str]:
    """The route's template and what stands for its `{…}`; an idempotency key may hold slashes."""
    if path.startswith("/v1/authorizations/"):
        found, slash, tail = path[len("/v1/authorizations/") :].partition("/")
        return "/v1/authorizations/{id}" + slash + tail, found
    if path.startswith("/v1/operations/"):
        return "/v1/operations/{key}", path[len("/v1/operations/") :]
    return path, ""


def _operation_or_refusal(raw: msgspec.Raw) -> Operation | Slot:
    try:
        operation: Operation = inputs.decode(inputs.OPERATION, bytes(raw))
        return operation
    except errors.InvalidBody as error:
        return outputs.slot(inputs.readable_key(raw), commands.refusal(error))
