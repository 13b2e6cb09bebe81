"""Strict JSON bodies: one decode into the struct, then an answer that names the field.

Strict means: UTF-8 JSON (RFC 8259) with content type application/json, no unknown and no doubled member, no NUL in a
string, no number in quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, ClassVar, Final, Generic, TypeVar

import msgspec
from litestar.connection import Request
from litestar.dto import AbstractDTO
from orderhub_chassis.errors import Failure

from orderhub_gateway.errors import BadRequest, ClientGone, TooLarge, UnsupportedContent, bad_field

T = TypeVar("T")
PATH: Final = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
MISSING: Final = re.compile(r"Object missing required field `(.*)`")
SEGMENT: Final = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
KINDS: Final = (
    ("of length", "length"),
    ("matching regex", "pattern"),
    ("Invalid enum value", "enum"),
    ("Invalid UUID", "format"),
    ("Invalid RFC3339", "format"),
    ("Invalid date", "format"),
    (">=", "range"),
    ("<=", "range"),
    (" > ", "range"),
    (" < ", "range"),
    ("out of range", "range"),
)


STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""Never tries twice: possessive, and a string that does not end is one, too."""
BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


class Malformed(BadRequest):
    code = "request.malformed_json"


class TooDeep(BadRequest):
    code = "request.too_deep"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the JSON is nested deeper than {limit} levels")


class Doubled(ValueError):
    """A member stands twice in one object: which of the two counts depends on who reads it."""


class JsonBody(AbstractDTO[T], Generic[T]):
    """Decodes a handler's `data`. As a DTO it takes the bytes themselves; Litestar decodes twice, and leniently."""

    _decoders: ClassVar[dict[Any, msgspec.json.Decoder[Any]]] = {}

    @classmethod
    def create_for_field_definition(
        cls, field_definition: Any, handler_id: str, backend_cls: Any = None
    ) -> None:
        cls._decoders[handler_id] = msgspec.json.Decoder(field_definition.annotation)

    @classmethod
    def create_openapi_schema(cls, field_definition: Any, handler_id: str, schema_creator: Any) -> Any:
        return schema_creator.for_field_definition(field_definition)

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Any:
        return iter(())

    @classmethod
    def detect_nested_field(cls, field_definition: Any) -> bool:
        return False

    def decode_bytes(self, value: bytes) -> Any:
        connection: Any = self.asgi_connection
        return self.reader(connection.route_handler.handler_id)(connection, value)

    @classmethod
    def reader(cls, handler_id: str) -> Callable[[Any, bytes], Any]:
        """What decodes the bodies of one handler's requests."""
        decoder = cls._decoders[handler_id]

        def read(request: Any, body: bytes) -> Any:
            check_content_type(request.scope["orderhub"].content_type)
            check_depth(body, request.scope["litestar_app"].state.parts.settings.json_depth)
            return decode(decoder, body)

        return read


class BodyRequest(Request[Any, Any, Any]):
    """Reads its body in one loop; Litestar's own stream parses all headers first, to learn one length."""

    async def body(self) -> bytes:
        """Raises TooLarge, as soon as that is known."""
        if isinstance(self._body, bytes):
            return self._body
        limit = self.route_handler.resolve_request_max_body_size() or 0
        scope: Any = self.scope
        if scope["orderhub"].content_length > limit:
            raise TooLarge
        chunks, size, more = [], 0, True
        while more:
            message: Any = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunks.append(message["body"])
            size += len(message["body"])
            if size > limit:
                raise TooLarge
            more = message.get("more_body", False)
        self._body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return self._body


def check_content_type(given: bytes) -> None:
    if given == b"application/json":
        return
    media_type, _, parameters = given.decode("latin-1").partition(";")
    charset = parameters.strip().lower().replace('"', "").removeprefix("charset=")
    if media_type.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise UnsupportedContent("application/json in UTF-8")


def check_depth(body: bytes, limit: int) -> None:
    """Raises TooDeep, before anything is decoded.

    Each round takes the innermost brackets away, so that what is left after `limit` rounds was deeper, or is no JSON.
    No step is one of Python's: a MiB of the worst takes 70 ms, and what anybody sends a fraction of one.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return
    left = STRINGS.sub(b"", body).translate(BRACKETS, NO_BRACKETS)
    for _ in range(limit):
        before, left = len(left), left.replace(b"[]", b"")
        if len(left) == before:
            break
    if b"[]" in left or len(left) - left.rfind(b"]") - 1 > limit:
        raise TooDeep(limit)


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Raises a Failure that names the first wrong field."""
    try:
        value = decoder.decode(body)
        if _may_have_doubles(body):
            DOUBLES.decode(body.decode())
    except msgspec.ValidationError as error:
        raise _failure(str(error)) from None
    except Doubled as error:
        raise bad_field(f"/{error}", "doubled", "stands twice in one object") from None
    except RecursionError:
        raise Malformed("the JSON is nested too deeply", code=TooDeep.code) from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    if b"\\u0000" in body:
        _refuse_nul(json.loads(body), "")
    return value


def _may_have_doubles(body: bytes) -> bool:
    """Of a member that stands twice one is lost in a decode, and its colon with it: seen for half of what a hook
    for every object costs. Escapes hide colons, so where one is it stays open."""
    if b"\\" in body:
        return True
    return msgspec.json.encode(msgspec.json.decode(body)).count(b":") != body.count(b":")


def _pairs(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        names = [name for name, _ in pairs]
        raise Doubled(next(name for name in names if names.count(name) > 1))


DOUBLES: Final = json.JSONDecoder(object_pairs_hook=_pairs)


def _refuse_nul(value: Any, pointer: str) -> None:
    if isinstance(value, str) and "\0" in value:
        raise bad_field(pointer, "characters", "must not contain the NUL character")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        _refuse_nul(item, f"{pointer}/{escaped(str(name))}")


def _failure(words: str) -> Failure:
    """msgspec tells the place as a path, `$.lines[0].quantity`, and the trouble in words."""
    place = PATH.search(words)
    text, pointer = words[: place.start()] if place else words, _pointer(place[1] if place else "")
    if found := UNKNOWN.match(text):
        return bad_field(f"{pointer}/{escaped(found[1])}", "unknown", "is not a field of this object")
    if found := MISSING.match(text):
        return bad_field(f"{pointer}/{escaped(found[1])}", "required", "is required")
    code = next((code for sign, code in KINDS if sign in text), "type")
    return bad_field(pointer, code, text.replace("`", "")[:1].lower() + text.replace("`", "")[1:])


def _pointer(path: str) -> str:
    return "".join(f"/{escaped(name or index)}" for name, index in SEGMENT.findall(path))


def escaped(name: str) -> str:
    """RFC 6901, section 3."""
    return name.replace("~", "~0").replace("/", "~1")
