"""A running auth on a database of its own, for all of these tests."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from orderhub_auth.app import build
from orderhub_auth.settings import Settings
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.db import Database
from orderhub_chassis.grpc import client
from orderhub_chassis.service import Surroundings
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub

sys.path.insert(0, str(Path(__file__).parent))


@dataclass(frozen=True)
class Opened:
    """What a test needs of it: a client, its stub, its clock and its database."""

    peer: client.Peer
    stub: AuthServiceStub
    clock: ManualClock
    db: Database


@pytest.fixture
async def settings(make_settings: Callable[..., Awaitable[Settings]]) -> Settings:
    """The cheapest hashes that Argon2 takes, and no waiting after wrong passwords."""
    weak: dict[str, Any] = {"argon2_memory_kib": 8, "argon2_passes": 1}
    weak |= {f"wrong_passwords_per_{what}": 1000 for what in ("place", "account", "address")}
    return await make_settings(Settings, "orderhub_auth", key_encryption_key="k" * 40, **weak)


@pytest.fixture
async def opened(settings: Settings) -> AsyncIterator[Opened]:
    clock = ManualClock()
    async with build(settings, Surroundings(clock=clock)) as service:
        address, tokens = f"127.0.0.1:{service.grpc_port}", service.chassis.tokens
        async with client.connect(address, tokens, timedelta(seconds=10)) as peer:
            yield Opened(peer, AuthServiceStub(peer.channel), clock, service.chassis.db)
