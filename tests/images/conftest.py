"""One build of all images for all tests of this folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import engine

SERVICES = ("auth", "inventory", "payments", "delivery", "orders", "gateway", "simulator")
OPERATOR = "operator"


@pytest.fixture(scope="session")
def base() -> str:
    """The base image, a small Debian: made once, kept in the cache of the backends."""
    return engine.buildah("local-base")


@pytest.fixture(scope="session")
def images(base: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Service → name of its image."""
    secrets = tmp_path_factory.mktemp("build-secrets")
    engine.write_secrets(secrets)
    return {service: engine.build(service, base, secrets) for service in (*SERVICES, OPERATOR)}


@pytest.fixture(params=(*SERVICES, OPERATOR))
def image(request: pytest.FixtureRequest, images: dict[str, str]) -> str:
    return images[request.param]


@pytest.fixture
def container(image: str) -> Iterator[engine.Container]:
    with engine.container(image) as made:
        yield made
