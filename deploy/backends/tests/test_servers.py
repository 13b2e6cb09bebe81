"""Each server does what it is here for, asked by a client that is not the tool's own probe."""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

import asyncpg
import pytest
import redis.asyncio
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from orderhub_backends import fetch
from orderhub_backends.control import Backends
from orderhub_backends.places import ROOT

pytestmark = pytest.mark.backends
Backend = Callable[[str], dict[str, str]]
Eventually = Callable[..., Awaitable[Any]]
SECONDS = 30.0


def asked(url: str, body: object = None, method: str = "", **headers: str) -> Any:
    """The decoded answer; `body` is sent as JSON, or as a form where it is bytes."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    if data is not None and not isinstance(body, bytes):
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, headers, method=method or None)
    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        content = response.read()
    return json.loads(content) if content else None


def produced(settings: dict[str, Any], topic: str, count: int) -> list[str]:
    """The errors of the deliveries of `count` messages that were acknowledged by all replicas in sync, or not."""
    errors: list[str] = []
    producer = Producer({**settings, "acks": "all", "message.timeout.ms": 60_000})
    for number in range(count):
        producer.produce(topic, str(number), on_delivery=lambda error, _: error and errors.append(str(error)))
    assert producer.flush(90) == 0
    return errors


def made_topic(settings: dict[str, Any]) -> str:
    topic = f"tool.{uuid4().hex}"
    admin = AdminClient(settings)  # held: with the client its pending answers go
    admin.create_topics([NewTopic(topic, 3)])[topic].result(SECONDS)
    return topic


def insync(settings: dict[str, Any], topic: str) -> set[int]:
    """How many replicas the partitions have that are in sync."""
    partitions = AdminClient(settings).list_topics(topic, timeout=SECONDS).topics[topic].partitions
    return {len(one.isrs) for one in partitions.values()}


@pytest.mark.breaking
async def test_the_cluster_survives_a_killed_broker_and_takes_it_back(
    breakable: Backends, eventually: Eventually
) -> None:
    list(breakable.up(["kafka"]))
    settings = {"bootstrap.servers": breakable.address("kafka")["servers"]}
    topic = made_topic(settings)
    assert insync(settings, topic) == {3}

    async def copies_are(count: int) -> bool:
        return await asyncio.to_thread(insync, settings, topic) == {count}

    breakable.kill("kafka-2")
    try:
        assert not breakable.is_running("kafka-2")
        assert produced(settings, topic, 50) == []
        await eventually(lambda: copies_are(2), within=60)
    finally:
        breakable.start("kafka-2")
    await eventually(lambda: copies_are(3), within=60)
    assert produced(settings, topic, 50) == []


def test_the_secure_broker_wants_the_password_and_a_known_authority(backend: Backend) -> None:
    place = backend("kafka-secure")
    settings = {
        "bootstrap.servers": place["servers"],
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": place["ca"],
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": place["user"],
        "sasl.password": place["password"],
        "log_level": 0,
    }
    assert produced(settings, made_topic(settings), 10) == []
    stranger = AdminClient({**settings, "sasl.password": "wrong"})
    with pytest.raises(KafkaException):
        stranger.list_topics(timeout=3)
    in_the_clear = AdminClient({"bootstrap.servers": place["servers"], "log_level": 0})
    with pytest.raises(KafkaException):
        in_the_clear.list_topics(timeout=3)


@pytest.mark.breaking
async def test_redis_keeps_its_data_over_a_restart(breakable: Backends) -> None:
    list(breakable.up(["redis"]))
    url, key = breakable.address("redis")["url"], f"tool:{uuid4().hex}"
    async with redis.asyncio.from_url(url) as client:
        await client.set(key, "kept")
    breakable.stop("redis")
    breakable.start("redis")
    async with redis.asyncio.from_url(url) as client:
        assert await client.get(key) == b"kept"
        await client.delete(key)


async def test_secure_redis_wants_its_password(backend: Backend) -> None:
    place = backend("redis-secure")
    async with redis.asyncio.from_url(place["url"], ssl_ca_certs=place["ca"]) as client:
        assert await client.ping()
    without = place["url"].partition("@")[2]
    async with redis.asyncio.from_url(f"rediss://{without}", ssl_ca_certs=place["ca"]) as client:
        with pytest.raises(redis.AuthenticationError):
            await client.ping()


async def test_postgres_speaks_tls_and_can_be_decoded(backend: Backend) -> None:
    place = backend("postgres15")
    connection = await asyncpg.connect(place["url"], ssl=ssl.create_default_context(cafile=place["ca"]))
    try:
        assert await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        assert await connection.fetchval("show wal_level") == "logical"
        assert connection.get_server_version().major == 15
    finally:
        await connection.close()


@pytest.mark.breaking
async def test_a_killed_postgres_comes_back_with_what_was_committed(breakable: Backends) -> None:
    list(breakable.up(["postgres15"]))
    url, table = breakable.address("postgres15")["url"], f"tool_{uuid4().hex}"
    connection = await asyncpg.connect(url)
    await connection.execute(f"create table {table} as select 7 as seven")
    breakable.kill("postgres15")
    connection.terminate()
    breakable.start("postgres15")
    connection = await asyncpg.connect(url)
    assert await connection.fetchval(f"select seven from {table}") == 7
    await connection.execute(f"drop table {table}")
    await connection.close()


async def test_the_pooler_gives_a_server_session_for_a_transaction_only(
    backend: Backend, eventually: Eventually
) -> None:
    """Thirty clients in one database share the pool's twenty sessions."""
    url = backend("pgbouncer")["url"]
    clients = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(30)]
    try:
        answers = await asyncio.gather(*(client.fetchval("select pg_backend_pid()") for client in clients))
        assert 1 <= len(set(answers)) <= 20
    finally:
        for client in clients:
            await client.close()


def test_stripe_mock_checks_requests(backend: Backend) -> None:
    url, key = f"{backend('stripe-mock')['url']}/v1/payment_intents", "Bearer sk_test_123"
    intent = asked(url, urlencode({"amount": 500, "currency": "eur"}).encode(), Authorization=key)
    assert intent["object"] == "payment_intent"
    with pytest.raises(urllib.error.HTTPError, match="400"):
        asked(url, urlencode({"amount": "much", "currency": "eur"}).encode(), Authorization=key)


async def test_toxiproxy_cuts_a_link(backend: Backend) -> None:
    api, name = f"{backend('toxiproxy')['url']}/proxies", f"tool-{uuid4().hex}"
    upstream = backend("redis")["url"].removeprefix("redis://").partition("/")[0]
    proxy = asked(api, {"name": name, "listen": "127.0.0.1:0", "upstream": upstream})
    try:
        async with redis.asyncio.from_url(f"redis://{proxy['listen']}/0") as client:
            assert await client.ping()
        asked(f"{api}/{name}", {"enabled": False})
        async with redis.asyncio.from_url(f"redis://{proxy['listen']}/0") as client:
            with pytest.raises(redis.ConnectionError):
                await client.ping()
    finally:
        asked(f"{api}/{name}", method="DELETE")


def test_keycloak_has_the_realms_of_the_project(backend: Backend) -> None:
    place = backend("keycloak")
    assert asked(f"{place['issuer']}/.well-known/openid-configuration")["issuer"] == place["issuer"]
    login = {"grant_type": "password", "client_id": "admin-cli", "username": place["user"]}
    form = urlencode({**login, "password": place["password"]}).encode()
    token = asked(f"{place['url']}/realms/master/protocol/openid-connect/token", form)["access_token"]
    realms = asked(f"{place['url']}/admin/realms", Authorization=f"Bearer {token}")
    wanted = {
        json.loads(path.read_text())["realm"] for path in (ROOT / "deploy" / "keycloak").glob("*-realm.json")
    }
    assert {realm["realm"] for realm in realms} >= wanted | {place["realm"]}


async def test_connect_carries_a_row_of_postgres_to_kafka(backend: Backend, eventually: Eventually) -> None:
    connect, name = backend("connect")["url"], f"tool_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(backend("postgres15")["url"])
    await connection.execute(f"create table {name} (id int primary key)")
    server = urlsplit(backend("postgres15")["url"])
    asked(
        f"{connect}/connectors",
        {
            "name": name,
            "config": {
                "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
                "plugin.name": "pgoutput",
                "database.hostname": "127.0.0.1",
                "database.port": str(server.port),
                "database.user": server.username,
                "database.password": server.password,
                "database.dbname": "postgres",
                "slot.name": name,
                "slot.drop.on.stop": "true",
                "publication.name": name,
                "publication.autocreate.mode": "filtered",
                "table.include.list": f"public.{name}",
                "topic.prefix": name,
                "topic.creation.default.partitions": "1",
                "topic.creation.default.replication.factor": "3",
                "key.converter": "org.apache.kafka.connect.json.JsonConverter",
                "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            },
        },
    )
    admin = AdminClient({"bootstrap.servers": backend("kafka")["servers"]})

    async def arrived() -> bool:
        topics = await asyncio.to_thread(lambda: admin.list_topics(timeout=SECONDS).topics)
        return f"{name}.public.{name}" in topics

    try:
        await connection.execute(f"insert into {name} values (1)")
        await eventually(arrived, within=120)
    finally:
        asked(f"{connect}/connectors/{name}", method="DELETE")
        await connection.execute(f"drop table {name}")
        await connection.close()


def test_jaeger_answers_questions(backend: Backend) -> None:
    assert "data" in asked(f"{backend('jaeger')['query']}/api/services")


async def test_prometheus_reads_the_exporters_and_knows_its_alertmanager(
    backend: Backend, eventually: Eventually
) -> None:
    url = backend("prometheus")["url"]

    def value(expression: str) -> list[str]:
        result = asked(f"{url}/api/v1/query?query={quote(expression)}")["data"]["result"]
        return [one["value"][1] for one in result]

    async def read() -> bool:
        return await asyncio.to_thread(value, "pg_up + on() redis_up") == ["2"]

    await eventually(read, within=60)
    managers = asked(f"{url}/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    assert [one["url"] for one in managers] == [f"{backend('alertmanager')['url']}/api/v2/alerts"]


def test_what_is_in_the_cache_is_not_brought_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_install", lambda pin, *_: pytest.fail(f"{pin.name} is brought again"))
    Backends().install()
    assert all(line.state == "running already" for line in Backends().up())
