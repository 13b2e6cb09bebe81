"""A settled product for tests that look at its data: made once per run on the shared PostgreSQL, whoever comes first."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from orderhub import environment

sys.path.insert(0, str(Path(__file__).parent))

from product import Product

LOCK = 713
MIX = "happy,declined,cancel,flaky,timeout"


@pytest.fixture(scope="session")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """URLs of the databases of a product that has settled orders of every kind, and is stopped."""
    server = os.environ["ORDERHUB_TEST_POSTGRES"]
    asyncio.run(_made_once(server, tmp_path_factory.mktemp("settled")))
    return environment.on_server(server)


async def _made_once(server: str, folder: Path) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        if not await connection.fetchval("select 1 from pg_database where datname = 'settled_is_complete'"):
            await asyncio.to_thread(_make, server, folder / "home")
            await connection.execute("create database settled_is_complete")
    finally:
        await connection.close()


def _make(server: str, folder: Path) -> None:
    with Product(folder, extra={"ORDERHUB_DATABASE_URL": server}) as product:
        found = product.json(
            "load",
            "--orders",
            "30",
            "--rate",
            "30",
            "--mix",
            MIX,
            "--deliver",
            "--customers",
            "3",
            "--seed",
            "7",
        )
        assert found["good"], found
        for sku in ("SNAKE-CORN-0417", "SNAKE-CORN-0423", "GOOD-UVB-36", "FROG-DART-4"):
            order = product.json("order", "place", "--sku", sku, "--ship-to", "DE", "--wait", "20")
            assert order["status"] == "CONFIRMED", order
