"""`admin/maintenance`: the switch."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.params import JSONBody

from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.calling import HttpRequest, context_of, parts_of
from orderhub_gateway.maintenance import State
from orderhub_gateway.responses import Json
from orderhub_gateway.schemas.operator import Maintenance, SetMaintenance


@get("/admin/maintenance", operation_id="getMaintenance")
async def get_maintenance(request: HttpRequest) -> Response[Maintenance]:
    """Whether changes are refused, since when, and by whom."""
    return Json(_shown(parts_of(request).maintenance.state))


@post(
    "/admin/maintenance", dto=JsonBody[SetMaintenance], return_dto=None,
    operation_id="setMaintenance", status_code=200,
)  # fmt: skip
async def set_maintenance(request: HttpRequest, data: JSONBody[SetMaintenance]) -> Response[Maintenance]:
    """Refuse all changes but those of operators, or take them again.

    All replicas know of it within a second. Reads go on, and so do logins; what is refused is answered 503 with the
    message and `Retry-After`. Orders that were accepted before go their way.
    """
    parts = parts_of(request)
    state = State(
        enabled=data.enabled,
        message=data.message,
        retry_after=data.retry_after_seconds,
        changed_at=parts.clock.now().isoformat(timespec="seconds").replace("+00:00", "Z"),
        changed_by=context_of(request).call.caller.user_id,
    )
    await parts.maintenance.turn(state)
    return Json(_shown(state))


def _shown(state: State) -> Maintenance:
    return Maintenance(
        enabled=state.enabled,
        message=state.message,
        retry_after_seconds=state.retry_after,
        changed_at=state.changed_at or None,
        changed_by=state.changed_by or None,
    )


ROUTES: list[Any] = [get_maintenance, set_maintenance]
