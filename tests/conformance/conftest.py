"""One running provider per worker for all of these cases, and for each case what it needs of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("oidcc")

from oidcc.op import Op, Provider  # noqa: E402
from oidcc.running import running  # noqa: E402


@pytest.fixture(scope="package")
def provider(open_databases: Any, redis_url: str) -> Iterator[Provider]:
    with running(open_databases, redis_url) as started:
        yield started


@pytest.fixture
def op(provider: Provider) -> Iterator[Op]:
    with Op(provider) as opened:
        yield opened
