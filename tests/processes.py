"""How the product is spread over processes in these tests: one for `make test`; one per service, and two of each
service, for `make test-full`."""

from __future__ import annotations

import pytest

ONE = pytest.param("1", id="one-process", marks=pytest.mark.xdist_group("e2e-one-process"))
TWICE = pytest.param(
    "replicas",
    id="two-replicas-of-each",
    marks=[pytest.mark.full, pytest.mark.xdist_group("e2e-two-replicas")],
)
MANY = pytest.param(
    "per-service",
    id="process-per-service",
    marks=[pytest.mark.full, pytest.mark.xdist_group("e2e-process-per-service")],
)
