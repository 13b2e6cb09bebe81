"""Who may use which route: pycasbin over policy.csv, with every decision remembered.

This is the outer door: it knows roles, permissions and routes. Whose order, product or delivery it is, the owning
service decides; the policy says in a word how (`WHOSE`), docs/rbac.md shows it, and a test walks every route by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from typing import Final, NamedTuple

import casbin
from orderhub_chassis.calls import Caller
from orderhub_chassis.errors import Forbidden, Unauthenticated

from orderhub_gateway.errors import ScopeMissing

ANYBODY: Final = "anybody"
SCOPE: Final = "scope "
"""Before the name of an API key's scope, where the policy has a role otherwise."""
ROLES: Final = ("customer", "vendor", "courier", "operator")
WHOSE: Final = {
    "all": "everybody's",
    "own": "what belongs to the caller: a customer's own orders with their payments and deliveries, what is a vendor's or"
    " of its products, a user's own sessions. Lists leave out the rest; by its id it is not found (404)",
    "free": "deliveries that the courier has, and those that nobody has yet. Lists leave out the rest; by its id it is not"
    " found (404)",
    "self": "the caller acts for itself and names nothing of anybody else",
    "signed": "whoever has signed it with the provider's secret",
}


class Rule(NamedTuple):
    """One line of the policy: `who` has the permission over `whose` things."""

    who: str
    permission: str
    whose: str


class Policy:
    """An enforce costs about 160 µs; the table of decisions has a few hundred entries at most."""

    def __init__(self) -> None:
        folder = resources.files("orderhub_gateway")
        with (
            resources.as_file(folder / "policy.conf") as model,
            resources.as_file(folder / "policy.csv") as rules,
        ):
            self._enforcer = casbin.Enforcer(str(model), str(rules))
        self._decided: dict[tuple[str, str, str], bool] = {}

    def allows(self, role: str, route: str, method: str) -> bool:
        question = (role, route, method)
        if question not in self._decided:
            self._decided[question] = self._enforcer.enforce(role, f"{method} {route}")
        return self._decided[question]

    def check(self, caller: Caller, route: str, method: str) -> None:
        """Raises Unauthenticated where a token would help, Forbidden or ScopeMissing where it does not."""
        if self.allows(ANYBODY, route, method):
            return
        if not caller.user_id:
            raise Unauthenticated("this needs an access token")
        if not any(self.allows(role, route, method) for role in caller.roles):
            raise Forbidden("your role may not do this")
        if caller.scopes is not None and not self.scopes_for(caller.scopes, route, method):
            raise ScopeMissing

    def scopes_for(self, scopes: Iterable[str], route: str, method: str) -> list[str]:
        """Those of the scopes that open the route."""
        return [scope for scope in scopes if self.allows(f"{SCOPE}{scope}", route, method)]

    def rules(self) -> list[Rule]:
        return [Rule(*line) for line in self._enforcer.get_policy()]

    def routes(self) -> dict[str, str]:
        """The permission that each route (`METHOD template`) needs."""
        return dict(self._enforcer.get_named_grouping_policy("g2"))
