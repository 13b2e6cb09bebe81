"""Keycloak with the realms of deploy/keycloak: built for its database once, at its installation, so it starts quickly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from .. import machine, probes
from ..places import ROOT
from ..processes import Program
from ..room import LOOPBACK, Part, Plan, Room
from . import jvm

REALMS = ROOT / "deploy" / "keycloak"
ADMIN = "admin"
HEAP_MEGABYTES = 512


def _plan(room: Room) -> Plan:
    port, password = room.port("keycloak"), room.secret("admin")
    url = f"http://{LOOPBACK}:{port}"
    home = _home(room)
    realm = _imported(home / "data" / "import")
    argv = [*_java(home), "start", "--optimized", "--import-realm", "--cache=local", "--http-enabled=true"]
    argv += [f"--http-host={LOOPBACK}", f"--http-port={port}", f"--hostname={url}"]
    program = Program(
        "keycloak",
        argv,
        ready=probes.http_says(port, f"/realms/{realm}/.well-known/openid-configuration", f"{url}/realms"),
        environment={"KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN, "KC_BOOTSTRAP_ADMIN_PASSWORD": password},
        within_seconds=600,
    )
    address = {"url": url, "realm": realm, "issuer": f"{url}/realms/{realm}"}
    return Plan([program], {**address, "user": ADMIN, "password": password})


def _home(room: Room) -> Path:
    """Its database and configuration lie in its home, so the installation is only linked there."""
    (installed,) = room.pins["keycloak"].glob("keycloak-*")
    home = room.subfolder("home")
    for name in ("lib", "providers", "themes"):
        if not (home / name).is_symlink():
            (home / name).symlink_to(installed / name)
    shutil.copytree(installed / "conf", home / "conf", dirs_exist_ok=True)
    return home


def _imported(folder: Path) -> str:
    """Copies the realms of the project and returns the name of the first; "master", which is always there, for none."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    realms = sorted(REALMS.glob("*-realm.json"))
    for path in realms:
        shutil.copyfile(path, folder / path.name)
    return str(json.loads(realms[0].read_text())["realm"]) if realms else "master"


def _java(home: Path) -> list[str]:
    """As its own kc.sh calls it, without the shell between: the process we signal has to be the server."""
    opened = ("java.base/java.util", "java.base/java.util.concurrent", "java.base/java.security")
    switches = [f"--add-opens={package}=ALL-UNNAMED" for package in opened]
    threads = "io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory"
    switches += [
        f"-Djava.util.concurrent.ForkJoinPool.common.threadFactory={threads}",
        "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
        f"-Dkc.home.dir={home}",
        f"-Djboss.server.config.dir={home / 'conf'}",
        "-Duser.language=en",
    ]
    argv = [machine.java(), f"-Xmx{HEAP_MEGABYTES}m", "-XX:MaxMetaspaceSize=256m", *jvm.FLAGS, *switches]
    return [
        *argv,
        "-cp",
        str(home / "lib" / "quarkus-run.jar"),
        "io.quarkus.bootstrap.runner.QuarkusEntryPoint",
    ]


KEYCLOAK = Part("keycloak", ("keycloak",), _plan)
