"""The Litestar application: every route, the policy in front of each, and how refusals look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from litestar import Litestar, Router
from litestar.connection import Request
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.routes import HTTPRoute

from orderhub_gateway import problems
from orderhub_gateway.api import (
    admin,
    api_keys,
    auth,
    catalogue,
    clients,
    deliveries,
    keys,
    maintenance,
    mfa,
    oidc,
    orders,
    payments,
    system,
)
from orderhub_gateway.bodies import BodyRequest
from orderhub_gateway.calling import Parts
from orderhub_gateway.errors import Gone
from orderhub_gateway.openapi import Document
from orderhub_gateway.policy import Policy as RolePolicy
from orderhub_gateway.reading import check_known
from orderhub_gateway.retirements import RETIRED, Operation

API_ROUTES = [
    *auth.ROUTES,
    *mfa.ROUTES,
    *api_keys.ROUTES,
    *catalogue.ROUTES,
    *orders.ROUTES,
    *payments.ROUTES,
    *deliveries.ROUTES,
    *admin.ROUTES,
    *keys.ROUTES,
    *clients.ROUTES,
    *maintenance.ROUTES,
]


def application(parts: Parts) -> Litestar:
    roles, settings = RolePolicy(), parts.settings
    declared: dict[Operation, frozenset[str]] = {}

    # Not a guard: Litestar copies the handler for each call of one, 6 µs.
    async def admitted(request: Request[Any, Any, Any]) -> None:
        scope: Any = request.scope
        path, method = scope["path_template"], scope["method"]
        if retired := RETIRED.get((path, method)):
            scope["orderhub"].headers += retired.headers
            if settings.sunset_refuses and retired.is_over(parts.clock.now()):
                raise Gone
        roles.check(scope["orderhub"].call.caller, path, method)
        if scope["query_string"]:
            check_known(scope["query_string"], declared[path, method])

    large = Router("/", route_handlers=[catalogue.IMPORT], request_max_body_size=settings.import_limit)
    hook = Router("/", route_handlers=[payments.WEBHOOK], request_max_body_size=settings.webhook_limit)
    api = Router("/api/v1", route_handlers=[*API_ROUTES, large, hook], before_request=admitted)
    app = Litestar(
        [api, *keys.ROOT, *oidc.ROUTES, *system.ROUTES],
        exception_handlers={HTTPException: problems.on_error, Exception: problems.on_error},
        openapi_config=OpenAPIConfig("OrderHub", "1", path="/openapi", render_plugins=()),
        request_class=BodyRequest,
        request_max_body_size=settings.body_limit,
        state=State({"parts": parts}),
        logging_config=None,
    )
    declared.update(_query_parameters(app))
    document = Document(app, roles)
    app.state.openapi = lambda: document.bytes
    return app


def _query_parameters(app: Litestar) -> Iterator[tuple[Operation, frozenset[str]]]:
    """What each operation reads of a query, as Litestar has it from the handlers' signatures."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (_, model) in route.route_handler_map.items():
                names = frozenset(parameter.field_alias for parameter in model.expected_query_params)
                yield (route.path_format, method), names
