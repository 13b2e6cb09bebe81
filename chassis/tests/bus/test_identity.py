"""A service goes on only with the bus that its messages are on."""

from __future__ import annotations

import pytest
from orderhub_chassis.bus import identity
from orderhub_chassis.bus.base import OtherBus
from orderhub_chassis.bus.kafka.cluster import Cluster
from orderhub_chassis.bus.postgres import PostgresBus
from orderhub_chassis.db import Database
from orderhub_chassis.settings import KafkaSettings, SettingsError


async def test_the_first_bus_is_noted_and_another_one_refused(make_database):
    async with Database.open(await make_database("orderhub_chassis"), service="payments") as db:
        await identity.require(db, "Kafka abc/")
        await identity.require(db, "Kafka abc/")
        with pytest.raises(
            OtherBus, match="payments: its messages are on Kafka abc/, and ORDERHUB_BUS names Kafka abc/test"
        ):
            await identity.require(db, "Kafka abc/test")
        async with db.connection() as connection:
            assert await identity.noted(connection) == "Kafka abc/"
            await identity.note(connection, "Kafka abc/test")
        await identity.require(db, "Kafka abc/test")


async def test_two_embedded_buses_are_told_apart(make_database):
    names = set()
    for _ in range(2):
        url = await make_database("orderhub_chassis.bus")
        async with Database.open(url, service="bus") as db:
            await db.execute("update identity set bus = gen_random_uuid()")  # tests copy one template
            async with PostgresBus.open(db) as bus, PostgresBus.open(db) as again:
                assert bus.identity == again.identity
                names.add(bus.identity)
    assert len(names) == 2


def test_what_the_client_library_cannot_work_with_is_a_mistake_in_the_settings(tmp_path):
    empty = tmp_path / "ca.pem"
    empty.write_text("no certificate")
    wrong = KafkaSettings(kafka_security="ssl", kafka_ca=str(empty))
    with pytest.raises(SettingsError, match=r"^ORDERHUB_KAFKA_"):
        Cluster.of("kafka://127.0.0.1:1", wrong).admin()
