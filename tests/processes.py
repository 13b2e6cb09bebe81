"""How the product is spread over processes in these tests: one for `make test`, one per service for `make test-full`;
and, with real servers, one whose people log in elsewhere."""

from __future__ import annotations

import pytest

ONE = pytest.param("1", id="one-process", marks=pytest.mark.xdist_group("e2e-one-process"))
MANY = pytest.param(
    "per-service",
    id="process-per-service",
    marks=[pytest.mark.full, pytest.mark.xdist_group("e2e-process-per-service")],
)
FOREIGN = "1, people at Keycloak"
KEYCLOAK = pytest.param(
    FOREIGN, id="keycloak", marks=[pytest.mark.backends, pytest.mark.xdist_group("e2e-keycloak")]
)
