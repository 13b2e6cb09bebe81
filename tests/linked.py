"""Two replicas of everything whose links lead through toxiproxy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from fleet import Fleet
from toxics import Toxiproxy

PEER = re.compile(r"ORDERHUB_[A-Z]+_([A-Z]+)_ADDRESS")
SIMULATOR = "ORDERHUB_PAYMENTS_SIMULATOR_URL"


@dataclass
class Linked(Fleet):
    """Nobody is told where the others are, only where a way to them begins."""

    toxiproxy: Toxiproxy | None = None

    def variables(self, number: int) -> dict[str, str]:
        return {name: self._way(name, value) for name, value in super().variables(number).items()}

    def _way(self, name: str, value: str) -> str:
        assert self.toxiproxy is not None
        if found := PEER.fullmatch(name):
            addresses = enumerate(value.split(","), 1)
            link = found[1].lower()
            return ",".join(self.toxiproxy.way(f"{link}-{i}", address) for i, address in addresses)
        return through(self.toxiproxy, "simulator", value) if name == SIMULATOR else value


def through(toxiproxy: Toxiproxy, link: str, url: str) -> str:
    """The URL with the beginning of a way in the place of its host and port."""
    parts = urlsplit(url)
    login, at, target = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}{at}{toxiproxy.way(link, target)}"))
