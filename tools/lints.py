"""The house rules that no ready-made linter knows, each with the story of why. Prints `path:line: rule: …`.

A rule is a function from a parsed module to findings, listed in RULES. `python tools/lints.py --why` tells the
stories.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Module:
    """One source file: `package` is its top package (orderhub_orders), `room` its file name without .py."""

    path: Path
    package: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.path.stem

    @property
    def rooms(self) -> set[str]:
        """The file's name and those of the folders above it within the package: `model/order.py` is model too."""
        inside = self.path.parts[self.path.parts.index(self.package) + 1 :]
        return {Path(part).stem for part in inside}


@dataclass(frozen=True)
class Finding:
    line: int
    text: str


Rule = Callable[[Module], Iterator[Finding]]

SERVICES = frozenset(
    f"orderhub_{path.name}" for path in (ROOT / "services").iterdir() if (path / "pyproject.toml").exists()
)


def imported(module: Module) -> Iterator[tuple[int, str]]:
    """Every imported name with its line: `from a.b import c` gives `a.b.c`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def calls(module: Module) -> Iterator[tuple[int, str]]:
    """Every call with its line and the dotted name as it is written, `self.db.commit` for instance."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield node.lineno, dotted(node.func)


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def no_service_imports_another(module: Module) -> Iterator[Finding]:
    """Several services share a process by default, where such an import works and even looks quick. It breaks the day
    they run apart, and it lets one service read another's tables behind its back. Ask over gRPC or listen to events.
    """
    if module.package in SERVICES:
        for line, name in imported(module):
            other = name.split(".")[0]
            if other in SERVICES and other != module.package:
                yield Finding(line, f"{module.package} imports {name}")


def commits_only_in_the_chassis(module: Module) -> Iterator[Finding]:
    """The transaction wrapper writes the outbox as its last statement before the commit. A handler that commits by
    itself sends its effects without their messages: an order that is paid and that nobody ever delivers. Only what
    is awaited counts: `shelf.commit()` of a pure model is the domain's own word.
    """
    if module.package == "orderhub_chassis":
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
            name, arguments = dotted(node.value.func), node.value.args
            said = [str(one.value).strip(" ;").lower() for one in arguments if isinstance(one, ast.Constant)]
            if name.endswith(".commit") or (name.endswith(".execute") and said[:1] == ["commit"]):
                yield Finding(node.lineno, f"{name}() commits outside the chassis")


OUTSIDE_WORLD = frozenset(
    [
        "aiohttp",
        "asyncio",
        "asyncpg",
        "concurrent",
        "grpc",
        "http",
        "httpx",
        "io",
        "multiprocessing",
        "os",
        "pathlib",
        "prometheus_client",
        "random",
        "redis",
        "requests",
        "secrets",
        "select",
        "shutil",
        "socket",
        "sqlite3",
        "ssl",
        "structlog",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
    ]
)
CLOCKS_AND_DICE = frozenset({"now", "utcnow", "today", "uuid1", "uuid4", "uuid6", "uuid7", "uuid8"})


def models_are_pure(module: Module) -> Iterator[Finding]:
    """The exhaustive state tables, the hypothesis tests and the simulation run the very functions of production, a
    hundred thousand times a second and always with the same result. One look at the clock ends that: pass `now`,
    ids and loaded state in.
    """
    if module.package not in SERVICES or "model" not in module.rooms:
        return
    for line, name in imported(module):
        if name.split(".")[0] in OUTSIDE_WORLD:
            yield Finding(line, f"a model imports {name}")
    for line, name in calls(module):
        if name == "open" or ("." in name and name.split(".")[-1] in CLOCKS_AND_DICE):
            yield Finding(line, f"a model calls {name}()")


METRIC_CLASSES = frozenset({"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"})


def metrics_only_in_metrics(module: Module) -> Iterator[Finding]:
    """Dashboards and alerts live on metric names. With all of a service's names in one file a rename is seen in
    review, and none is made up twice with other labels, which prometheus_client answers with a crash at start.
    """
    if module.package == "orderhub_chassis" or "metrics" in module.rooms:
        return
    direct = {
        name.split(".")[-1] for _, name in imported(module) if name.split(".")[0] == "prometheus_client"
    } & METRIC_CLASSES
    for line, name in calls(module):
        last = name.split(".")[-1]
        if (name in direct) or (name.startswith("prometheus_client.") and last in METRIC_CLASSES):
            yield Finding(line, f"{name}(…) makes a metric outside metrics.py")


SHADOWED = frozenset({"logging", "types", "signal"})


def no_module_shadows_the_standard_library(module: Module) -> Iterator[Finding]:
    """A file `types.py` or `logging.py` wins over the standard library's as soon as somebody runs a script from its
    folder; the error then shows up in enum or asyncio and costs an afternoon.
    """
    for name in sorted(module.rooms & SHADOWED):
        yield Finding(1, f"a module called {name}")


def tokens_are_issued_behind_one_gate(module: Module) -> Iterator[Finding]:
    """Keycloak let locked users in by the grant that somebody had forgotten, four times. Here one room makes tokens, and
    asks `check_can_issue` first: a new grant cannot forget it.
    """
    if module.package != "orderhub_auth" or module.room == "issuing":
        return
    for line, name in calls(module):
        if name.endswith((".access_token", ".insert_refresh_token")):
            yield Finding(line, f"{name}() makes a token outside issuing.py")


RULES: tuple[Rule, ...] = (
    no_service_imports_another,
    commits_only_in_the_chassis,
    models_are_pure,
    metrics_only_in_metrics,
    no_module_shadows_the_standard_library,
    tokens_are_issued_behind_one_gate,
)


def modules(root: Path) -> Iterator[Module]:
    """Our own sources: `…/src/<package>/…`, without generated code and tests."""
    for source in sorted([*root.glob("*/src"), *root.glob("services/*/src")]):
        for path in sorted(source.rglob("*.py")):
            if not path.stem.endswith(("_pb2", "_pb2_grpc")):
                yield Module(path, path.relative_to(source).parts[0], ast.parse(path.read_bytes(), str(path)))


def findings(root: Path) -> Iterator[tuple[Module, Rule, Finding]]:
    for module in modules(root):
        for rule in RULES:
            yield from ((module, rule, finding) for finding in rule(module))


def why(rule: Rule) -> str:
    return " ".join((rule.__doc__ or "").split())


def main(arguments: list[str]) -> int:
    if arguments == ["--why"]:
        print("\n\n".join(f"{rule.__name__}: {why(rule)}" for rule in RULES))
        return 0
    found = list(findings(ROOT))
    for module, rule, finding in found:
        print(f"{module.path.relative_to(ROOT)}:{finding.line}: {rule.__name__}: {finding.text}")
    for rule in dict.fromkeys(rule for _, rule, _ in found):
        print(f"\n{rule.__name__}, why: {why(rule)}")
    if not found:
        print(f"{len(RULES)} house rules hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
