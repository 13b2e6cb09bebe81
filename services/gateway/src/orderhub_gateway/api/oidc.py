"""`/oauth2/…` and `/.well-known/…`: the OpenID Provider's HTTP. What is asked and decided is auth's; here it is only carried."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from litestar import Response, get, post, route
from orderhub_chassis.errors import HTTP_STATUS, Failure, Kind
from orderhub_chassis.telemetry import log
from orderhub_contracts.auth.v1 import oidc_pb2 as pb

from orderhub_gateway import pages
from orderhub_gateway.api.auth import client_of, limit_account
from orderhub_gateway.calling import HttpRequest, context_of, parts_of, peers_of
from orderhub_gateway.clients import as_gateway
from orderhub_gateway.errors import UnsupportedContent
from orderhub_gateway.responses import Headers, Raw

FORM: Final = "application/x-www-form-urlencoded"
MOST_FIELDS: Final = 100
HTML: Final = b"text/html; charset=utf-8"
NO_STORE: Final = [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]
# No form-action: browsers hold it against the redirect to the client that answers a form.
PAGE_HEADERS: Final = [
    *NO_STORE,
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; script-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-frame-options", b"DENY"),
]
STATUS: Final = {"wrong": 401, "slow": 429, "disabled": 403}
"""Of a page with such a notice; an error page has 400."""
METADATA_SECONDS: Final = b"max-age=300"
ASSETS: Final = {"pages.css": b"text/css; charset=utf-8", "pages.js": b"text/javascript; charset=utf-8"}
Ask = Callable[[HttpRequest], Awaitable[pb.Turn]]


@get(
    ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"], include_in_schema=False
)
async def metadata(request: HttpRequest) -> Response[Any]:
    oidc = peers_of(request).oidc
    answer = await oidc(oidc.stub.GetMetadata, pb.GetMetadataRequest(), call=as_gateway())
    return Raw(200, answer.json.encode(), [(b"cache-control", METADATA_SECONDS)])


@get(["/oauth2/pages.css", "/oauth2/pages.js"], include_in_schema=False)
async def asset(request: HttpRequest) -> Response[Any]:
    name = request.scope["path"].rpartition("/")[2]
    body = (resources.files("orderhub_gateway") / "static" / name).read_bytes()
    return Raw(200, body, [(b"cache-control", b"max-age=3600")], ASSETS[name])


@route("/oauth2/authorize", http_method=["GET", "POST"], include_in_schema=False)
async def authorize(request: HttpRequest) -> Response[Any]:
    async def ask(request: HttpRequest) -> pb.Turn:
        oidc, given = peers_of(request).oidc, await _parameters(request)
        message = pb.AuthorizeRequest(parameters=_listed(given), browser=_browser(request))
        turn: pb.Turn = await oidc(oidc.stub.Authorize, message, call=as_gateway())
        return turn

    return await _shown(request, ask)


@post("/oauth2/login", include_in_schema=False, status_code=200)
async def login(request: HttpRequest) -> Response[Any]:
    async def ask(request: HttpRequest) -> pb.Turn:
        oidc, given = peers_of(request).oidc, dict(await _form(request))
        if email := given.get("email", ""):
            await limit_account(request, email)
        message = pb.SignInRequest(
            interaction=given.get("interaction", ""), email=email, password=given.get("password", ""),
            code=given.get("code", ""), browser=_browser(request),
        )  # fmt: skip
        async with parts_of(request).passwords:
            turn: pb.Turn = await oidc(oidc.stub.SignIn, message, call=as_gateway())
        return turn

    return await _shown(request, ask)


@post("/oauth2/consent", include_in_schema=False, status_code=200)
async def consent(request: HttpRequest) -> Response[Any]:
    return await _decided(request, "DecideConsent", "allow")


@route("/oauth2/logout", http_method=["GET", "POST"], include_in_schema=False)
async def logout(request: HttpRequest) -> Response[Any]:
    async def ask(request: HttpRequest) -> pb.Turn:
        oidc, given = peers_of(request).oidc, await _parameters(request)
        message = pb.EndSessionRequest(parameters=_listed(given), browser=_browser(request))
        turn: pb.Turn = await oidc(oidc.stub.EndSession, message, call=as_gateway())
        return turn

    return await _shown(request, ask)


@post("/oauth2/logout/confirm", include_in_schema=False, status_code=200)
async def confirm_logout(request: HttpRequest) -> Response[Any]:
    return await _decided(request, "DecideLogout", "logout")


@get("/oauth2/device", include_in_schema=False)
async def visit_device(request: HttpRequest) -> Response[Any]:
    async def ask(request: HttpRequest) -> pb.Turn:
        oidc, given = peers_of(request).oidc, dict(_query(request))
        message = pb.VisitDeviceRequest(user_code=given.get("user_code", ""), browser=_browser(request))
        turn: pb.Turn = await oidc(oidc.stub.VisitDevice, message, call=as_gateway())
        return turn

    return await _shown(request, ask)


@post("/oauth2/device/verify", include_in_schema=False, status_code=200)
async def decide_device(request: HttpRequest) -> Response[Any]:
    async def ask(request: HttpRequest) -> pb.Turn:
        oidc, given = peers_of(request).oidc, dict(await _form(request))
        message = pb.DecideDeviceRequest(
            interaction=given.get("interaction", ""), user_code=given.get("user_code", ""),
            decision=given.get("decision", ""), browser=_browser(request),
        )  # fmt: skip
        turn: pb.Turn = await oidc(oidc.stub.DecideDevice, message, call=as_gateway())
        return turn

    return await _shown(request, ask)


@post("/oauth2/token", include_in_schema=False, status_code=200)
async def token(request: HttpRequest) -> Response[Any]:
    return await _client_call(request, "Token")


@post("/oauth2/device", include_in_schema=False, status_code=200)
async def authorize_device(request: HttpRequest) -> Response[Any]:
    return await _client_call(request, "AuthorizeDevice")


@post("/oauth2/revoke", include_in_schema=False, status_code=200)
async def revoke(request: HttpRequest) -> Response[Any]:
    return await _client_call(request, "Revoke")


@post("/oauth2/introspect", include_in_schema=False, status_code=200)
async def introspect(request: HttpRequest) -> Response[Any]:
    return await _client_call(request, "Introspect")


@route("/oauth2/userinfo", http_method=["GET", "POST"], include_in_schema=False)
async def userinfo(request: HttpRequest) -> Response[Any]:
    """The token in the header, or in the form of a POST (RFC 6750, section 2); not in both, and not in the query."""
    oidc, given = peers_of(request).oidc, ""
    scheme, _, credentials = _header(request, b"authorization").partition(" ")
    if request.scope["method"] == "POST" and context_of(request).content_type:
        form = [value for name, value in await _form(request) if name == "access_token"]
        if len(form) > 1 or (form and credentials):
            return _oauth_error(400, "invalid_request", "the access token was sent in more than one way")
        given = form[0] if form else ""
    if credentials and scheme.lower() == "bearer":
        given = credentials.strip()
    answer = await oidc(oidc.stub.UserInfo, pb.UserInfoRequest(access_token=given), call=as_gateway())
    return _client_answer(answer)


async def _client_call(request: HttpRequest, method: str) -> Raw:
    oidc = peers_of(request).oidc
    try:
        given = await _form(request)
    except Failure as failure:
        return _oauth_error(HTTP_STATUS[failure.kind], "invalid_request", failure.detail)
    message = pb.ClientCall(
        parameters=_listed(given), authorization=_header(request, b"authorization"), client=client_of(request)
    )
    try:
        return _client_answer(await oidc(getattr(oidc.stub, method), message, call=as_gateway()))
    except Failure as failure:
        if failure.kind is not Kind.UNAVAILABLE:
            raise
        log("gateway").warning("gateway.peer_away", reason=failure.detail)
        away = "a part of the system cannot be reached right now"
        return _oauth_error(503, "temporarily_unavailable", away)


def _client_answer(answer: pb.ClientAnswer) -> Raw:
    headers = list(NO_STORE)
    if answer.www_authenticate:
        headers.append((b"www-authenticate", answer.www_authenticate.encode()))
    if not answer.json:
        return Raw(answer.status, b"", headers, b"text/plain")
    return Raw(answer.status, answer.json.encode(), headers)


def _oauth_error(status: int, error: str, description: str) -> Raw:
    body = msgspec.json.encode({"error": error, "error_description": description})
    return Raw(status, body, list(NO_STORE))


async def _decided(request: HttpRequest, method: str, yes: str) -> Raw:
    async def ask(request: HttpRequest) -> pb.Turn:
        oidc, given = peers_of(request).oidc, dict(await _form(request))
        message = pb.DecideRequest(
            interaction=given.get("interaction", ""),
            yes=given.get("decision") == yes,
            browser=_browser(request),
        )
        turn: pb.Turn = await oidc(getattr(oidc.stub, method), message, call=as_gateway())
        return turn

    return await _shown(request, ask)


async def _shown(request: HttpRequest, ask: Ask) -> Raw:
    """Where auth sends the browser; a refusal is a page, too, for it is a person who looks at it."""
    try:
        turn = await ask(request)
    except Failure as failure:
        return _problem_page(failure)
    headers = _cookie_headers(request, turn)
    if turn.HasField("redirect"):
        if turn.redirect.post:
            return Raw(200, pages.posting(turn.redirect), [*headers, *PAGE_HEADERS], HTML)
        return Raw(303, b"", [*headers, *NO_STORE, (b"location", turn.redirect.uri.encode())], HTML)
    if turn.page.retry_after:
        headers.append((b"retry-after", b"%d" % turn.page.retry_after))
    status = STATUS.get(turn.page.notice, 400 if turn.page.kind == "error" else 200)
    return Raw(status, pages.rendered(turn.page), [*headers, *PAGE_HEADERS], HTML)


def _problem_page(failure: Failure) -> Raw:
    status, headers = HTTP_STATUS.get(failure.kind, 400), list(PAGE_HEADERS)
    notice = {Kind.FORBIDDEN: "foreign", Kind.RATE_LIMITED: "slow", Kind.UNAVAILABLE: "away"}
    if failure.kind not in notice:
        raise failure
    if failure.retry_after:
        headers.append((b"retry-after", str(failure.retry_after).encode()))
    return Raw(status, pages.problem(notice[failure.kind]), headers, HTML)


def _cookie_name(request: HttpRequest) -> str:
    """`__Host-` binds a cookie to this very host and to https; browsers refuse it without."""
    secure = parts_of(request).settings.public_url.startswith("https://")
    return "__Host-orderhub_op" if secure else "orderhub_op"


def _cookie_headers(request: HttpRequest, turn: pb.Turn) -> Headers:
    if not turn.cookie:
        return []
    name = _cookie_name(request)
    secure = "; Secure" if name.startswith("__Host-") else ""
    return [(b"set-cookie", f"{name}={turn.cookie}; Path=/; HttpOnly; SameSite=Lax{secure}".encode())]


def _browser(request: HttpRequest) -> pb.Browser:
    """Of two cookies of that name neither is believed: one of them was planted."""
    name, found = _cookie_name(request), []
    for part in _header(request, b"cookie").split(";"):
        given, _, value = part.strip().partition("=")
        if given == name:
            found.append(value)
    return pb.Browser(cookie=found[0] if len(found) == 1 else "", client=client_of(request))


def _header(request: HttpRequest, name: bytes) -> str:
    return str(dict(request.scope["headers"]).get(name, b"").decode("latin-1"))


def _listed(given: list[tuple[str, str]]) -> list[pb.Parameter]:
    return [pb.Parameter(name=name, value=value) for name, value in given]


async def _parameters(request: HttpRequest) -> list[tuple[str, str]]:
    """Of a GET those in the query, of a POST those in the form (OpenID Connect Core 1.0, section 13.1)."""
    return await _form(request) if request.scope["method"] == "POST" else _query(request)


def _query(request: HttpRequest) -> list[tuple[str, str]]:
    return _parsed(request.scope["query_string"])


async def _form(request: HttpRequest) -> list[tuple[str, str]]:
    """Raises UnsupportedContent and Failure for what is no form."""
    given = context_of(request).content_type.decode("latin-1").partition(";")[0].strip().lower()
    if given != FORM:
        raise UnsupportedContent(FORM)
    return _parsed(await request.body())


def _parsed(text: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError as error:
        raise Failure("the parameters are not readable", code="request.malformed") from error


ROUTES: list[Any] = [
    metadata, asset, authorize, login, consent, logout, confirm_logout, visit_device, decide_device, token,
    authorize_device, revoke, introspect, userinfo,
]  # fmt: skip
