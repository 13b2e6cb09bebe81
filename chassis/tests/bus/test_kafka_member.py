"""A member of a Kafka group whose thread ends, which needs no broker to be seen."""

from __future__ import annotations

import pytest
from orderhub_chassis.bus.kafka.cluster import Cluster
from orderhub_chassis.bus.kafka.member import KafkaConsumer
from orderhub_contracts import topics
from structlog.testing import capture_logs


async def test_a_member_whose_thread_dies_says_why_and_fails_whoever_polls(monkeypatch):
    def broken(_):
        raise LookupError("a bug")

    monkeypatch.setattr(KafkaConsumer, "_round", broken)
    member = KafkaConsumer(Cluster("127.0.0.1:9"), "group", "m", [topics.PAYMENTS_COMMANDS])
    with capture_logs() as logs:
        member.join()
        with pytest.raises(LookupError, match="a bug"):
            await member.poll(10, timeout=30)
        await member.leave()
    [died] = [line for line in logs if line["event"] == "bus.member_died"]
    assert (died["member"], str(died["exc_info"])) == ("m", "a bug")
