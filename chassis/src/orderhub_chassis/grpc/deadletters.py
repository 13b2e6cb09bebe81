"""The operator's door to a consumer's dead letters: list them, show one, replay it."""

from __future__ import annotations

from typing import Any

from orderhub_contracts.events.v1 import dead_letters_pb2 as pb
from orderhub_contracts.events.v1 import dead_letters_pb2_grpc
from orderhub_contracts.events.v1.records_pb2 import Record

from orderhub_chassis.calls import current_call
from orderhub_chassis.clock import rfc3339
from orderhub_chassis.consumer import Runner
from orderhub_chassis.cursors import Cursors, page_limit
from orderhub_chassis.db import Database
from orderhub_chassis.errors import Failure, uuid_field
from orderhub_chassis.replays import DeadLetterNotFound
from orderhub_chassis.telemetry import log

WITH_PARKED = """
select d.*, (select count(*) from dead_letters p where p.consumer = d.consumer and p.topic = d.topic
             and p.key = d.key and p.status = 'parked') as behind
from dead_letters d
"""
LIST = f"""{WITH_PARKED}
where ($1 = '' or d.status = $1) and d.seq < $2 and d.status <> 'parked'
order by d.seq desc limit $3
"""
ONE = f"{WITH_PARKED} where d.id = $1 and d.status <> 'parked'"
LAST = 2**62


class DeadLetterServicer(dead_letters_pb2_grpc.DeadLetterServiceServicer):  # type: ignore[misc]
    def __init__(self, db: Database, runner: Runner[Any], cursors: Cursors) -> None:
        self._db = db
        self._runner = runner
        self._cursors = cursors

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, context: Any
    ) -> pb.ListDeadLettersResponse:
        current_call.get().caller.need("operator")
        limit = page_limit(request.page.limit)
        scope = f"dead-letters:{self._db.service}:{request.status}"
        before = self._cursors.decode(scope, request.page.cursor)[0] if request.page.cursor else LAST
        rows = await self._db.fetch(LIST, request.status, before, limit + 1)
        following = self._cursors.encode(scope, [rows[limit - 1]["seq"]]) if len(rows) > limit else ""
        return pb.ListDeadLettersResponse(items=[_item(row) for row in rows[:limit]], next_cursor=following)

    async def GetDeadLetter(self, request: pb.GetDeadLetterRequest, context: Any) -> pb.DeadLetter:
        current_call.get().caller.need("operator")
        row = await self._db.fetchrow(ONE, uuid_field("/id", request.id))
        if row is None:
            raise DeadLetterNotFound(f"no dead letter {request.id}")
        return _item(row)

    async def ReplayDeadLetter(
        self, request: pb.ReplayDeadLetterRequest, context: Any
    ) -> pb.ReplayDeadLetterResponse:
        current_call.get().caller.need("operator")
        id = uuid_field("/id", request.id)
        try:
            applied, would_send = await self._runner.replay(id, dry_run=request.dry_run, force=request.force)
        except Failure:
            raise
        except Exception as error:  # noqa: BLE001 - the operator is told what the handler says today
            log("replays").warning("replay.failed", dead_letter=request.id, exc_info=error)
            return pb.ReplayDeadLetterResponse(error=f"{type(error).__name__}: {error}")
        return pb.ReplayDeadLetterResponse(applied=applied, would_send=would_send)


def _item(row: Any) -> pb.DeadLetter:
    return pb.DeadLetter(
        id=str(row["id"]), consumer=row["consumer"], topic=row["topic"], key=row["key"], message_id=row["message_id"],
        type=row["type"], reason=row["reason"], stack=row["stack"], attempts=row["attempts"], status=row["status"],
        created_at=rfc3339(row["created_at"]), parked_behind=row["behind"], replays=row["replays"],
        traceparent=Record.FromString(row["record"]).traceparent,
    )  # fmt: skip
