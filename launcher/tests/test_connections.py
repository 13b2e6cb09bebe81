"""Two replicas of everything fit into a PostgreSQL as it comes, and the documents say how."""

from __future__ import annotations

from pathlib import Path

import pytest
from orderhub import connections

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.mark.parametrize("embedded_bus", [True, False])
def test_two_replicas_of_everything_fit_into_the_default_of_postgresql(embedded_bus: bool) -> None:
    planned = connections.total(connections.plan(2, embedded_bus=embedded_bus))
    assert planned <= connections.MAX_CONNECTIONS - connections.RESERVED


def test_with_kafka_every_service_may_have_one_more_while_it_is_replaced() -> None:
    planned = connections.total(connections.plan(3, embedded_bus=False))
    assert planned <= connections.MAX_CONNECTIONS - connections.RESERVED


def test_the_document_has_the_table_that_the_settings_give() -> None:
    assert connections.table() in OPERATIONS.read_text()
