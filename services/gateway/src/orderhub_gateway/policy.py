"""Which role may use which route: pycasbin over policy.csv, with every decision remembered.

This is the outer door. Whose order, product or delivery it is, the owning service decides.
"""

from __future__ import annotations

from importlib import resources

import casbin
from orderhub_chassis.calls import Caller
from orderhub_chassis.errors import Forbidden, Unauthenticated

ANYBODY = "anybody"


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
            self._decided[question] = self._enforcer.enforce(role, route, method)
        return self._decided[question]

    def check(self, caller: Caller, route: str, method: str) -> None:
        """Raises Unauthenticated where a token would help, Forbidden where it does not."""
        if any(self.allows(role, route, method) for role in caller.roles) or self.allows(
            ANYBODY, route, method
        ):
            return
        if not caller.user_id:
            raise Unauthenticated("this needs an access token")
        raise Forbidden("your role may not do this")
