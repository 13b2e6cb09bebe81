"""Stand-ins and faults: Stripe's own mock of its API, and toxiproxy, which makes links slow, narrow or dead."""

from __future__ import annotations

from .. import probes
from ..processes import Program
from ..room import LOOPBACK, Part, Plan, Room


def _stripe(room: Room) -> Plan:
    port = room.port("stripe-mock")
    argv = [str(room.pins["stripe-mock"] / "bin" / "stripe-mock"), "-http-addr", f"{LOOPBACK}:{port}"]
    # Unsaid, it would take its usual port for HTTPS on every interface.
    # Like the API itself it then refuses a client that asks for a version other than its own.
    argv += ["-https-addr", f"{LOOPBACK}:{room.port('stripe-mock-https')}", "-strict-version-check"]
    # It asks for a key, and takes any of this form.
    ready = probes.http_says(port, "/v1/charges", '"/v1/charges"', {"Authorization": "Bearer sk_test_123"})
    return Plan([Program("stripe-mock", argv, ready)], {"url": f"http://{LOOPBACK}:{port}"})


def _toxiproxy(room: Room) -> Plan:
    port = room.port("toxiproxy")
    argv = [str(room.pins["toxiproxy"] / "bin" / "toxiproxy"), "-host", LOOPBACK, "-port", str(port)]
    program = Program("toxiproxy", argv, probes.http_says(port, "/version", '"version"'))
    return Plan([program], {"url": f"http://{LOOPBACK}:{port}"})


STRIPE_MOCK = Part("stripe-mock", ("stripe-mock",), _stripe)
TOXIPROXY = Part("toxiproxy", ("toxiproxy",), _toxiproxy)
