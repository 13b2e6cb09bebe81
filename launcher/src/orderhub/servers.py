"""The servers that the user names instead of the embedded ones: all have to answer before anything is started.

A product whose Redis never answers would come up, and refuse every login.
"""

from __future__ import annotations

from typing import Final

from orderhub_chassis.errors import Unavailable
from redis import RedisError
from redis import asyncio as redis

from orderhub import environment, reach
from orderhub.exits import Refused
from orderhub.settings import Settings

SECONDS: Final = 10.0


async def require(settings: Settings) -> None:
    """Raises Refused with one line that names the variable."""
    if settings.database_url:
        dsn = environment.on_server(settings.database_url.get_secret_value())
        async with reach.connected(dsn(environment.ADMINISTRATION)):
            pass
    if settings.redis_url:
        await _ping(settings.redis_url.get_secret_value())
    if settings.kafka:
        await _ask_brokers(settings)


async def _ask_brokers(settings: Settings) -> None:
    from orderhub_chassis.bus.kafka.cluster import ANSWER_SECONDS, Cluster

    brokers = Cluster.of(settings.kafka, settings).admin()
    try:
        await brokers.ask(lambda client: client.list_topics(timeout=ANSWER_SECONDS))
    except Unavailable as error:
        raise Refused(f"ORDERHUB_BUS: the brokers cannot be reached: {error.detail}") from error


async def _ping(url: str) -> None:
    client = redis.from_url(url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS)
    try:
        await client.ping()
    except (OSError, RedisError) as error:
        raise Refused(f"ORDERHUB_REDIS_URL: Redis cannot be reached: {error}") from error
    finally:
        await client.aclose()
