"""The bus of an installation: its topics are made, and it is changed only when nothing is left on the former one."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

from orderhub_chassis.bus import identity
from orderhub_chassis.bus.base import TopicMismatch
from orderhub_chassis.errors import Unavailable
from orderhub_contracts import topics

from orderhub import settings, topology
from orderhub.exits import Refused
from orderhub.reach import Reach, connected

KAFKA: Final = "kafka"
"""Where runtime.json keeps the brokers."""
EMBEDDED: Final = "the embedded bus"
SENT: Final = """
select topic, sum(messages)::bigint as messages from (
    select topic, messages from outbox_totals union all select topic, count from outbox
    union all select topic, 1 from outbox_events
) s group by topic
"""
TAKEN: Final = """
select topic, sum(messages)::bigint as messages from (
    select topic, messages from inbox_totals where consumer = $1
    union all select topic, admitted from inbox where consumer = $1
) s group by topic
"""

AT_WORK: Final = "select exists (select from pg_stat_activity where datname = current_database() and application_name = $1)"


async def enter(reach: Reach) -> None:
    """Raises Refused: the brokers are away or have other topics, or messages are still on the former bus."""
    name = await _identity(reach)
    noted = await asyncio.gather(*(_noted(reach, database) for database in topology.WITH_OUTBOX))
    # Nothing was noted before buses could be changed: then messages are on the embedded one, if there are any.
    before = {one or (EMBEDDED if reach.kafka else name) for one in noted}
    if former := before - {name}:
        await _leave(reach, former, name)
    await _register(reach)


async def _leave(reach: Reach, former: set[str], name: str) -> None:
    left = await _left_behind(reach)
    if left or (reach.live and former != {EMBEDDED}):
        what = (
            f"{left} are not taken yet: start with the former one, and stop when nothing is left"
            if left
            else "stop it first"
        )
        raise Refused(
            f"ORDERHUB_BUS: messages are on {', '.join(sorted(former))}, and it names {name} now: {what}"
        )
    if busy := await _at_work(reach):
        raise Refused(
            f"ORDERHUB_BUS: it names {name} now, and these services still send to {', '.join(sorted(former))}: {busy};"
            " stop them first (a pooler may keep their sessions for some minutes)"
        )
    for database in topology.WITH_OUTBOX:
        async with connected(reach.dsn(database)) as connection:
            await identity.note(connection, name)


async def _at_work(reach: Reach) -> str:
    """The services with sessions in their databases, wherever they run; who has no session reads the note when it starts."""
    found = []
    for database in topology.WITH_OUTBOX:
        async with connected(reach.dsn(database)) as connection:
            if await connection.fetchval(AT_WORK, database.replace("_", "-")):
                found.append(database.removeprefix("orderhub_"))
    return ", ".join(found)


async def _register(reach: Reach) -> None:
    """With change data capture, who reads the log has to be there before the first message."""
    chosen = settings.loaded()
    if reach.kafka and chosen.relay == "cdc":
        from orderhub import connectors

        await connectors.register(reach, chosen)


async def _identity(reach: Reach) -> str:
    if not reach.kafka:
        async with connected(reach.dsn(topology.BUS_DATABASE)) as connection:
            return identity.embedded(await connection.fetchval(identity.EMBEDDED))
    from orderhub_chassis.bus.kafka.bus import KafkaBus
    from orderhub_chassis.bus.kafka.cluster import Cluster

    try:
        async with KafkaBus.open(Cluster.of(reach.kafka, settings.loaded()), "orderhub-migrate") as bus:
            return identity.name(bus, settings.loaded().relay)
    except (TopicMismatch, Unavailable) as error:
        raise Refused(f"ORDERHUB_BUS: {error}") from error


async def _noted(reach: Reach, database: str) -> str | None:
    async with connected(reach.dsn(database)) as connection:
        return await identity.noted(connection)


async def _left_behind(reach: Reach) -> str:
    """What has been sent and not been taken, in words; empty where all is."""
    sent: Counter[str] = Counter()
    for database in topology.WITH_OUTBOX:
        async with connected(reach.dsn(database)) as connection:
            sent.update({row["topic"]: row["messages"] for row in await connection.fetch(SENT)})
    found = []
    for group, read in topics.READERS.items():
        async with connected(reach.dsn(f"orderhub_{group}")) as connection:
            taken = {row["topic"]: row["messages"] for row in await connection.fetch(TAKEN, group)}
        found += [
            f"{count} of {topic.name} for {group}"
            for topic in read
            if (count := sent[topic.name] - taken.get(topic.name, 0)) > 0
        ]
    return ", ".join(found)
