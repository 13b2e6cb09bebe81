"""What goes out: answers, pages, slots of a batch, refusals."""

from __future__ import annotations

import base64
from typing import Final

import msgspec
from orderhub_chassis import http

from orderhub_simulator import errors, queries
from orderhub_simulator.commands import Answer

JSON: Final = b"application/json"


class Response(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


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


async def send_response(send: http.Send, response: Response) -> None:
    headers = [
        (b"content-type", JSON),
        (b"content-length", str(len(response.body)).encode()),
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def shown(value: msgspec.Struct, status: int = 200) -> Response:
    return Response(status, msgspec.json.encode(value))


def failed(error: errors.ProviderError) -> Response:
    allow = ((b"allow", error.allowed.encode()),) if isinstance(error, errors.MethodNotAllowed) else ()
    return Response(error.http_status, error.body(), allow)


def slot(key: str | None, answer: Answer) -> Slot:
    return Slot(key, answer.http_status, msgspec.Raw(answer.body))


def cursor(row: queries.AuthorizationRow) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(queries.Position(row.updated_at, row.id))).decode()
