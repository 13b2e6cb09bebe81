"""The cases can fail: each planted defect of the provider turns those red that should notice it, and no others."""

from __future__ import annotations

import re

import pytest
from oidcc.cases import all_cases, fails
from oidcc.defects import DEFECTS
from oidcc.noticing import modules
from oidcc.op import Provider

CASES = all_cases()
SPREAD = modules(
    "server", "userinfo-post-body", "scope-all", "prompt-login", "prompt-none-logged-in", "max-age-10000",
    "codereuse", "refresh-token", "ensure-registered-redirect-uri", "rp-initiated-logout",
    "rp-initiated-logout-no-params", "discovery-endpoint-verification",
)  # fmt: skip
"""Of those that should not notice, for every change; all of them when there is time."""
MANY = 10
BROKEN = re.compile(r"\w+: <?5\d\d[: ]")
"""How a failure begins that shows a status of 500 and more."""


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_noticed(provider: Provider, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The cases that should notice do, ten of them where there are more; of the others a dozen, and none of them does."""
    noticed = sorted(DEFECTS[name].noticed)
    step = -(-len(noticed) // MANY)
    check(provider, monkeypatch, name, SPREAD | frozenset(noticed[::step]))


@pytest.mark.full
@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_noticed_by_nobody_else(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Of all cases exactly those that should notice do."""
    check(provider, monkeypatch, name, frozenset(CASES))


def check(provider: Provider, monkeypatch: pytest.MonkeyPatch, name: str, asked: frozenset[str]) -> None:
    defect = DEFECTS[name]
    assert defect.noticed <= CASES.keys(), defect.noticed - CASES.keys()
    monkeypatch.setattr(provider.receiver, "patience", 2.0)
    defect.plant(monkeypatch)
    red = {case: why for case in sorted(asked) if (why := fails(CASES[case], provider))}
    assert set(red) == defect.noticed & asked, {
        "did not notice": sorted((defect.noticed & asked) - red.keys()),
        "should not notice": {case: why for case, why in red.items() if case not in defect.noticed},
    }
    # A plant that breaks the provider altogether would be noticed, too, and would show nothing.
    assert not {case: why for case, why in red.items() if BROKEN.match(why)}


def test_there_are_twenty_defects_and_more() -> None:
    """None is planted twice, and each is noticed by somebody."""
    assert len(DEFECTS) >= 20
    assert len({defect.plant for defect in DEFECTS.values()}) == len(DEFECTS)
    assert all(defect.noticed for defect in DEFECTS.values())
