"""Writes docs/conformance.md: the cases of tests/conformance, what each checks, and how the last run ended.

`python tools/conformance.py` runs the cases first (arguments go to pytest; `-m ""` for those in Go too). `--check`
runs nothing: it compares the document's cases with the tests, whatever their results are.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
CASES = ROOT / "tests" / "conformance"
DOCUMENT = ROOT / "docs" / "conformance.md"
NOT_RUN = "not run"
LAST_RUN = re.compile(r"^Last run: (.+)\.$", re.MULTILINE)
ROW = re.compile(r"^\| `(?P<name>[^`]+)` \|.*\| (?P<result>[^|]+) \|$", re.MULTILINE)
sys.path.insert(0, str(CASES))
modules: Any = importlib.import_module("oidcc.modules")
defects: Any = importlib.import_module("oidcc.defects")
PLANS: dict[str, tuple[str, ...]] = modules.PLANS
MODULE_OF = {modules.case_of(module): module for plan in PLANS.values() for module in plan}
SHORT = 8
"""More cases than these are counted, not named."""
PARTS = {
    "test_beyond_the_plan.py": (
        "Beyond the plans",
        "What no module asks and a provider can get wrong all the same.",
    ),
    "test_what_clients_ask.py": (
        "What clients ask by themselves",
        "Other ways to prove who they are, tokens for themselves, devices, looking at tokens and giving them back.",
    ),
    "test_relying_party_in_go.py": (
        "A relying party in Go",
        "coreos/go-oidc, built and run by `make test-full`.",
    ),
}


@dataclass(frozen=True)
class Case:
    """A test function, and what its docstring says first."""

    name: str
    says: str


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true", help="compare, and write nothing")
    given, for_pytest = options.parse_known_args()
    if given.check:
        return check()
    DOCUMENT.write_text(rendered(run(for_pytest), f"{datetime.now(UTC):%Y-%m-%d}"))
    return 0


def check() -> int:
    found = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    results = {row["name"]: row["result"].strip() for row in ROW.finditer(found)}
    told = LAST_RUN.search(found)
    if found == rendered(results, told[1] if told else NOT_RUN):
        return 0
    print(
        f"{DOCUMENT.relative_to(ROOT)} is not what the tests say: python tools/conformance.py",
        file=sys.stderr,
    )
    return 1


def run(for_pytest: list[str]) -> dict[str, str]:
    """How each case ended, by the name that the document has for it."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", str(CASES), f"--junitxml={report}", *for_pytest]
        ended = subprocess.run(command, cwd=ROOT, check=False).returncode
        if ended not in (0, 1):
            raise SystemExit(ended)
        return results_of(report)


def results_of(report: Path) -> dict[str, str]:
    counted: dict[str, list[int]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        function, _, given = str(case.get("name")).partition("@")[0].partition("[")
        name = given.removesuffix("]") if given.removesuffix("]") in defects.DEFECTS else function
        good = case.find("failure") is None and case.find("error") is None and case.find("skipped") is None
        counts = counted.setdefault(name, [0, 0])
        counts[0 if good else 1] += 1
    return {MODULE_OF.get(name, name): _words(*counts) for name, counts in counted.items()}


def _words(passed: int, failed: int) -> str:
    if failed:
        return f"**{failed} of {passed + failed} failed**" if passed else "**failed**"
    return "passed" if passed == 1 else f"{passed} passed"


def rendered(results: dict[str, str], last_run: str) -> str:
    return "\n".join([*_head(last_run), *_plans(results), *_others(results), *_defects(results)]) + "\n"


def _head(last_run: str) -> Iterator[str]:
    yield from (
        "# Conformance of the OpenID Provider",
        "",
        "Made by `tools/conformance.py` from `tests/conformance`; `make check` compares the cases, `make test` runs them.",
        "",
        "The modules are those of the OpenID Foundation's conformance suite, under its names; each case's docstring lists",
        "the conditions that it asserts. They run against auth and the gateway on a real PostgreSQL and a real Redis, with",
        "Authlib as the relying party and PyJWT to verify what joserfc has signed. The suite itself is not run here: it",
        "needs a public host. These cases are our reading of it, not a certificate.",
        "",
        f"Last run: {last_run}.",
    )


def _plans(results: dict[str, str]) -> Iterator[str]:
    known = {case.name: case for path in sorted(CASES.glob("test_oidcc_*.py")) for case in cases_of(path)}
    for plan, names in PLANS.items():
        yield from ("", f"## {plan}", "", "| module | checks | result |", "|---|---|---|")
        for name in names:
            yield _row(name, known[modules.case_of(name)].says, results)


def _others(results: dict[str, str]) -> Iterator[str]:
    for name, (title, about) in PARTS.items():
        yield from ("", f"## {title}", "", about, "", "| case | checks | result |", "|---|---|---|")
        for case in cases_of(CASES / name):
            yield _row(case.name, case.says, results)


def _defects(results: dict[str, str]) -> Iterator[str]:
    yield from (
        "",
        "## Planted defects",
        "",
        "Each is planted in the running provider by replacing one function for the length of a test, and turns exactly",
        f'these of the {len(defects.ALL)} cases above red; "all with an ID token" are {len(defects.FLOWS)}.',
        "",
        "| defect | noticed by | result |",
        "|---|---|---|",
    )
    for name, defect in defects.DEFECTS.items():
        yield _row(name, _noticing(defect.noticed), results)


def _noticing(cases: frozenset[str]) -> str:
    groups = {
        defects.ALL: "all",
        defects.FLOWS: "all with an ID token",
        defects.ANSWERED: "all with an answer",
    }
    if len(cases) > SHORT:
        return groups.get(cases, f"{len(cases)} cases")
    return ", ".join(f"`{MODULE_OF.get(case, case)}`" for case in sorted(cases))


def _row(name: str, says: str, results: dict[str, str]) -> str:
    return f"| `{name}` | {says.replace('|', '/')} | {results.get(name, NOT_RUN)} |"


def cases_of(path: Path) -> list[Case]:
    """Of one file, in its order; without importing it."""
    functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
    return [Case(node.name, _says(node)) for node in functions if node.name.startswith("test_")]


def _says(node: ast.FunctionDef) -> str:
    """The docstring's first line."""
    lines = (ast.get_docstring(node) or "").splitlines()
    if not lines:
        raise SystemExit(f"{node.name} does not say what it checks")
    return lines[0]


if __name__ == "__main__":
    sys.exit(main())
