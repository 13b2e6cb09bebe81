"""The provider's HTTP API on plain ASGI: JSON, `Authorization: Bearer <api key>`, errors `{error: {code, message, field?}}`.

| route | does |
|---|---|
| `POST /v1/authorizations` | authorize `{amount_minor, currency, token, reference}`; a declined card is a 200 with its `decline_code` |
| `POST /v1/authorizations/{id}/capture` | capture `{amount_minor}` once, up to the authorized amount |
| `POST /v1/authorizations/{id}/void` | give the hold back (empty body or `{}`), before capture only |
| `POST /v1/authorizations/{id}/refunds` | refund `{amount_minor, reference}`, part by part up to the captured amount |
| `POST /v1/batch` | `{operations: [{key, op, …}]}` to `{results: [{key, http_status, body}]}`, each operation for itself |
| `GET /v1/authorizations/{id}` | one authorization |
| `GET /v1/authorizations/{id}/refunds` | its refunds |
| `GET /v1/authorizations?reference=&updated_after=&limit=&cursor=` | listing, oldest change first |
| `GET /v1/operations/{key}` | what became of an idempotency key: the stored answer, or 404 when nothing was done |
| `GET /livez` `/readyz` `/metrics` | for the operator, without a key |

The single mutating calls need an `Idempotency-Key` header. Same key and same request: the stored answer
(`Idempotency-Replayed: true`); same key and another request: 422. 503 and 504 are transient and never stored.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar
from urllib.parse import parse_qs
from uuid import UUID

import msgspec
from msgspec import Meta
from orderhub_chassis import http, telemetry, wire
from orderhub_chassis.db import Database
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.health import Readiness

from orderhub_simulator import commands, errors, metrics, queries
from orderhub_simulator.commands import Answer, Operation
from orderhub_simulator.settings import Settings
from orderhub_simulator.writer import Writer

BODY_LIMIT: Final = 4 * 1024 * 1024
OPERATIONS_LIMIT: Final = 1000
PAGE_DEFAULT: Final = 50
PAGE_LIMIT: Final = 200
START: Final = queries.Position(datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))
LAST_ID: Final = UUID(int=2**128 - 1)
JSON: Final = b"application/json"
PROBES: Final = frozenset({"/livez", "/readyz", "/metrics"})

S = TypeVar("S")

log = telemetry.log("simulator.api")


class Response(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Request(msgspec.Struct):
    """`rest` is what the route's `{…}` stands for."""

    scope: http.Scope
    receive: http.Receive
    headers: dict[bytes, bytes]
    rest: str


class BatchBody(msgspec.Struct, forbid_unknown_fields=True):
    operations: Annotated[list[Operation], Meta(max_length=OPERATIONS_LIMIT)]


class LooseBatchBody(msgspec.Struct, forbid_unknown_fields=True):
    operations: Annotated[list[msgspec.Raw], Meta(max_length=OPERATIONS_LIMIT)]


class Slot(msgspec.Struct, frozen=True):
    key: str | None
    http_status: int
    body: msgspec.Raw


class Results(msgspec.Struct, frozen=True):
    results: list[Slot]


class Page(msgspec.Struct, frozen=True):
    items: list[queries.AuthorizationRow]
    next_cursor: str | None


class Refunds(msgspec.Struct, frozen=True):
    items: list[queries.RefundRow]


AUTHORIZE_BODY = msgspec.json.Decoder(commands.AuthorizeBody)
CAPTURE_BODY = msgspec.json.Decoder(commands.CaptureBody)
VOID_BODY = msgspec.json.Decoder(commands.VoidBody)
REFUND_BODY = msgspec.json.Decoder(commands.RefundBody)
BATCH_BODY = msgspec.json.Decoder(BatchBody)
LOOSE_BATCH_BODY = msgspec.json.Decoder(LooseBatchBody)
OPERATION = msgspec.json.Decoder(Operation)
ANYTHING = msgspec.json.Decoder()
KEY: Final = re.compile(r"[!-~]{1,255}\Z")


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
        await _send(send, response)
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
            return _failed(error)
        except Unavailable as away:
            log.warning("database away", cause=away.detail)
            return _failed(errors.Unavailable())
        except Exception:  # the caller gets an answer, the log gets the bug
            log.exception("request failed", route=route)
            return _failed(errors.InternalError())

    def _handler(self, route: str, request: Request) -> Callable[[Request], Awaitable[Response]]:
        _check_readable(request)
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
        key = _idempotency_key(request)
        body = _decode(AUTHORIZE_BODY, await _body(request))
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
        key = _idempotency_key(request)
        body = _decode(CAPTURE_BODY, await _body(request))
        return await self._single(
            commands.Capture(key=key, authorization_id=_path_id(request), amount_minor=body.amount_minor)
        )

    async def _void(self, request: Request) -> Response:
        key = _idempotency_key(request)
        _decode(VOID_BODY, await _body(request) or b"{}")
        return await self._single(commands.Void(key=key, authorization_id=_path_id(request)))

    async def _refund(self, request: Request) -> Response:
        key = _idempotency_key(request)
        body = _decode(REFUND_BODY, await _body(request))
        return await self._single(
            commands.RefundCaptured(
                key=key,
                authorization_id=_path_id(request),
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
        body = await _body(request)
        try:
            operations = BATCH_BODY.decode(body).operations
        except (ValueError, RecursionError):
            return await self._batch_with_mistakes(body)
        answers = await self._writer.submit(operations)
        slots = [_slot(o.key, a) for o, a in zip(operations, answers, strict=True)]
        return Response(200, msgspec.json.encode(Results(slots)))

    async def _batch_with_mistakes(self, body: bytes) -> Response:
        """The slow way: a malformed operation gets its own 400, the others run."""
        parts = [_operation_or_refusal(raw) for raw in _decode(LOOSE_BATCH_BODY, body).operations]
        operations = [part for part in parts if not isinstance(part, Slot)]
        answers = iter(await self._writer.submit(operations))
        slots = [part if isinstance(part, Slot) else _slot(part.key, next(answers)) for part in parts]
        return Response(200, msgspec.json.encode(Results(slots)))

    async def _operation(self, request: Request) -> Response:
        """Asked through the writer, behind everything that arrived earlier: a 404 is not a race with it."""
        if not KEY.match(request.rest):
            raise errors.KeyInvalid
        return await self._single(commands.Lookup(key=request.rest))

    async def _show(self, request: Request) -> Response:
        found = await queries.authorization(self._database, _path_id(request))
        if found is None:
            raise errors.AuthorizationNotFound
        return _json(found)

    async def _refunds(self, request: Request) -> Response:
        authorization_id = _path_id(request)
        if await queries.authorization(self._database, authorization_id) is None:
            raise errors.AuthorizationNotFound
        return _json(Refunds(await queries.refunds(self._database, authorization_id)))

    async def _list(self, request: Request) -> Response:
        query = _query(request, {"reference", "updated_after", "limit", "cursor"})
        limit = _limit(query.get("limit"))
        rows = await queries.authorizations(
            self._database, after=_after(query), limit=limit + 1, reference=_reference(query.get("reference"))
        )
        more = _cursor(rows[limit - 1]) if len(rows) > limit else None
        return _json(Page(rows[:limit], more))

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


async def _send(send: http.Send, response: Response) -> None:
    headers = [
        (b"content-type", JSON),
        (b"content-length", str(len(response.body)).encode()),
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _json(value: msgspec.Struct, status: int = 200) -> Response:
    return Response(status, msgspec.json.encode(value))


def _failed(error: errors.ProviderError) -> Response:
    allow = ((b"allow", error.allowed.encode()),) if isinstance(error, errors.MethodNotAllowed) else ()
    return Response(error.http_status, error.body(), allow)


def _check_readable(request: Request) -> None:
    if refused := wire.refusal(request.scope):
        raise errors.unreadable(refused)


async def _body(request: Request) -> bytes:
    content_type = request.headers.get(b"content-type", JSON).partition(b";")[0].strip().lower()
    if content_type != JSON:
        raise errors.UnsupportedMediaType
    whole = b""
    while True:
        message = await request.receive()
        _check_readable(request)
        if message["type"] == "http.disconnect":
            raise errors.InvalidBody("the connection ended before the body did")
        part: bytes = message.get("body", b"")
        whole += part
        if len(whole) > BODY_LIMIT:
            raise errors.BodyTooLarge(BODY_LIMIT)
        if not message.get("more_body"):
            return whole


def _idempotency_key(request: Request) -> str:
    given = request.headers.get(b"idempotency-key")
    if not given:
        raise errors.KeyRequired
    key = given.decode("latin-1")
    if not KEY.match(key):
        raise errors.KeyInvalid
    return key


def _path_id(request: Request) -> UUID:
    try:
        return UUID(request.rest)
    except ValueError:
        raise errors.AuthorizationNotFound from None


def _decode(decoder: msgspec.json.Decoder[S], body: bytes) -> S:
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError) as error:
        raise _invalid(error) from None


def _invalid(error: Exception) -> errors.InvalidBody:
    """msgspec ends its message with the place, as in: Expected `int` >= 1 - at `$.amount_minor`."""
    if isinstance(error, RecursionError):
        return errors.InvalidBody("the body is nested too deeply")
    message = str(error)
    named = re.search(r"field `([^`]+)`", message)
    place = re.search(r" - at `\$\.?([^`]*)`$", message)
    parts = [part[1] for part in (place, named) if part and part[1]]
    return errors.InvalidBody(message, field=".".join(parts) or None)


def _operation_or_refusal(raw: msgspec.Raw) -> Operation | Slot:
    try:
        operation: Operation = _decode(OPERATION, bytes(raw))
        return operation
    except errors.InvalidBody as error:
        return _slot(_readable_key(raw), commands.refusal(error))


def _readable_key(raw: msgspec.Raw) -> str | None:
    try:
        loose = ANYTHING.decode(raw)
    except (ValueError, RecursionError):
        return None
    key = loose.get("key") if isinstance(loose, dict) else None
    return key if isinstance(key, str) else None


def _slot(key: str | None, answer: Answer) -> Slot:
    return Slot(key, answer.http_status, msgspec.Raw(answer.body))


def _query(request: Request, known: set[str]) -> dict[str, str]:
    try:
        given = parse_qs(
            request.scope["query_string"].decode(), keep_blank_values=True, max_num_fields=20, errors="strict"
        )
    except ValueError:
        raise errors.InvalidParameter("the query string is malformed") from None
    for name, values in given.items():
        if name not in known or len(values) > 1:
            raise errors.InvalidParameter(f"{name} is not known here or given twice", field=name)
    return {name: values[0] for name, values in given.items()}


def _limit(given: str | None) -> int:
    if given is None:
        return PAGE_DEFAULT
    if not re.fullmatch(r"[0-9]{1,4}", given) or not 1 <= int(given) <= PAGE_LIMIT:
        raise errors.InvalidParameter(f"limit is a number from 1 to {PAGE_LIMIT}", field="limit")
    return int(given)


def _reference(given: str | None) -> str | None:
    if given is not None and not re.fullmatch(r"[^\x00-\x1f\x7f]{1,255}", given):
        raise errors.InvalidParameter("reference is 1 to 255 printable characters", field="reference")
    return given


def _after(query: dict[str, str]) -> queries.Position:
    """The cursor knows more than `updated_after`, which only starts a listing."""
    if "cursor" in query:
        return _read_cursor(query["cursor"])
    if "updated_after" in query:
        return queries.Position(_instant(query["updated_after"]), LAST_ID)
    return START


def _instant(given: str) -> datetime:
    try:
        at = datetime.fromisoformat(given)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise errors.InvalidParameter("updated_after is an RFC 3339 time with an offset", field="updated_after")


def _cursor(row: queries.AuthorizationRow) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(queries.Position(row.updated_at, row.id))).decode()


def _read_cursor(given: str) -> queries.Position:
    try:
        position = msgspec.json.decode(base64.urlsafe_b64decode(given.encode("ascii")), type=queries.Position)
        return queries.Position(position.updated_at.astimezone(UTC), position.id)
    except (ValueError, OverflowError):
        raise errors.InvalidParameter("the cursor is malformed", field="cursor") from None
