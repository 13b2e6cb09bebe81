"""Codes land in files where all parts are our own, and nowhere else."""

from __future__ import annotations

import pytest
from orderhub.settings import Settings


@pytest.mark.parametrize(
    ("given", "is_demo"),
    [
        ({}, True),
        ({"database_url": "postgresql://db.example/postgres"}, False),
        ({"redis_url": "redis://cache.example:6379"}, False),
        ({"bus": "kafka://broker.example:9092"}, False),
        ({"bus": "postgresql://here.example/bus"}, True),
    ],
    ids=["own parts", "a database", "a redis", "brokers", "a bus that up decides"],
)
def test_a_demo_has_no_part_of_anybody_else(given: dict[str, str], is_demo: bool) -> None:
    assert Settings(**given).is_demo is is_demo
