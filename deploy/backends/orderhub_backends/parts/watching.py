"""What watches: Jaeger for traces; Prometheus with Alertmanager, and the exporters of PostgreSQL and Redis that it reads."""

from __future__ import annotations

import json
from pathlib import Path

from .. import probes
from ..places import ROOT
from ..processes import Program
from ..room import LOOPBACK, Part, Plan, Room

RULES = ROOT / "deploy" / "prometheus"
SCRAPE_SECONDS = 2
# Every door of Jaeger, or it would take its usual ports on all interfaces.
JAEGER_DOORS = {
    "otlp": "collector.otlp.grpc.host-port",
    "otlp-http": "collector.otlp.http.host-port",
    "query": "query.http-server.host-port",
    "query-grpc": "query.grpc-server.host-port",
    "admin": "admin.http.host-port",
    "collector-grpc": "collector.grpc-server.host-port",
    "collector-http": "collector.http-server.host-port",
    "agent-http": "http-server.host-port",
    "agent-binary": "processor.jaeger-binary.server-host-port",
    "agent-compact": "processor.jaeger-compact.server-host-port",
    "agent-zipkin": "processor.zipkin-compact.server-host-port",
}


def _url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def _debian(room: Room, pin: str, program: str) -> str:
    return str(room.pins[pin] / "usr" / "bin" / program)


def _jaeger(room: Room) -> Plan:
    ports = {name: room.port(name) for name in JAEGER_DOORS}
    doors = [f"--{switch}={LOOPBACK}:{ports[name]}" for name, switch in JAEGER_DOORS.items()]
    argv = [str(room.pins["jaeger"] / "bin" / "jaeger"), *doors]
    program = Program("jaeger", argv, probes.http_says(ports["query"], "/api/services", '"data"'))
    return Plan([program], {"otlp": _url(ports["otlp"]), "query": _url(ports["query"])})


def _postgres_exporter(room: Room) -> Plan:
    port = room.port("postgres-exporter")
    argv = [_debian(room, "postgres-exporter", "prometheus-postgres-exporter")]
    argv += [f"--web.listen-address={LOOPBACK}:{port}"]
    environment = {"DATA_SOURCE_NAME": f"{room.others['postgres15']['url']}?sslmode=require"}
    program = Program(
        "postgres-exporter", argv, probes.http_says(port, "/metrics", "\npg_up 1\n"), environment
    )
    return Plan([program], {"url": _url(port)})


def _redis_exporter(room: Room) -> Plan:
    port = room.port("redis-exporter")
    argv = [_debian(room, "redis-exporter", "prometheus-redis-exporter")]
    argv += [f"-web.listen-address={LOOPBACK}:{port}", f"-redis.addr={room.others['redis']['url']}"]
    program = Program("redis-exporter", argv, probes.http_says(port, "/metrics", "\nredis_up 1\n"))
    return Plan([program], {"url": _url(port)})


def _alertmanager(room: Room) -> Plan:
    port = room.port("alertmanager")
    configuration = room.write("alertmanager.yml", "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    argv = [
        str(room.pins["alertmanager"] / "bin" / "alertmanager"),
        f"--config.file={configuration}",
        f"--storage.path={room.subfolder('data')}",
    ]
    argv += [f"--web.listen-address={LOOPBACK}:{port}", "--cluster.listen-address="]
    program = Program("alertmanager", argv, probes.http_says(port, "/api/v2/status", '"uptime"'))
    return Plan([program], {"url": _url(port)})


def _prometheus(room: Room) -> Plan:
    """`targets` is a folder: a file {name}.json there, of Prometheus' own form, is scraped from then on."""
    port, targets = room.port("prometheus"), room.subfolder("targets")
    configuration = room.write("prometheus.yml", json.dumps(_scraped(room, port, targets), indent=1))
    argv = [_debian(room, "prometheus", "prometheus"), f"--config.file={configuration}"]
    argv += [f"--storage.tsdb.path={room.subfolder('data')}", f"--web.listen-address={LOOPBACK}:{port}"]
    argv += ["--web.enable-lifecycle"]
    program = Program("prometheus", argv, probes.http_says(port, "/api/v1/status/runtimeinfo", '"success"'))
    return Plan([program], {"url": _url(port), "targets": str(targets)})


def _scraped(room: Room, port: int, targets: Path) -> dict[str, object]:
    """Its configuration; JSON is YAML too."""

    def job(name: str, url: str) -> dict[str, object]:
        return {"job_name": name, "static_configs": [{"targets": [url.removeprefix("http://")]}]}

    exporters = ("postgres-exporter", "redis-exporter")
    jobs = [job(name, room.others[name]["url"]) for name in ("alertmanager", *exporters)]
    found = {
        "job_name": "orderhub",
        "file_sd_configs": [{"files": [f"{targets}/*.json"], "refresh_interval": "1s"}],
    }
    alertmanager = room.others["alertmanager"]["url"].removeprefix("http://")
    return {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
        "scrape_configs": [job("prometheus", _url(port)), *jobs, found],
        "rule_files": [f"{RULES}/alerts*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
    }


JAEGER = Part("jaeger", ("jaeger",), _jaeger)
POSTGRES_EXPORTER = Part(
    "postgres-exporter", ("postgres-exporter",), _postgres_exporter, needs=("postgres15",)
)
REDIS_EXPORTER = Part("redis-exporter", ("redis-exporter",), _redis_exporter, needs=("redis",))
ALERTMANAGER = Part("alertmanager", ("alertmanager",), _alertmanager)
PROMETHEUS = Part(
    "prometheus",
    ("prometheus",),
    _prometheus,
    needs=("alertmanager", "postgres-exporter", "redis-exporter"),
)
