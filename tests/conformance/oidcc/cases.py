"""The cases as functions that can be run against a provider, whatever the test runner thinks of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Final

from oidcc.op import Op, Provider

FILES: Final = (
    "test_oidcc_discovery",
    "test_oidcc_basic",
    "test_oidcc_sessions",
    "test_oidcc_grants",
    "test_oidcc_logout",
    "test_beyond_the_plan",
    "test_what_clients_ask",
)
Case = Callable[[Op], None]


def all_cases() -> dict[str, Case]:
    """By name, those that need nothing but a provider."""
    modules = [importlib.import_module(name) for name in FILES]
    return {
        name: case
        for module in modules
        for name, case in vars(module).items()
        if name.startswith("test_") and list(case.__annotations__) == ["op", "return"]
    }


def fails(case: Case, provider: Provider) -> str:
    """Why it fails, in a line; "" when it does not. What a broken provider makes a case raise is as good a failure."""
    try:
        with Op(provider) as op:
            case(op)
    except Exception as error:  # noqa: BLE001
        lines = str(error).splitlines() or [""]
        return f"{type(error).__name__}: {lines[0]}"
    return ""
