"""How the product is spread over processes and servers in these tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest


@dataclass(frozen=True)
class Layout:
    """`servers` gives the variables that name what is not embedded, from the fixtures of the test that asks."""

    processes: str
    servers: Callable[[pytest.FixtureRequest], Mapping[str, str]] = lambda _: {}


def on_kafka(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Under names of its own, as the brokers are everybody's."""
    backend: Any = request.getfixturevalue("backend")
    return {
        "ORDERHUB_BUS": f"kafka://{backend('kafka')['servers']}",
        "ORDERHUB_KAFKA_PREFIX": f"e2e-{uuid4().hex[:12]}.",
    }


def _layout(name: str, layout: Layout, *marks: Any) -> Any:
    return pytest.param(layout, id=name, marks=[*marks, pytest.mark.xdist_group(f"e2e-{name}")])


ONE = _layout("one-process", Layout("1"))
MANY = _layout("process-per-service", Layout("per-service"), pytest.mark.full)
ON_KAFKA = _layout("on-kafka", Layout("3", on_kafka), pytest.mark.backends)
