"""The launcher's own way into the running services: gRPC with an internal token, signed by the folder's key.

For what the product's public doors do not offer yet or offer to operators alone: vendors, users, imports.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any, Final

from orderhub_chassis.calls import Call, Caller, InternalTokens, current_call
from orderhub_chassis.clock import SystemClock
from orderhub_chassis.errors import Failure
from orderhub_chassis.grpc import client
from orderhub_contracts.auth.v1 import auth_pb2_grpc
from orderhub_contracts.inventory.v1 import inventory_pb2_grpc

from orderhub import control, environment, home, settings
from orderhub.exits import Exit, Refused

LAUNCHER: Final = Caller(user_id="service:launcher", roles=frozenset({"service", "operator"}))
CALL: Final = Call(caller=LAUNCHER)


class Inside:
    """Channels to the services by name; stubs for those that the launcher talks to."""

    def __init__(self, peers: Mapping[str, client.Peer]) -> None:
        if missing := [name for name in ("auth", "inventory") if name not in peers]:
            raise Refused(f"ORDERHUB_GATEWAY_{missing[0].upper()}_ADDRESS: is required", Exit.USAGE)
        self._peers = peers
        self.auth: Any = auth_pb2_grpc.AuthServiceStub(peers["auth"].channel)
        self.inventory: Any = inventory_pb2_grpc.InventoryServiceStub(peers["inventory"].channel)

    def peer(self, service: str) -> client.Peer:
        return self._peers[service]

    async def call(self, service: str, method: Any, request: Any, *, timeout: float = 30) -> Any:
        """Raises Refused with what the service said."""
        try:
            return await self._peers[service].call(method, request, timeout=timeout, call=CALL)
        except Failure as failure:
            raise Refused(f"{service}: {failure.detail}") from failure

    async def stream(self, service: str, method: Any, request: Any, *, timeout: float) -> AsyncIterator[Any]:
        """Raises Refused with what the service said."""
        current_call.set(CALL)
        try:
            async for item in self._peers[service].stream(method, request, timeout=timeout):
                yield item
        except Failure as failure:
            raise Refused(f"{service}: {failure.detail}") from failure


@contextlib.asynccontextmanager
async def connected(place: home.Home, addresses: Mapping[str, str]) -> AsyncIterator[Inside]:
    """`addresses` as in runtime.json."""
    tokens = InternalTokens(_internal_key(place), SystemClock())
    async with contextlib.AsyncExitStack() as stack:
        peers = {
            name.removesuffix(".grpc"): await stack.enter_async_context(
                client.connect(address, tokens, timedelta(seconds=30))
            )
            for name, address in addresses.items()
            if name.endswith(".grpc")
        }
        yield Inside(peers)


@contextlib.asynccontextmanager
async def running(place: home.Home) -> AsyncIterator[Inside]:
    """Into the installation that runs in this folder, or else the one that the gateway's variables name: what an
    operator's container has. Refused when there is neither.
    """
    named = environment.peers_given(settings.given()) if place.runtime() is None else {}
    async with connected(place, named or control.required(place).addresses) as inside:
        yield inside


def _internal_key(place: home.Home) -> str:
    known = environment.secrets_wanted(settings.given(), place.secrets())
    if "internal_key" not in known:
        raise Refused("ORDERHUB_INTERNAL_KEY: is required", Exit.USAGE)
    return known["internal_key"]
