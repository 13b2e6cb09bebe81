"""Every server that can be had, in the order in which they start: needs before those who need them."""

from __future__ import annotations

from ..room import Part
from . import connect, kafka, keycloak, peers, postgres, redis, watching

PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        kafka.KAFKA,
        redis.REDIS,
        redis.REDIS_SECURE,
        postgres.POSTGRES,
        postgres.PGBOUNCER,
        peers.STRIPE_MOCK,
        peers.TOXIPROXY,
        keycloak.KEYCLOAK,
        kafka.KAFKA_SECURE,
        kafka.KAFKA_SINGLE,
        connect.CONNECT,
        watching.JAEGER,
        watching.ALERTMANAGER,
        watching.POSTGRES_EXPORTER,
        watching.REDIS_EXPORTER,
        watching.PROMETHEUS,
    )
}
