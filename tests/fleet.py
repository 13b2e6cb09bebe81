"""Every service as several processes of its own, started one by one as on servers: replicas that share the databases,
the bus and Redis, know their peers by several addresses, and can be restarted one after another."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
from installation import START_SECONDS, Installation, parents
from orderhub import children, databases, demo, embedded, environment, home, ports, probe, programs, topology
from orderhub.reach import Reach
from orderhub_chassis.settings import KAFKA

REPLICAS = 2


@contextlib.contextmanager
def _told(variables: Mapping[str, str]) -> Iterator[None]:
    """What is done here and not in a process of its own is told the same."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


PEERS = tuple(name for name in topology.NAMES if name != "gateway")


@dataclass
class Fleet(Installation):
    """`extra` goes to every process; PostgreSQL and Redis are those that it names, else some of the fleet's own.

    `replica_extra` is for one replica by its name (`orders-2`); names count from 1.
    """

    replica_extra: dict[str, Mapping[str, str]] = field(default_factory=dict)
    children: dict[str, children.Child] = field(default_factory=dict)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _ports: list[environment.Ports] = field(default_factory=list)
    _used: environment.Servers | None = None
    _pids: dict[str, int] = field(default_factory=dict)
    _begun: bool = False

    @property
    def urls(self) -> list[str]:
        return [f"http://{ports.LOOPBACK}:{chosen.gateway}" for chosen in self._ports]

    @property
    def is_started(self) -> bool:
        return self._begun

    # --- life ---

    def start(self) -> None:
        self._begun = True
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        place = self._stack.enter_context(home.opened(self.folder))
        self._used = self._servers()
        self._ports = [self._chosen(i) for i in range(REPLICAS)]
        self._prepare_databases()
        programs_ = [self._program(name, i) for i in range(REPLICAS) for name in topology.NAMES]
        simulator = programs.simulator(self.variables(0), place.logs)
        for program in (simulator, *programs_):
            self.children[program.name] = children.start(program)
        self._until_ready(*(url for name, url in self.addresses().items() if ".health" in name))
        asyncio.run(demo.set_up(place, self._ports[0], first_time=True))
        place.ready.write_text("ready\n")
        self._until_ready(*self.urls)
        place.mark_initialised()
        self._note()

    def _servers(self) -> environment.Servers:
        url, bus = self.extra.get("ORDERHUB_DATABASE_URL"), self.extra.get("ORDERHUB_BUS", "")
        dsn = environment.on_server(url) if url else self._own_postgres()
        redis = self.extra.get("ORDERHUB_REDIS_URL") or self._own_redis()
        return environment.Servers(dsn, redis, bus if bus.startswith(KAFKA) else "")

    def _own_postgres(self) -> environment.Dsn:
        postgres = embedded.start_postgres(self.place.postgres, settings={"max_connections": "400"})
        self._stack.callback(postgres.stop)
        self._pids["postgres"] = postgres.pid
        return postgres.dsn

    def _own_redis(self) -> str:
        redis = embedded.start_redis(self.place.redis)
        self._stack.callback(redis.stop)
        self._pids["redis"] = redis.pid
        return redis.url()

    def _prepare_databases(self) -> None:
        assert self._used is not None
        reach = Reach(self._used.dsn, False, self._used.kafka)
        with _told(self.extra):
            asyncio.run(databases.ensure(reach))
            asyncio.run(databases.migrate(reach))

    def _chosen(self, number: int) -> environment.Ports:
        return environment.choose_ports(self.port if number == 0 else ports.free_port())

    def variables(self, number: int) -> dict[str, str]:
        """What the replicas with this number are told: ports of their own, everybody's addresses."""
        assert self._used is not None
        place = self.place
        told = environment.of_services(place.secret, self._used, self._ports[number], place.ready, {})
        told |= environment.of_services(place.secret, self._used, self._ports[0], place.ready, {}) | {
            name: value for name, value in told.items() if name.endswith(("GRPC_PORT", "HTTP_PORT"))
        }
        for peer in PEERS:
            addresses = ",".join(f"{ports.LOOPBACK}:{chosen.grpc[peer]}" for chosen in self._ports)
            told |= {f"ORDERHUB_{name.upper()}_{peer.upper()}_ADDRESS": addresses for name in topology.NAMES}
        return {**told, "ORDERHUB_GATEWAY_PORT": str(self._ports[number].gateway)}

    def _program(self, service: str, number: int) -> children.Program:
        name = f"{service}-{number + 1}"
        told = {**self.environment, **self.variables(number), "ORDERHUB_INSTANCE": name}
        return children.Program(
            name, [*programs.MODULE, "orderhub", "run", service], self.place.logs / f"{name}.log",
            env={**told, **self.replica_extra.get(name, {})}, stops=programs.SERVICE_STOPS,
        )  # fmt: skip

    def addresses(self) -> dict[str, str]:
        """As `up` notes them, with those of the other replicas; a peer's gRPC is at all of its addresses."""
        found = dict(self._ports[0].addresses())
        for number, chosen in enumerate(self._ports[1:], 2):
            for name, address in chosen.addresses().items():
                service, _, what = name.partition(".")
                if what == "grpc":
                    found[name] = f"{found[name]},{address}"
                elif name != topology.SIMULATOR:
                    found[f"{service}-{number}{what and f'.{what}'}"] = address
        return found

    def _until_ready(self, *urls: str) -> None:
        for url in urls:
            self.until(lambda url=url: self._is_ready(url), START_SECONDS)

    def _is_ready(self, url: str) -> bool:
        for name, child in self.children.items():
            code = child.exit_code()
            assert code is None, f"{name} ended with {code}: {children.last_lines(child.program.log)}"
        return asyncio.run(probe.readiness(url)) == {}

    def _note(self) -> None:
        assert self._used is not None
        pids = self._pids | {name: child.pid for name, child in self.children.items()}
        names = (*topology.databases(self._used.kafka), environment.ADMINISTRATION)
        urls = {name: self._used.dsn(name) for name in names} | {"redis": self._used.redis_url}
        urls |= {"kafka": self._used.kafka} if self._used.kafka else {}
        started = datetime.now(UTC).isoformat()
        self.place.write_runtime(home.Runtime(os.getpid(), started, pids, self.addresses(), urls))

    def restart(self, name: str) -> None:
        """Stop one replica in order, start it anew under its name, and wait until it is ready."""
        self.stop_replica(name)
        self.begin(name)

    def kill(self, name: str) -> None:
        """`kill -9` of one replica; it is gone at return."""
        child = self.children.pop(name)
        child.send(signal.SIGKILL)
        child.wait()

    def begin(self, name: str) -> None:
        """Start a replica that was stopped or killed, and wait until it is ready."""
        self.children[name] = children.start(self._program(*self._of(name)))
        self._until_ready(self._probed(name))
        self._note()

    def stop_replica(self, name: str) -> None:
        child = self.children.pop(name)
        code = child.stop()
        assert code == 0, f"{name} ended with {code}: {children.last_lines(child.program.log)}"

    @staticmethod
    def _of(name: str) -> tuple[str, int]:
        service, _, number = name.partition("-")
        return service, int(number) - 1

    def _probed(self, name: str) -> str:
        service, number = self._of(name)
        chosen = self._ports[number]
        return self.urls[number] if service == "gateway" else chosen.addresses()[f"{service}.health"]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """All in order: gateways, services, simulator, servers. Each replica has to end with 0."""
        assert number is signal.SIGTERM
        order = [f"{name}-{i + 1}" for name in reversed(topology.NAMES) for i in range(REPLICAS)]
        try:
            for name in [*order, topology.SIMULATOR]:
                if name in self.children:
                    self.stop_replica(name)
        finally:
            for child in self.children.values():
                child.send(signal.SIGKILL)
            self.place.forget_runtime()
            self._stack.close()
            self._begun = False
        return 0

    def family(self) -> set[int]:
        heads = {*self._pids.values(), *(child.pid for child in self.children.values())}
        return heads | {pid for pid, parent in parents() if parent in heads}

    def ports(self) -> set[int]:
        found = [
            address
            for joined in (self.addresses() if self._ports else {}).values()
            for address in joined.split(",")
        ]
        return {int(address.rpartition(":")[2]) for address in found}

    def pids(self, service: str) -> list[int]:
        """Of all replicas of a service."""
        return [pid for name, pid in self.runtime.pids.items() if name.partition("-")[0] == service]

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        pids = self.pids(name)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


class InTurn(httpx.AsyncBaseTransport):
    """Each request to a gateway goes to the next of them, as behind a load balancer; others go where they are sent."""

    def __init__(self, urls: list[str], inner: httpx.AsyncBaseTransport) -> None:
        self._gateways, self._inner, self._numbers = [httpx.URL(url) for url in urls], inner, count()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if any(request.url.netloc == gateway.netloc for gateway in self._gateways):
            chosen = self._gateways[next(self._numbers) % len(self._gateways)]
            request.url = request.url.copy_with(host=chosen.host, port=chosen.port)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Any:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._inner.__aexit__(*error)
