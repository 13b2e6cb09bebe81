"""What comes in: bodies, keys, ids, queries and cursors, each taken or refused by its name."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar
from urllib.parse import parse_qs
from uuid import UUID

import msgspec
from msgspec import Meta
from orderhub_chassis import http, wire

from orderhub_simulator import commands, errors, queries
from orderhub_simulator.api.outputs import JSON
from orderhub_simulator.commands import Operation

BODY_LIMIT: Final = 4 * 1024 * 1024
OPERATIONS_LIMIT: Final = 1000
PAGE_DEFAULT: Final = 50
PAGE_LIMIT: Final = 200
START: Final = queries.Position(datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))
LAST_ID: Final = UUID(int=2**128 - 1)

S = TypeVar("S")


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


AUTHORIZE_BODY = msgspec.json.Decoder(commands.AuthorizeBody)
CAPTURE_BODY = msgspec.json.Decoder(commands.CaptureBody)
VOID_BODY = msgspec.json.Decoder(commands.VoidBody)
REFUND_BODY = msgspec.json.Decoder(commands.RefundBody)
BATCH_BODY = msgspec.json.Decoder(BatchBody)
LOOSE_BATCH_BODY = msgspec.json.Decoder(LooseBatchBody)
OPERATION = msgspec.json.Decoder(Operation)
ANYTHING = msgspec.json.Decoder()
KEY: Final = re.compile(r"[!-~]{1,255}\Z")


def check_readable(request: Request) -> None:
    if refused := wire.refusal(request.scope):
        raise errors.unreadable(refused)


async def body_of(request: Request) -> bytes:
    content_type = request.headers.get(b"content-type", JSON).partition(b";")[0].strip().lower()
    if content_type != JSON:
        raise errors.UnsupportedMediaType
    whole = b""
    while True:
        message = await request.receive()
        check_readable(request)
        if message["type"] == "http.disconnect":
            raise errors.InvalidBody("the connection ended before the body did")
        part: bytes = message.get("body", b"")
        whole += part
        if len(whole) > BODY_LIMIT:
            raise errors.BodyTooLarge(BODY_LIMIT)
        if not message.get("more_body"):
            return whole


def idempotency_key(request: Request) -> str:
    given = request.headers.get(b"idempotency-key")
    if not given:
        raise errors.KeyRequired
    key = given.decode("latin-1")
    if not KEY.match(key):
        raise errors.KeyInvalid
    return key


def path_id(request: Request) -> UUID:
    try:
        return UUID(request.rest)
    except ValueError:
        raise errors.AuthorizationNotFound from None


def decode(decoder: msgspec.json.Decoder[S], body: bytes) -> S:
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


def readable_key(raw: msgspec.Raw) -> str | None:
    try:
        loose = ANYTHING.decode(raw)
    except (ValueError, RecursionError):
        return None
    key = loose.get("key") if isinstance(loose, dict) else None
    return key if isinstance(key, str) else None


def query_of(request: Request, known: set[str]) -> dict[str, str]:
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


def limit_of(given: str | None) -> int:
    if given is None:
        return PAGE_DEFAULT
    if not re.fullmatch(r"[0-9]{1,4}", given) or not 1 <= int(given) <= PAGE_LIMIT:
        raise errors.InvalidParameter(f"limit is a number from 1 to {PAGE_LIMIT}", field="limit")
    return int(given)


def reference_of(given: str | None) -> str | None:
    if given is not None and not re.fullmatch(r"[^\x00-\x1f\x7f]{1,255}", given):
        raise errors.InvalidParameter("reference is 1 to 255 printable characters", field="reference")
    return given


def after(query: dict[str, str]) -> queries.Position:
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


def _read_cursor(given: str) -> queries.Position:
    try:
        position = msgspec.json.decode(base64.urlsafe_b64decode(given.encode("ascii")), type=queries.Position)
        return queries.Position(position.updated_at.astimezone(UTC), position.id)
    except (ValueError, OverflowError):
        raise errors.InvalidParameter("the cursor is malformed", field="cursor") from None
