"""What every process of an installation is told: everything travels by environment, nothing by arguments.

Pure: the folder's secrets, the servers and the ports come in, variables come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orderhub import ports, topology
from orderhub.exits import Exit, Refused

Dsn = Callable[[str], str]
SECRETS: Final[Mapping[str, str]] = {
    "ORDERHUB_INTERNAL_KEY": "internal_key",
    "ORDERHUB_CURSOR_KEY": "cursor_key",
    "ORDERHUB_AUTH_KEY_ENCRYPTION_KEY": "key_encryption_key",
    "ORDERHUB_SIMULATOR_API_KEY": "simulator_api_key",
    "ORDERHUB_PAYMENTS_SIMULATOR_API_KEY": "simulator_api_key",
}
"""Variable → the data folder's name of the secret that it tells."""
OWN_SECRETS: Final[Mapping[str, str]] = {
    variable.replace("ORDERHUB_", f"ORDERHUB_{service.upper()}_"): name
    for variable, name in SECRETS.items()
    if name in ("internal_key", "cursor_key")
    for service in topology.NAMES
}
"""The same secrets under the names that one service alone reads."""
TAKEN_OVER: Final = frozenset({*SECRETS, "ORDERHUB_PUBLIC_URL"})
"""What `up` sets for the services and takes from the user where it is given."""
PORTS_FOR_ALL: Final = ("ORDERHUB_GRPC_PORT", "ORDERHUB_HTTP_PORT")
"""Each service is told its own, which wins over these."""
MAILBOX = "ORDERHUB_AUTH_MAILBOX"
"""Set where all parts are our own, and never on servers: real people would find their codes in a file."""
ADMINISTRATION = "postgres"
"""The database from which others are made."""


@dataclass(frozen=True)
class Servers:
    """Where the databases, Redis and the bus are; `dsn` gives the URL of a database by its name.

    `kafka` is the URL of the brokers, empty where the bus is the embedded one.
    """

    dsn: Dsn
    redis_url: str
    kafka: str = ""

    @property
    def bus(self) -> str:
        return self.kafka or self.dsn(topology.BUS_DATABASE)


def on_server(url: str) -> Dsn:
    """The URLs of databases on a server that is not ours."""
    place, _, query = url.partition("?")
    scheme, _, rest = place.partition("://")
    server = f"{scheme}://{rest.partition('/')[0]}"
    return lambda database: f"{server}/{database}" + "?" * bool(query) + query


@dataclass(frozen=True)
class Ports:
    """Chosen before anything starts, so that everybody can be told everybody's address."""

    gateway: int
    simulator: int
    grpc: Mapping[str, int]
    health: Mapping[str, int]

    def addresses(self) -> dict[str, str]:
        """What listens where, as `runtime.json` keeps it: `gateway`, `orders.grpc`, `orders.health` …"""
        found = {
            "gateway": f"http://{ports.LOOPBACK}:{self.gateway}",
            "simulator": f"http://{ports.LOOPBACK}:{self.simulator}",
        }
        found |= {f"{name}.grpc": f"{ports.LOOPBACK}:{port}" for name, port in self.grpc.items()}
        return found | {
            f"{name}.health": f"http://{ports.LOOPBACK}:{port}" for name, port in self.health.items()
        }


def choose_ports(gateway: int) -> Ports:
    """The gateway's as wanted (raises PortRefused when it is taken), any free one for all others."""
    ports.require_free(gateway)
    names = [service.name for service in topology.SERVICES]
    inner = [name for name in names if name != "gateway"]
    free = iter(ports.free_ports(1 + len(inner) + len(inner)))
    return Ports(
        gateway, next(free), {name: next(free) for name in inner}, {name: next(free) for name in inner}
    )


def secrets_wanted(given: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, str]:
    """What the folder is to keep: its own secrets, and those that the user gave where it has none yet.

    Raises Refused where they contradict: what was signed and encrypted with the one is lost to the other.
    """
    wanted, origin = dict(kept), dict.fromkeys(kept, "secrets.json of the data folder")
    for variable, name in {**SECRETS, **OWN_SECRETS}.items():
        if not (value := given.get(variable)):
            continue
        if wanted.setdefault(name, value) != value:
            raise Refused(
                f"{variable}: is not the secret that {origin[name]} has: unset it, or give the same",
                Exit.USAGE,
            )
        origin.setdefault(name, variable)
    return wanted


def unused(variables: Mapping[str, str], given: Mapping[str, str]) -> list[str]:
    """What the user gave and `up` has to decide by itself: addresses, ports, databases."""
    differing = {name for name, value in variables.items() if given.get(name, value) != value}
    return sorted(differing | (given.keys() & PORTS_FOR_ALL))


def peers_given(given: Mapping[str, str]) -> dict[str, str]:
    """Where services listen, as runtime.json has it (`auth.grpc` → host:port), by the variables of the gateway."""
    named = {
        service.name: f"ORDERHUB_GATEWAY_{service.name.upper()}_ADDRESS" for service in topology.SERVICES
    }
    return {f"{name}.grpc": given[variable] for name, variable in named.items() if given.get(variable)}


def of_services(
    secret: Callable[[str], str],
    servers: Servers,
    chosen: Ports,
    ready_file: Path,
    given: Mapping[str, str],
) -> dict[str, str]:
    """All variables that the services and the simulator need, over those of the launcher's own environment."""
    public_url = given.get("ORDERHUB_PUBLIC_URL") or f"http://{ports.LOOPBACK}:{chosen.gateway}"
    variables = {
        "ORDERHUB_BUS": servers.bus,
        "ORDERHUB_REDIS_URL": servers.redis_url,
        "ORDERHUB_PUBLIC_URL": public_url,
        "ORDERHUB_GATEWAY_PORT": str(chosen.gateway),
        "ORDERHUB_GATEWAY_READY_FILE": str(ready_file),
        "ORDERHUB_SIMULATOR_DATABASE_URL": servers.dsn("orderhub_simulator"),
        "ORDERHUB_SIMULATOR_PORT": str(chosen.simulator),
        "ORDERHUB_PAYMENTS_SIMULATOR_URL": f"http://{ports.LOOPBACK}:{chosen.simulator}",
    } | {variable: secret(name) for variable, name in SECRETS.items()}
    for service in topology.SERVICES:
        variables |= _of_service(service, servers, chosen)
    return variables


def _of_service(service: topology.Service, servers: Servers, chosen: Ports) -> dict[str, str]:
    own = f"ORDERHUB_{service.name.upper()}_"
    variables = {}
    if service.has_database:
        variables[f"{own}DATABASE_URL"] = servers.dsn(service.database)
    if service.name in chosen.grpc:
        variables[f"{own}GRPC_PORT"] = str(chosen.grpc[service.name])
        variables[f"{own}HTTP_PORT"] = str(chosen.health[service.name])
    for peer, port in chosen.grpc.items():
        variables[f"{own}{peer.upper()}_ADDRESS"] = f"{ports.LOOPBACK}:{port}"
    return variables
