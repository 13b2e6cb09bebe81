"""The runner itself: tests of one group share a port or an installation, so one worker has to run them all."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("kept-together")
def test_a_group_reaches_the_distributor(request: pytest.FixtureRequest) -> None:
    """pytest-xdist tells it by a suffix of the id. A pytest that does not let it is to be noticed here, not by clashes."""
    if not request.config.getoption("loadgroup", default=False):
        assert "@" not in request.node.nodeid
        return
    assert request.node.nodeid.endswith("@kept-together")
