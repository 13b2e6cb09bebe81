"""The product over real brokers, which run only while it does: deploy/backends installs and starts them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "deploy" / "backends"))

import product as ours  # noqa: E402
from orderhub_backends.control import Backends  # noqa: E402
from orderhub_backends.errors import Refused  # noqa: E402
from orderhub_backends.places import Places  # noqa: E402
from subject import Journal, Sizes, Subject, say  # noqa: E402

MESSAGES: Final = Path(__file__).with_name("messages.py")

__all__ = ["CLUSTERS", "OverKafka", "Refused"]


@dataclass(frozen=True)
class Cluster:
    """A part of deploy/backends, how many copies its topics have, and what is measured over it beside the sagas."""

    part: str
    copies: int
    figures: str
    latency: bool = False
    messages: bool = False


CLUSTERS: Final = (
    Cluster("kafka-single", 1, "one", latency=True),
    Cluster("kafka", 3, "three", messages=True),
)


class OverKafka:
    """The same product as the embedded one, with databases of its own; its topics live in the brokers' own folder."""

    def __init__(
        self, cluster: Cluster, folder: Path, arguments: tuple[str, ...], sizes: Sizes, journal: Journal
    ) -> None:
        self._cluster, self._sizes = cluster, sizes
        self._backends = Backends(Places.here().beside(folder / "brokers"))
        self._journal, self._folder, self._arguments = journal, folder, arguments
        self._subject: Subject | None = None

    @contextmanager
    def _running(self) -> Iterator[Subject]:
        list(self._backends.up([self._cluster.part]))
        try:
            yield self._told()
        finally:
            list(self._backends.down(keep=True))

    def _told(self) -> Subject:
        """Addresses stay the same over restarts."""
        if self._subject is None:
            environment = {
                "ORDERHUB_BUS": f"kafka://{self._servers}",
                "ORDERHUB_KAFKA_REPLICATION": str(self._cluster.copies),
            }
            product = ours.Product(self._folder, self._arguments, environment)
            name = f"Kafka, brokers: {self._cluster.copies}"
            self._subject = Subject(name, product, self._sizes, self._journal)
        return self._subject

    @property
    def _servers(self) -> str:
        return self._backends.address(self._cluster.part)["servers"]

    def prepare(self) -> None:
        with self._running() as subject:
            subject.prepare()

    def measure(self) -> dict[str, float]:
        """Figures by name, each with the cluster's own name in it."""
        found: dict[str, float] = {}
        with self._running() as subject:
            try:
                subject.product.start()
                subject.warm_up()
                found |= subject.sagas()
                if self._cluster.latency:
                    found |= subject.latency()
                subject.look_for_all()
            finally:
                subject.product.stop()
            if self._cluster.messages:
                found |= {what: self._per_second(what) for what in ("relay", "consumer")}
        return {f"{name}_over_{self._cluster.figures}": value for name, value in found.items()}

    def _per_second(self, what: str) -> float:
        argv = [sys.executable, str(MESSAGES), what, self._servers, str(self._cluster.copies)]
        done = subprocess.run([*argv, str(self._sizes.messages)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ours.ProductFailed(f"{MESSAGES.name} {what}: {done.stderr.strip()[-1000:]}")
        return float(done.stdout)

    def finish(self) -> None:
        with self._running() as subject:
            subject.finish()
        say(f"{subject.name}: brokers stopped")
