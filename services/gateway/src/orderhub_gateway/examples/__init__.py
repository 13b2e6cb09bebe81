"""The examples of the OpenAPI document. A test executes every one: its ids are replaced by real ones, nothing else.

`role` is who asks. A name that begins with `refused` shows a problem.
"""

from __future__ import annotations

from typing import Final

from orderhub_gateway.examples.admin import ADMIN
from orderhub_gateway.examples.api_keys import API_KEYS
from orderhub_gateway.examples.auth import AUTH
from orderhub_gateway.examples.catalogue import CATALOGUE
from orderhub_gateway.examples.clients import CLIENTS
from orderhub_gateway.examples.deliveries import DELIVERIES
from orderhub_gateway.examples.keys import KEYS
from orderhub_gateway.examples.mfa import MFA
from orderhub_gateway.examples.orders import ORDERS
from orderhub_gateway.examples.payments import PAYMENTS
from orderhub_gateway.examples.things import Example

__all__ = ["EXAMPLES", "Example"]

EXAMPLES: Final = {
    **AUTH,
    **MFA,
    **CATALOGUE,
    **ORDERS,
    **PAYMENTS,
    **DELIVERIES,
    **ADMIN,
    **KEYS,
    **CLIENTS,
    **API_KEYS,
}
"""By operation id."""
