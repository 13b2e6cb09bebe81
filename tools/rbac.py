"""docs/rbac.md, made from the gateway's policy. `python tools/rbac.py` writes it, `--check` compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from orderhub_contracts.api_keys import SCOPES
from orderhub_gateway.policy import ANYBODY, ROLES, SCOPE, WHOSE, Policy

DOCUMENT: Final = Path(__file__).resolve().parent.parent / "docs" / "rbac.md"
NOBODY: Final = "–"
HEAD: Final = """\
# Who may do what

Made from `services/gateway/src/orderhub_gateway/policy.csv` by `tools/rbac.py`; `make check` compares, and
`services/gateway/tests/integration/test_rbac.py` walks every route by this table, as nine callers.

A route needs a permission; roles have permissions. The gateway looks at that (pycasbin; a decision is made once per role,
route and method, and remembered). Whose things somebody may touch the owning service decides, from the signed token that
comes with every call, so that a call past the gateway gains nothing.

"""


def document(policy: Policy) -> str:
    return HEAD + "\n".join([*_words(), "", *_scopes(), "", *_table(policy)]) + "\n"


def _words() -> Iterator[str]:
    yield "| word | means |"
    yield "|---|---|"
    for word, meaning in WHOSE.items():
        yield f"| {word} | {meaning} |"
    yield f"| {NOBODY} | refused: 401 `auth.unauthenticated` without a token, 403 `auth.forbidden` with one |"
    yield ""
    yield "What a customer may do with its own order, a stranger may not with it; a stranger's own is another matter."
    yield "A service has no way in over HTTP: its identity is for gRPC alone, and as an access token it is refused (401)."


def _scopes() -> Iterator[str]:
    yield "A vendor's API key is a vendor limited to scopes; the last column of the table says which opens a route. What anybody"
    yield "may do needs none. Any other route answers 403 `auth.insufficient_scope`, or `auth.forbidden` where no vendor comes in."
    yield ""
    yield "| scope | lets a key |"
    yield "|---|---|"
    for scope, meaning in SCOPES.items():
        yield f"| {scope} | {meaning} |"


def _table(policy: Policy) -> Iterator[str]:
    whose = {(rule.who, rule.permission): rule.whose for rule in policy.rules()}
    yield f"| route | permission | anonymous | {' | '.join(ROLES)} | API key |"
    yield f"|---|---|{'---|' * (len(ROLES) + 2)}"
    for route, permission in policy.routes().items():
        open_to_all = whose.get((ANYBODY, permission), NOBODY)
        cells = [open_to_all, *(whose.get((role, permission), open_to_all) for role in ROLES)]
        scopes = [scope for scope in SCOPES if (f"{SCOPE}{scope}", permission) in whose]
        cells.append(", ".join(scopes) or open_to_all)
        yield f"| `{route}` | {permission} | {' | '.join(cells)} |"


def main(arguments: list[str]) -> int:
    made = document(Policy())
    if arguments != ["--check"]:
        DOCUMENT.write_text(made)
        return 0
    if DOCUMENT.read_text() == made:
        return 0
    print("docs/rbac.md is not what the policy says: run `.venv/bin/python tools/rbac.py`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
