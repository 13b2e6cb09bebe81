"""The built images serve: every service by its own command to /readyz, and one order through all of them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import asyncpg
import compose
import engine
import httpx
import pytest
from engine import Container, Running
from orderhub import embedded, environment, home, ports, probe, topology
from orderhub.exits import Exit
from shop import SETTLED, an_order

pytestmark = [pytest.mark.backends, pytest.mark.xdist_group("images")]

SKU = "FISH-GUPPY-6"
READY_SECONDS = 120.0


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Postgres]:
    with embedded.postgres(tmp_path_factory.mktemp("images") / "postgres") as server:
        yield server


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The embedded one knows unix sockets alone, which no container sees: here the same program on a loopback port."""
    port, password = ports.free_port(), secrets.token_hex(16)
    command = [str(embedded.redis_binary()), "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
    log = tmp_path_factory.mktemp("images") / "redis.log"
    with log.open("wb") as out:
        server = subprocess.Popen([*command, "--requirepass", password], stdout=out, stderr=out)
    try:
        yield f"redis://:{password}@127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> home.Home:
    """Holds the secrets of this installation, and the demo users' passwords."""
    folder = home.at(tmp_path_factory.mktemp("images") / "home")
    folder.path.mkdir()
    folder.keep_secrets({name: secrets.token_hex(32) for name in environment.SECRETS.values()})
    return folder


@pytest.fixture(scope="module")
def chosen() -> environment.Ports:
    return environment.choose_ports(ports.free_port())


@pytest.fixture(scope="module")
def variables(
    place: home.Home, postgres: embedded.Postgres, redis_url: str, chosen: environment.Ports
) -> Mapping[str, str]:
    """What each container is told; addresses on loopback, since a chroot shares the machine's network."""
    servers = environment.Servers(postgres.tcp_dsn, redis_url)
    told = environment.of_services(place.secret, servers, chosen, Path("/tmp"), {})
    return {
        **told,
        "ORDERHUB_GRPC_HOST": ports.LOOPBACK,
        "ORDERHUB_HTTP_HOST": ports.LOOPBACK,
        "ORDERHUB_GATEWAY_HOST": ports.LOOPBACK,
        "ORDERHUB_SIMULATOR_HOST": ports.LOOPBACK,
        "ORDERHUB_DATABASE_POOL_SIZE": "2",
        "ORDERHUB_AUTH_ARGON2_MEMORY_KIB": "64",
    }


@pytest.fixture(scope="module")
def operator(images: dict[str, str]) -> Iterator[Container]:
    with engine.container(images["operator"]) as made:
        yield made


@pytest.fixture(scope="module")
def operator_variables(variables: Mapping[str, str], postgres: embedded.Postgres) -> dict[str, str]:
    return {**variables, "ORDERHUB_DATABASE_URL": postgres.tcp_dsn("postgres")}


@pytest.fixture(scope="module")
def migrated(operator: Container, operator_variables: dict[str, str]) -> str:
    """The databases, made by the operator's image as compose.yaml calls it; what it said."""
    command = compose.raw()["services"]["migrate"]["command"]
    run = operator.run("/opt/orderhub/bin/start", *command, "--json", env=operator_variables)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def product(
    migrated: str,
    images: dict[str, str],
    variables: Mapping[str, str],
    chosen: environment.Ports,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, tuple[Container, Running]]]:
    """Every service in a container of its own, all of them ready."""
    logs = tmp_path_factory.mktemp("logs")
    with contextlib.ExitStack() as stack:
        started: dict[str, tuple[Container, Running]] = {}
        for service in (*topology.NAMES, topology.SIMULATOR):
            made = stack.enter_context(engine.container(images[service]))
            running = made.start(logs / f"{service}.log", "/opt/orderhub/bin/start", env=variables)
            stack.callback(running.stop)
            started[service] = made, running
        for service, (_, running) in started.items():
            running.until(functools.partial(is_ready, door(chosen, service)), READY_SECONDS)
        yield started


def door(chosen: environment.Ports, service: str) -> str:
    """The base URL of a service's probes."""
    found = chosen.addresses()
    return found.get(f"{service}.health") or found[service]


def is_ready(url: str) -> bool:
    return asyncio.run(probe.readiness(url)) == {}


def test_the_operator_s_image_makes_and_migrates_all_databases(migrated: str) -> None:
    for name in topology.MIGRATIONS:
        assert f'"{name}"' in migrated


def test_the_job_after_a_first_start_finds_all_done(
    product: dict[str, tuple[Container, Running]], operator: Container, operator_variables: dict[str, str]
) -> None:
    command = compose.raw()["services"]["migrate-after"]["command"]
    run = operator.run("/opt/orderhub/bin/start", *command, "--json", env=operator_variables)
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout)
    assert said["created"] == []
    assert said["applied"].keys() == topology.MIGRATIONS.keys()


def test_every_service_gets_ready_by_the_command_of_its_image(
    product: dict[str, tuple[Container, Running]], chosen: environment.Ports
) -> None:
    assert product.keys() == {*topology.NAMES, topology.SIMULATOR}
    for service in product:
        status, body = asyncio.run(probe.get(f"{door(chosen, service)}/readyz"))
        assert status == 200, f"{service}: {body!r}"
        assert asyncio.run(probe.get(f"{door(chosen, service)}/metrics"))[0] == 200, service


def test_the_health_check_of_each_image_says_what_readyz_says(
    product: dict[str, tuple[Container, Running]], variables: Mapping[str, str]
) -> None:
    for service, (made, _) in product.items():
        check = engine.configuration(f"localhost/orderhub/{service}:test")["Healthcheck"]["Test"][1:]
        assert (run := made.run(*check, env=variables)).returncode == 0, (
            f"{service}: {run.stdout}{run.stderr}"
        )
        nowhere = {name: "1" for name in variables if name.endswith("_PORT")}
        assert made.run(*check, env={**variables, **nowhere}).returncode == 1, service


@pytest.fixture(scope="module")
def customer(
    product: dict[str, tuple[Container, Running]], operator: Container, operator_variables: dict[str, str]
) -> dict[str, str]:
    """A demo user, brought in with vendors and catalogue by the operator's image; it told the password once."""
    run = operator.run("/opt/orderhub/bin/start", "seed", "--demo", "--json", env=operator_variables)
    assert run.returncode == 0, run.stderr
    users: dict[str, dict[str, str]] = json.loads(run.stdout.splitlines()[0])["users"]
    return users["customer"]


async def test_an_order_is_confirmed_through_the_images(
    customer: dict[str, str], chosen: environment.Ports, postgres: embedded.Postgres
) -> None:
    url = f"{chosen.addresses()['gateway']}/api/v1/"
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
        login = await http.post("auth/login", json=customer)
        assert login.status_code == 200, login.text
        headers = {"authorization": f"Bearer {login.json()['access_token']}", "idempotency-key": "images-1"}
        body = an_order({"sku": SKU, "quantity": 2})
        placed = await http.post("orders", json=body, headers={**headers, "prefer": "wait=20"})
        assert placed.status_code in (200, 202), placed.text
        order = placed.json()
        deadline = time.monotonic() + 60
        while order["status"] not in SETTLED and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
            order = (await http.get(f"orders/{order['id']}", headers=headers)).json()
    assert order["status"] == "CONFIRMED", order
    connection = await asyncpg.connect(postgres.tcp_dsn("orderhub_orders"))
    try:
        assert await connection.fetchval("select count(*) from orders where status = 'CONFIRMED'") == 1
    finally:
        await connection.close()


def test_the_first_operator_is_made_by_the_operator_s_image(
    product: dict[str, tuple[Container, Running]], operator: Container, operator_variables: dict[str, str]
) -> None:
    command = ("/opt/orderhub/bin/start", "admin", "create-operator", "chief@orderhub.example", "--json")
    run = operator.run(*command, env=operator_variables)
    assert run.returncode == 0, run.stderr
    assert '"password"' in run.stdout
    without = {name: value for name, value in operator_variables.items() if "CURSOR_KEY" not in name}
    refused = operator.run(*command, env=without)
    assert refused.returncode == Exit.USAGE
    assert "ORDERHUB_CURSOR_KEY: is required" in refused.stderr


def test_nothing_is_written_into_the_root_and_sigterm_ends_it_cleanly(
    product: dict[str, tuple[Container, Running]],
) -> None:
    """Last of this module: it stops the product. What a service had written would lie above its image's layers."""
    for service, (made, running) in product.items():
        written = [path for path in files_above(made) if not made_by_engine(path)]
        assert not written, f"{service} wrote {written}"
        assert running.stop() == 0, f"{service}: {running.said[-3000:]}"


def files_above(made: Container) -> list[Path]:
    """Files of the container's own layer, beside that of the overlay which shows all of them."""
    layer = made.root.parent / "diff"
    assert layer.is_dir()
    return [path.relative_to(layer) for path in layer.rglob("*") if not path.is_dir()]


def made_by_engine(path: Path) -> bool:
    """Empty places that buildah makes to mount things on."""
    return path.parts[0] in {"proc", "sys", "dev", "run"} or str(path) in {
        "etc/hosts", "etc/resolv.conf", "etc/hostname", "etc/mtab",
    }  # fmt: skip
