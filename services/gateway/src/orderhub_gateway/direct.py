"""Routes of a fixed address that take a JSON body and nothing else, called past Litestar's layers (20 µs of a POST).

They stay Litestar's: its table says which they are, and handler, policy, decoder, limits and problems are the very
objects that it would use. Whatever is not plain (another address, an odd Host, an empty body) is left to Litestar.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from orderhub_gateway import problems
from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.responses import Raw

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PLAIN_HOST: Final = re.compile(rb"[0-9A-Za-z.:\[\]-]*")


class Direct:
    """The ASGI app inside the edge: plain calls are made here, all others by Litestar."""

    def __init__(self, app: Litestar) -> None:
        self._app: Any = app
        self._calls = {
            (method, route.path): _Call(app, handler, route.path)
            for route in app.routes
            if isinstance(route, HTTPRoute) and not route.path_parameters
            for handler in route.route_handlers
            if _takes_only_a_body(handler)
            for method in handler.http_methods
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = self._calls.get((scope["method"], scope["path"]))
        if call is None or not _has_plain_host(scope):
            await self._app(scope, receive, send)
        elif response := await call(scope, receive, send):
            await response.send_over(scope, receive, send)
        else:
            await self._app(scope, _nothing, send)


class _Call:
    """One route. None where there is no body, which only Litestar knows how to refuse."""

    def __init__(self, app: Litestar, handler: HTTPRouteHandler, path: str) -> None:
        self._app = app
        self._path = path
        self._handler = handler
        self._request_class = handler.resolve_request_class()
        self._before = handler.resolve_before_request()
        dto: Any = handler.resolve_data_dto()
        self._read = dto.reader(handler.handler_id)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Raw | None:
        scope["litestar_app"], scope["route_handler"] = self._app, self._handler
        scope["path_template"], scope["path_params"] = self._path, {}
        request = self._request_class(scope, receive, send)
        try:
            return await self._answer(request)
        except Exception as error:  # noqa: BLE001 - every error is a problem for the client
            return problems.on_error(request, error)

    async def _answer(self, request: Any) -> Raw | None:
        if self._before:
            await self._before(request)
        body = await request.body()
        if not body:
            return None
        answer: Raw = await self._handler.fn(request=request, data=self._read(request, body))
        return answer


def _takes_only_a_body(handler: HTTPRouteHandler) -> bool:
    dto, parameters = handler.resolve_data_dto(), handler.parsed_fn_signature.parameters
    return dto is not None and issubclass(dto, JsonBody) and set(parameters) == {"request", "data"}


def _has_plain_host(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"host":
            return PLAIN_HOST.fullmatch(value) is not None
    return True


async def _nothing() -> Message:
    """A body that was read already, and was empty."""
    return {"type": "http.request", "body": b"", "more_body": False}
