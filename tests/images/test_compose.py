"""compose.yaml against its specification, against the settings of the services, and against itself."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import shutil
import stat
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compose
import jsonschema
import pytest
import yaml
from orderhub import topology
from orderhub.settings import settings_of
from orderhub_chassis import settings as chassis
from orderhub_chassis.settings import ServiceSettings
from orderhub_contracts import topics

HERE = Path(__file__).parent
OURS = (*topology.NAMES, topology.SIMULATOR)
PROFILES = ("core", "observability", "all")
PINNED = re.compile(r"[a-z0-9_./-]+:v?\d+\.\d+[\w.-]*")
BROKERS = ("kafka-1", "kafka-2", "kafka-3")
JOBS = ("migrate", "migrate-after")
WATCHING = {"jaeger", "prometheus", "alertmanager", "grafana", "kafka-ui"}
WATCHING |= {"postgres-exporter", "redis-exporter", "kafka-exporter"}
DOOR = 8080
HEALTH = 8081
WRITES_BESIDE_ITS_VOLUMES = {*BROKERS, "keycloak", "clickhouse", "kafka-ui"}
"""Images of others whose root cannot be read-only."""


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What deploy/env.py makes for a fresh installation."""
    return made_by_script(tmp_path_factory.mktemp("compose") / ".env")


@pytest.fixture(scope="module")
def product(secrets: dict[str, str]) -> dict[str, Any]:
    return compose.resolved(secrets)


@pytest.fixture(scope="module")
def services(product: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return product["services"]


def script(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(compose.DEPLOY / "env.py"), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def made_by_script(path: Path) -> dict[str, str]:
    assert (run := script(path)).returncode == 0, run.stderr
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_it_follows_the_compose_specification(product: dict[str, Any]) -> None:
    schema = json.loads((HERE / "compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(product)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate({"services": {"orders": {"imge": "x"}}})


# --- secrets ----------------------------------------------------------------------------------------------------


def test_every_required_variable_is_made_by_the_script(secrets: dict[str, str]) -> None:
    required = set(re.findall(r"\$\{([A-Z0-9_]+):\?", compose.FILE.read_text()))
    assert required
    assert secrets.keys() == required
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in secrets.values())
    assert len(set(secrets.values())) == len(secrets)


def test_without_them_it_does_not_start() -> None:
    with pytest.raises(LookupError):
        compose.resolved({})


def test_the_script_changes_nothing_that_is_there_and_adds_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nORDERHUB_PORT=9999\nORDERHUB_REDIS_PASSWORD=kept")
    path.chmod(0o644)
    first = made_by_script(path)
    assert (first["ORDERHUB_PORT"], first["ORDERHUB_REDIS_PASSWORD"]) == ("9999", "kept")
    assert "ORDERHUB_INTERNAL_KEY" in first
    text = path.read_text()
    assert made_by_script(path) == first
    assert path.read_text() == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("words", ["", "export "])
def test_a_secret_that_is_empty_is_named_where_it_stands(tmp_path: Path, words: str) -> None:
    """Compose would send its user to the very command that has just been run."""
    path = tmp_path / ".env"
    path.write_text(f"{words}ORDERHUB_REDIS_PASSWORD=\nORDERHUB_INTERNAL_KEY=  \nORDERHUB_CURSOR_KEY=''\n")
    run = script(path)
    assert run.returncode == 1
    for name in ("ORDERHUB_REDIS_PASSWORD", "ORDERHUB_INTERNAL_KEY", "ORDERHUB_CURSOR_KEY"):
        assert name in run.stderr
    assert run.stderr.count("\n") == 1
    assert "POSTGRES" not in path.read_text(), "nothing is written beside a mistake"


def test_the_script_does_not_follow_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / ".env").symlink_to(tmp_path / "elsewhere")
    run = script(tmp_path / ".env")
    assert run.returncode == 1
    assert "cannot be written" in run.stderr
    assert not (tmp_path / "elsewhere").read_text()


def test_no_secret_stands_in_a_file() -> None:
    """Whatever has the name of one takes its value from a variable without a default, or names a key of a Secret."""
    folders = ("docker", "prometheus", "alertmanager", "grafana", "keycloak", "helm")
    files = [
        path for folder in folders for path in sorted((compose.DEPLOY / folder).rglob("*")) if path.is_file()
    ]
    assert len(files) > 20
    for path in (compose.FILE, *files):
        for line in path.read_text().splitlines():
            assert not secret_in(line), f"{path.name}: {line}"


@pytest.mark.parametrize(
    "line",
    [
        "GF_SECURITY_ADMIN_PASSWORD: admin",
        "KAFKA_PASSWORD=hunter2hunter2",
        '"clientSecret": "abcdefgh",',
        "DATABASE_URL: postgresql://orderhub:hunter2@postgres:5432/orderhub",
        "REDIS_URL: redis://:hunter2@redis:6379/0",
        "ORDERHUB_CURSOR_KEY: ${ORDERHUB_CURSOR_KEY:-0123456789abcdef0123456789abcdef}",
    ],
)
def test_a_secret_in_a_line_is_seen(line: str) -> None:
    assert secret_in(line)


NAMED = re.compile(
    r"(?i)(?:password|_pass|_key|(?<!existing)(?<!tls)secret|token|credentials)\"?\s*(?::(?!=)|=)\s*\"?(?P<value>[^\s\"',}]+)"
)
IN_A_URL = re.compile(r"://[^/\s:@\"']*:(?P<value>[^/\s@\"']+)@")
REQUIRED_OR_NOTHING = re.compile(r"\$\{[A-Z0-9_]+:(?:\?[^}]*|-)\}")
NO_SECRET = re.compile(r"ORDERHUB_[A-Z0-9_]+$|(?:true|false|null|include)$|[{\[.…]")


def secret_in(line: str) -> bool:
    """A value where a password would stand: no variable that is required or else empty, no key of a Secret, no template."""
    line = REQUIRED_OR_NOTHING.sub("{}", line)
    found = [*NAMED.finditer(line), *IN_A_URL.finditer(line)]
    return any(not NO_SECRET.match(one["value"]) for one in found)


# --- settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", OURS)
def test_a_service_is_told_all_that_its_settings_require_and_nothing_that_nobody_reads(
    service: str, services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = compose.environment(services[service])
    known = {name for _, name, _ in chassis.variables(settings_of(service))}
    known |= {f"ORDERHUB_{field}".upper() for field, _, _ in chassis.variables(settings_of(service))}
    assert not [name for name in told if name not in known]
    loaded(service, services[service], monkeypatch, tmp_path)


def loaded(service: str, container: dict[str, Any], monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    """The settings of a service in its container. Raises SettingsError."""
    for name, value in {**compose.image_environment(), **compose.environment(container)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    return chassis.load(settings_of(service))


@pytest.mark.parametrize("service", OURS)
def test_a_service_has_its_own_database(service: str, services: dict[str, dict[str, Any]]) -> None:
    named = [
        value for name, value in compose.environment(services[service]).items() if "DATABASE_URL" in name
    ]
    expected = [] if service == "gateway" else [f"orderhub_{service}"]
    assert [url.rpartition("/")[2] for url in named] == expected
    assert set(expected) <= topology.MIGRATIONS.keys(), "nobody would make it"


def test_both_sides_of_a_shared_secret_have_the_same(services: dict[str, dict[str, Any]]) -> None:
    told = {name: compose.environment(services[name]) for name in OURS}
    inner = [name for name in OURS if name not in ("gateway", "simulator")]
    for key in ("INTERNAL_KEY", "CURSOR_KEY"):
        assert {told[name][f"ORDERHUB_{key}"] for name in inner} == {
            told["gateway"][f"ORDERHUB_GATEWAY_{key}"]
        }
    assert (
        told["payments"]["ORDERHUB_PAYMENTS_SIMULATOR_API_KEY"]
        == told["simulator"]["ORDERHUB_SIMULATOR_API_KEY"]
    )
    assert len({told[name]["ORDERHUB_REDIS_URL"] for name in inner}) == 1
    assert told["gateway"]["ORDERHUB_GATEWAY_REDIS_URL"] == told["orders"]["ORDERHUB_REDIS_URL"]


# --- ports, addresses, topics -----------------------------------------------------------------------------------


def test_addresses_lead_to_ports_that_somebody_listens_on(services: dict[str, dict[str, Any]]) -> None:
    """Every host:port in an environment is a service of this file, on the port that its image or its settings bind."""
    image = compose.image_environment()
    ports = {name: {image["ORDERHUB_GRPC_PORT"], image["ORDERHUB_HTTP_PORT"]} for name in topology.NAMES}
    ports |= {"gateway": {image["ORDERHUB_GATEWAY_PORT"]}, "simulator": {image["ORDERHUB_SIMULATOR_PORT"]}}
    ports |= {"postgres": {"5432"}, "redis": {"6379"}, **{name: {"9092", "9093"} for name in BROKERS}}
    seen = 0
    for name, service in services.items():
        told = re.sub(r"//[^@/\s]*@", "//", " ".join(compose.environment(service).values()))
        for host, port in re.findall(r"(?:[@/,]|\b)([a-z][a-z0-9-]*):(\d+)", told):
            assert port in ports[host], f"{name}: {host}:{port}"
            seen += 1
    assert seen > 20


def test_ports_are_bound_to_this_machine_alone(services: dict[str, dict[str, Any]]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published)
    outside = [port.split(":")[1] for port in published]
    assert len(set(outside)) == len(outside)
    for name in {*OURS, "postgres", "redis", *BROKERS} - {"gateway"}:
        assert "ports" not in services[name], f"{name} is for the others alone"


def test_prometheus_scrapes_every_service_where_it_shows_its_metrics(
    services: dict[str, dict[str, Any]],
) -> None:
    config = yaml.safe_load((compose.DEPLOY / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job["static_configs"] for job in config["scrape_configs"]}
    ours = {row["labels"]["service"]: row["targets"] for row in jobs["orderhub"]}
    own_door = {"gateway", "simulator"}
    assert ours == {name: [f"{name}:{DOOR if name in own_door else HEALTH}"] for name in OURS}
    hosts = {target.split(":")[0] for rows in jobs.values() for row in rows for target in row["targets"]}
    assert hosts - {"127.0.0.1"} <= services.keys()
    assert (compose.DEPLOY / "prometheus" / config["rule_files"][0]).exists()


def test_alerts_ask_for_metrics_that_there_are() -> None:
    sources = [
        *compose.ROOT.glob("chassis/src/**/metrics.py"),
        *compose.ROOT.glob("services/*/src/*/metrics.py"),
    ]
    known = {name for path in sources for name in re.findall(r'"(orderhub_[a-z_]+)"', path.read_text())}
    rules = yaml.safe_load((compose.DEPLOY / "prometheus" / "alerts.yml").read_text())
    asked = {
        name
        for group in rules["groups"]
        for rule in group["rules"]
        for name in re.findall(r"orderhub_[a-z_]+", rule["expr"])
    }
    assert asked
    assert asked <= known


def test_a_cluster_of_three_takes_what_topics_py_asks_for(services: dict[str, dict[str, Any]]) -> None:
    told = [compose.environment(services[name]) for name in BROKERS]
    assert sorted(broker["KAFKA_NODE_ID"] for broker in told) == ["1", "2", "3"]
    assert len({broker["CLUSTER_ID"] for broker in told}) == 1
    for name, broker in zip(BROKERS, told, strict=True):
        assert broker["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{name}:9092"
        assert (broker["KAFKA_DEFAULT_REPLICATION_FACTOR"], broker["KAFKA_MIN_INSYNC_REPLICAS"]) == ("3", "2")
        assert broker["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
        assert int(broker["KAFKA_MESSAGE_MAX_BYTES"]) > topics.MAX_MESSAGE_BYTES
        voters = broker["KAFKA_CONTROLLER_QUORUM_VOTERS"]
        assert voters == ",".join(f"{number}@kafka-{number}:9093" for number in (1, 2, 3))


def test_topics_have_one_table_and_migrate_brings_them(services: dict[str, dict[str, Any]]) -> None:
    text = compose.FILE.read_text()
    assert not [topic.name for topic in topics.TOPICS if topic.name in text]
    bus = f"kafka://{','.join(f'{name}:9092' for name in BROKERS)}"
    users = [name for name in (*OURS, *JOBS) if name not in ("gateway", "simulator")]
    assert {compose.environment(services[name])["ORDERHUB_BUS"] for name in users} == {bus}


def test_make_reads_the_secrets_of_the_containers_and_no_other_file() -> None:
    """By itself compose also takes the .env of the folder that it is called in, which is that of `orderhub up`."""
    names = [f"compose-{verb}" for verb in ("up", "down", "logs", "ps", "fresh")]
    make = ["make", "--dry-run", "--no-print-directory", *names, "PROFILE=all"]
    said = subprocess.run(make, cwd=compose.ROOT, capture_output=True, text=True, check=True).stdout
    calls = [line.partition("&& ")[2] for line in said.splitlines() if "docker compose" in line]
    assert len(calls) == len(names) + 1, "fresh is down, then up"
    for call in calls:
        assert call.startswith(
            "docker compose --file deploy/compose.yaml --env-file deploy/.env --profile "
        ), call


# --- order and hardening ----------------------------------------------------------------------------------------


def test_all_of_ours_wait_for_migrate_and_migrate_for_its_servers(
    services: dict[str, dict[str, Any]],
) -> None:
    assert services["migrate"]["restart"] == "no"
    assert services["migrate"]["command"] == ["migrate", "--pre"], "the containers of before still run"
    waited = {name: how["condition"] for name, how in services["migrate"]["depends_on"].items()}
    assert waited == dict.fromkeys(("postgres", "redis", *BROKERS), "service_healthy")
    for name in OURS:
        waits = services[name]["depends_on"]
        assert waits["migrate"]["condition"] == "service_completed_successfully", name
    behind = {"auth", "inventory", "payments", "delivery", "orders"}
    assert behind <= services["gateway"]["depends_on"].keys()
    assert "sleep" not in compose.FILE.read_text()


def test_what_old_code_cannot_live_with_comes_when_none_of_it_runs(
    services: dict[str, dict[str, Any]],
) -> None:
    """`up` replaces a container before it waits for its health, so all healthy means all new."""
    job = services["migrate-after"]
    assert (job["command"], job["restart"]) == (["migrate", "--post"], "no")
    waited = {name: how["condition"] for name, how in job["depends_on"].items()}
    assert waited == dict.fromkeys(OURS, "service_healthy")
    assert (job["image"], job["environment"]) == (
        services["migrate"]["image"],
        services["migrate"]["environment"],
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_whole(profile: str, services: dict[str, dict[str, Any]]) -> None:
    enabled = {name for name, service in services.items() if profile in service["profiles"]}
    assert enabled
    for name in enabled:
        missing = services[name].get("depends_on", {}).keys() - enabled
        assert not missing, f"{name} waits for {missing}, which {profile} has not"
    if profile == "all":
        assert enabled == services.keys()
    if profile == "core":
        assert {*OURS, *JOBS, "postgres", "redis", *BROKERS} == enabled
    if profile == "observability":
        assert enabled == WATCHING


def test_everybody_has_a_health_check_limits_and_a_pinned_image(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() == {"cpus", "memory", "pids"}, name
        assert "test" in service["healthcheck"] or name in JOBS, name
        if name in (*OURS, *JOBS):
            assert service["image"] == f"orderhub/{'operator' if name in JOBS else name}:local"
            assert service["build"]["args"] == {"SERVICE": service["image"].split("/")[1].split(":")[0]}
        else:
            assert PINNED.fullmatch(service["image"]), service["image"]


def test_nobody_has_rights_that_are_not_needed(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert "cap_add" not in service, name
        assert (service.get("read_only") is True) != (name in WRITES_BESIDE_ITS_VOLUMES), name
        if service.get("read_only"):
            assert any(mount.startswith("/tmp:") for mount in service["tmpfs"]), name


def test_only_what_publishes_a_port_is_on_the_network_that_leads_out(product: dict[str, Any]) -> None:
    assert {name for name, how in product["networks"].items() if not how.get("internal")} == {"edge"}
    for name, service in product["services"].items():
        assert ("edge" in service["networks"]) == ("ports" in service), name


def test_a_stop_leaves_the_services_their_grace(services: dict[str, dict[str, Any]]) -> None:
    """The consumer, the relay and the calls under way may each take it, one after the other."""
    grace = ServiceSettings.model_fields["shutdown_grace"].default
    for name in OURS:
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > 3 * grace.total_seconds(), name


def test_keycloak_is_given_the_realm_and_nothing_else_that_it_would_import(
    services: dict[str, dict[str, Any]],
) -> None:
    """It takes every .json of that folder for a realm, and does not start when one is none."""
    imported = [volume for volume in services["keycloak"]["volumes"] if "/data/import" in volume]
    assert imported == ["./keycloak/orderhub-realm.json:/opt/keycloak/data/import/orderhub-realm.json:ro"]
    assert (
        json.loads((compose.DEPLOY / "keycloak" / "orderhub-realm.json").read_text())["realm"] == "orderhub"
    )


def test_the_gateway_takes_keycloak_s_tokens_as_the_readme_says(
    secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    readme = (compose.DEPLOY / "README.md").read_text()
    (value,) = re.findall(r"^ORDERHUB_OIDC_ISSUERS='(.*)'$", readme, re.MULTILINE)
    services = compose.resolved({**secrets, "ORDERHUB_OIDC_ISSUERS": value})["services"]
    (issuer,) = loaded("gateway", services["gateway"], monkeypatch, tmp_path).oidc_issuers
    where = urllib.parse.urlsplit(issuer.jwks_url)
    assert set(services[where.hostname]["networks"]) & set(services["gateway"]["networks"])
    assert services[where.hostname]["ports"] == [f"127.0.0.1:8180:{where.port}"]
    assert urllib.parse.urlsplit(issuer.issuer).netloc == "127.0.0.1:8180"
    (alone,) = json.loads((compose.DEPLOY / "keycloak" / "issuers.json").read_text())
    assert {**json.loads(value)[0], **alone} == {**alone, "jwks_url": issuer.jwks_url, "jwks_insecure": True}


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1), (None, 1)])
def test_keycloak_is_healthy_when_it_says_so(
    services: dict[str, dict[str, Any]], status: int | None, expected: int
) -> None:
    """Its image has bash and little else, so the check may use nothing that bash has not by itself."""
    kind, *command = services["keycloak"]["healthcheck"]["test"]
    assert kind == "CMD"
    with answering(status) as port:
        here = [word.replace("/9000", f"/{port}") for word in command]
        bare = [str(shutil.which("bash")), *here[1:]]
        run = subprocess.run(bare, env={"PATH": "/nowhere"}, capture_output=True, text=True, timeout=20)
    assert run.returncode == expected, run.stderr


@contextlib.contextmanager
def answering(status: int | None) -> Iterator[int]:
    """A port where /health/ready has that status; one that nobody listens on for None."""

    class Management(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if status == 200 and self.path == "/health/ready" else 503)
            self.end_headers()
            self.wfile.write(b'{"note": "200 OK"}')

        def log_message(self, *_: object) -> None:
            """Not into the output of the tests."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Management) as server:
        thread = threading.Thread(target=server.serve_forever)
        if status is None:
            server.server_close()
            yield server.server_address[1]
            return
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_what_is_mounted_from_this_folder_is_here(services: dict[str, dict[str, Any]]) -> None:
    mounted = {
        volume.split(":")[0]
        for name, service in services.items()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    }
    assert mounted
    assert all((compose.DEPLOY / path).exists() for path in mounted)
