"""`orderhub up`: the whole product in one folder, from the first byte to a clean stop.

Starts the parts in their order, shows each, watches them, and stops them in the reverse order.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orderhub import children, embedded, environment, home, ports, probe, programs, topology
from orderhub.exits import Exit, Refused
from orderhub.output import Output
from orderhub.topology import Processes

if TYPE_CHECKING:
    from orderhub.settings import Settings

READY_WITHIN = 60.0
WATCH_SECONDS = 0.5
BROKEN_WITHIN = 2.0


@dataclass(frozen=True)
class Wishes:
    """What the command line said; None leaves it to the settings."""

    path: Path | None = None
    port: int | None = None
    processes: Processes | None = None


def run(wishes: Wishes, out: Output) -> Exit:
    """Blocks until a signal, or until a part is lost. Raises Refused with one line when it cannot start."""
    try:
        with home.opened(wishes.path) as place:
            return asyncio.run(_run(place, wishes, out))
    except (ports.PortRefused, embedded.StartRefused) as error:
        raise Refused(str(error)) from error


async def _run(place: home.Home, wishes: Wishes, out: Output) -> Exit:
    stop = _signals()
    launch = Launch(place, wishes, out)
    work = asyncio.ensure_future(launch.run())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not work.done():
        out.say("Stopping: services, simulator, Redis, PostgreSQL (again to end at once)")
        work.cancel()
    try:
        await asyncio.wait({work})
    finally:
        await launch.close()
    if work.cancelled():
        return Exit.DONE if launch.was_up else Exit.INTERRUPTED
    return work.result()


def _signals() -> asyncio.Event:
    """Set by the first signal; the second ends this process at once, and the kernel its children."""
    stop = asyncio.Event()

    def received() -> None:
        if stop.is_set():
            os._exit(Exit.INTERRUPTED)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, received)
    return stop


class Launch:
    """One run of the product: what has been started so far, and how it is stopped."""

    def __init__(self, place: home.Home, wishes: Wishes, out: Output) -> None:
        self._place = place
        self._wishes = wishes
        self._out = out
        self._began = time.monotonic()
        self._started_at = datetime.now(UTC).isoformat()
        self._first_time = not place.is_initialised
        self._postgres: asyncio.Future[embedded.Postgres] | None = None
        self._redis: asyncio.Future[embedded.Redis] | None = None
        self._children = children.Supervisor(self._on_exit)
        self._starting = True
        self.was_up = False
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._noted: dict[str, int] = {}

    async def run(self) -> Exit:
        """Start everything, then watch it until it is lost."""
        self._close_gates()
        programs.put_logs_aside(self._place.logs)
        self._out.say(f"OrderHub {version('orderhub')} in {self._place.path}")
        if notice := self._place.socket_notice():
            self._out.say(f"  {notice}")
        await self._children.__aenter__()
        from orderhub import settings as launcher_settings

        settings, given = launcher_settings.loaded(), launcher_settings.given()
        self._place.keep_secrets(environment.secrets_wanted(given, self._place.secrets()))
        chosen = environment.choose_ports(self._wishes.port or settings.port)
        await self._require_servers(settings)
        servers = await self._start_servers(settings)
        variables = environment.of_services(self._place.secret, servers, chosen, self._place.ready, given)
        if settings.is_demo:
            variables[environment.MAILBOX] = str(self._place.mailbox)
        if unused := environment.unused(variables, given):
            self._out.warn(f"not used, since `up` decides it: {', '.join(unused)}")
        await self._start_services(variables, self._wishes.processes or settings.processes)
        await self._unless_broken(self._prepare_databases(servers))
        await self._children.start(programs.simulator(variables, self._place.logs))
        await self._unless_broken(self._until_all_ready(chosen))
        self._tell_unknown(given)
        await self._unless_broken(self._set_up_demo(chosen))
        await self._unless_broken(self._open_gate(chosen))
        self._note(servers, chosen)
        self._starting, self.was_up = False, True
        self._greet(chosen)
        return await self._watch(servers, chosen)

    async def _unless_broken(self, step: Coroutine[Any, Any, None]) -> None:
        """A part that ends while everything starts is the reason, not what fails next because of it."""
        task = asyncio.ensure_future(step)
        try:
            await asyncio.wait({task, self._broken}, return_when=asyncio.FIRST_COMPLETED)
            if task.done() and task.exception() is not None:  # a process that is ending may not be gone yet
                await asyncio.wait({self._broken}, timeout=BROKEN_WITHIN)
            if self._broken.done():
                self._broken.result()
            await task
        finally:
            task.cancel()

    async def _require_servers(self, settings: Settings) -> None:
        if settings.database_url or settings.redis_url or settings.kafka:
            from orderhub import servers

            await servers.require(settings)

    async def _start_servers(self, settings: Settings) -> environment.Servers:
        """PostgreSQL and Redis at once, unless the settings name others."""
        if settings.database_url is None:
            self._postgres = self._server("PostgreSQL", lambda: embedded.start_postgres(self._place.postgres))
        if settings.redis_url is None:
            self._redis = self._server("Redis", lambda: embedded.start_redis(self._place.redis))
        await _first_failure([server for server in (self._postgres, self._redis) if server])
        dsn = (
            environment.on_server(settings.database_url.get_secret_value()) if settings.database_url else None
        )
        url = settings.redis_url.get_secret_value() if settings.redis_url else None
        return environment.Servers(
            dsn or _result(self._postgres).dsn,
            url if url is not None else _result(self._redis).url(),
            settings.kafka,
        )

    def _server(self, name: str, start: Callable[[], Any]) -> asyncio.Future[Any]:
        async def started() -> Any:
            with self._out.step(name) as details:
                server = await asyncio.to_thread(start)
                details.append(f"pid {server.pid}")
            return server

        return asyncio.ensure_future(started())

    async def _prepare_databases(self, servers: environment.Servers) -> None:
        from orderhub import databases
        from orderhub.reach import Reach

        with self._out.step("databases") as details:
            reach = Reach(servers.dsn, False, servers.kafka)
            created = await databases.ensure(reach)
            applied = sum(map(len, (await databases.migrate(reach)).values()))
            await databases.forget_the_dead(reach)
            self._place.migrated.touch()
            details += [f"{len(created)} created"] * bool(created) + [f"{applied} migrations"] * bool(applied)

    async def _start_services(self, variables: dict[str, str], processes: Processes) -> None:
        """They load their code, which takes longest of all, while the databases are prepared."""
        place = self._place
        for program in programs.services(variables, processes, place.logs, after=place.migrated):
            await self._children.start(program)

    async def _until_all_ready(self, chosen: environment.Ports) -> None:
        with self._out.step("services") as details:
            for name, url in chosen.addresses().items():
                if name == topology.SIMULATOR or name.endswith(".health"):
                    await self._until_ready(url)
            details.append(", ".join(f"{name} (pid {pid})" for name, pid in self._children.pids.items()))

    def _tell_unknown(self, given: Mapping[str, str]) -> None:
        """Only now, since it loads the settings of all services, and those who start have had the processor."""
        from orderhub import configuration

        if names := configuration.unknown(given):
            self._out.warn(f"not used, since no part reads it: {', '.join(names)}")

    def _close_gates(self) -> None:
        self._place.ready.unlink(missing_ok=True)
        self._place.migrated.unlink(missing_ok=True)

    async def _until_ready(self, url: str, *, within: float = READY_WITHIN) -> None:
        until = time.monotonic() + within
        while (reasons := await probe.readiness(url)) != {}:
            if time.monotonic() > until:
                raise Refused(f"{url} is not ready after {within:.0f} s: {reasons or 'no answer'}")
            await asyncio.sleep(0.02)

    async def _set_up_demo(self, chosen: environment.Ports) -> None:
        from orderhub import demo

        with self._out.step("demo data") as details:
            details.append(await demo.set_up(self._place, chosen, first_time=self._first_time))

    async def _open_gate(self, chosen: environment.Ports) -> None:
        with self._out.step("gateway"):
            self._place.ready.write_text("ready\n")
            await self._until_ready(chosen.addresses()["gateway"])
        if self._first_time:
            self._place.mark_initialised()

    def _note(self, servers: environment.Servers, chosen: environment.Ports) -> None:
        """Write down what runs where, for the other commands; again whenever a process came back."""
        pids = {**self._server_pids(), **self._children.pids}
        if pids == self._noted:
            return
        names = (*topology.databases(servers.kafka), environment.ADMINISTRATION)
        urls = {name: servers.dsn(name) for name in names} | {"redis": servers.redis_url}
        urls |= {"kafka": servers.kafka} if servers.kafka else {}
        self._place.write_runtime(home.Runtime(os.getpid(), self._started_at, pids, chosen.addresses(), urls))
        self._noted = pids

    def _server_pids(self) -> dict[str, int]:
        servers = {"postgres": self._postgres, "redis": self._redis}
        return {name: server.result().pid for name, server in servers.items() if server is not None}

    def _greet(self, chosen: environment.Ports) -> None:
        url = chosen.addresses()["gateway"]
        seconds = time.monotonic() - self._began
        if self._out.as_json:
            self._out.say(
                "up", url=url, docs=f"{url}/docs", seconds=round(seconds, 3), demo=str(self._place.demo)
            )
            return
        self._out.say(f"\nOrderHub is up in {seconds:.1f} s.\n")
        self._out.say(f"  API        {url}/api/v1\n  Docs       {url}/docs\n  Demo users {self._place.demo}")
        self._out.say(
            f"  Try        curl -s '{url}/api/v1/products?limit=3'\n\nCtrl-C stops everything cleanly."
        )

    async def _watch(self, servers: environment.Servers, chosen: environment.Ports) -> Exit:
        """Until a part is lost for good; then there is no product any more, and the rest stops in order."""
        lost = asyncio.ensure_future(self._children.lost())
        try:
            while not lost.done():
                await asyncio.wait({lost}, timeout=WATCH_SECONDS)
                self._check_servers()
                self._note(servers, chosen)
            raise Refused(f"{lost.result()}: it died too often, everything stops")
        finally:
            lost.cancel()

    def _check_servers(self) -> None:
        for name, server in (("PostgreSQL", self._postgres), ("Redis", self._redis)):
            if server is not None and server.result().child.exit_code() is not None:
                log = server.result().child.program.log
                raise Refused(f"{name} ended by itself, everything stops; its log is {log}")

    def _on_exit(self, exit_: children.Exit, comes_back: bool) -> None:
        if self._starting and not self._broken.done():
            self._broken.set_exception(programs.why(exit_))
        elif not self._starting:
            self._out.warn(f"{exit_}; {'it is started again' if comes_back else 'it died too often'}")

    async def close(self) -> None:
        """Stop in order: the gateway's process, the other services, the simulator, then Redis and PostgreSQL."""
        self._starting = False
        self._broken.cancel()
        self._close_gates()
        for together in programs.stop_order(list(self._children.pids)):
            await asyncio.gather(*(self._children.stop(name) for name in together))
        await self._children.stop_all()
        await asyncio.gather(*(_stop_server(server) for server in (self._redis, self._postgres) if server))
        self._place.forget_runtime()
        if not self._place.is_initialised:  # nobody has ordered anything yet, and half of it is of no use
            self._place.wipe(logs=False)
        self._out.say("Stopped.")


async def _first_failure(work: list[Any]) -> None:
    """Wait for all; the first to fail raises, and the others are left to `close`."""
    await asyncio.gather(*(asyncio.shield(asyncio.ensure_future(one)) for one in work))


async def _stop_server(server: asyncio.Future[Any]) -> None:
    """Also one that is just starting: it is waited for, since a thread cannot be called back."""
    await asyncio.wait({server})
    if not server.cancelled() and server.exception() is None:
        await asyncio.to_thread(server.result().stop)


def _result(future: asyncio.Future[Any] | None) -> Any:
    assert future is not None
    return future.result()
