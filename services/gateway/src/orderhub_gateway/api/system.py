"""Beside the API: probes, metrics, and the documentation from local files."""

from __future__ import annotations

from importlib import resources
from typing import Any, Final

import msgspec
from litestar import Response, get
from litestar.params import FromPath
from orderhub_chassis.errors import HttpFailure
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from orderhub_gateway.calling import HttpRequest, parts_of
from orderhub_gateway.responses import Raw

STATIC: Final = {
    "docs.js": b"text/javascript; charset=utf-8",
    "docs.css": b"text/css; charset=utf-8",
    "docs.svg": b"image/svg+xml",
}
DOCS_POLICY: Final = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)


class NoSuchAsset(HttpFailure):
    status, code = 404, "request.no_such_route"


@get("/livez", include_in_schema=False)
async def livez() -> Response[Any]:
    return Raw(200, b'{"status":"alive"}', [])


@get("/readyz", include_in_schema=False)
async def readyz(request: HttpRequest) -> Response[Any]:
    readiness = parts_of(request).readiness
    report: dict[str, Any] = {"service": "gateway", "ready": readiness.ok, "reasons": readiness.report()}
    if readiness.notes:
        report["notes"] = readiness.notes
    return Raw(200 if readiness.ok else 503, msgspec.json.encode(report), [])


@get("/metrics", include_in_schema=False)
async def metrics() -> Response[Any]:
    return Raw(200, generate_latest(), [], CONTENT_TYPE_LATEST.encode())


@get("/ping", include_in_schema=False)
async def ping() -> Response[Any]:
    return Raw(200, b'{"message":"pong"}', [])


@get("/health", include_in_schema=False)
async def health(request: HttpRequest) -> Response[Any]:
    readiness = parts_of(request).readiness
    status = "ok" if readiness.ok else "starting"
    return Raw(200 if readiness.ok else 503, msgspec.json.encode({"status": status}), [])


@get("/docs", include_in_schema=False)
async def docs() -> Response[Any]:
    return Raw(200, _asset("docs.html"), [DOCS_POLICY], b"text/html; charset=utf-8")


@get("/docs/{name:str}", include_in_schema=False)
async def docs_asset(name: FromPath[str]) -> Response[Any]:
    if name not in STATIC:
        raise NoSuchAsset("there is nothing at this address")
    return Raw(200, _asset(name), [], STATIC[name])


@get("/openapi.json", include_in_schema=False)
async def openapi_json(request: HttpRequest) -> Response[Any]:
    return Raw(200, request.scope["litestar_app"].state.openapi(), [])


def _asset(name: str) -> bytes:
    return (resources.files("orderhub_gateway") / "static" / name).read_bytes()


ROUTES: list[Any] = [livez, readyz, metrics, ping, health, docs, docs_asset, openapi_json]
