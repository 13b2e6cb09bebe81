"""The small decisions of the edge."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from orderhub_chassis.errors import Failure
from orderhub_gateway.calling import PREFER_WAIT
from orderhub_gateway.reading import check_accept, check_query, client_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", b"198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", b"198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", b"1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("10.0.0.1", b"10.0.0.3", "10.0.0.1"),
        ("10.0.0.1", b"forged\xff", "forged\xff"),
        ("fd00::1", b"2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_client_is_the_last_hop_that_is_no_proxy_of_ours(
    peer: str, forwarded: bytes, expected: str
) -> None:
    assert client_address({"client": (peer, 1)}, {b"x-forwarded-for": forwarded}, PROXIES) == expected


def test_without_proxies_nobody_is_believed() -> None:
    assert client_address({"client": ("10.0.0.1", 1)}, {b"x-forwarded-for": b"1.1.1.1"}, ()) == "10.0.0.1"


@pytest.mark.parametrize("query", [b"", b"a=1", b"a=%20&b=%d0%b6", b"a=&b", b"&&"])
def test_a_good_query_passes(query: bytes) -> None:
    check_query(query)


@pytest.mark.parametrize("query", [b"a=%ff", b"a=\xff", b"a=%00", b"a=1&a=2", b"a&a"])
def test_a_bad_query_is_refused(query: bytes) -> None:
    with pytest.raises(Failure):
        check_query(query)


@pytest.mark.parametrize("accept", [b"application/json", b"text/html,*/*;q=0.8", b"APPLICATION/*", b" "])
def test_who_takes_json_passes(accept: bytes) -> None:
    check_accept(accept)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=5", "5"), ("respond-async, wait=10", "10"), ("wait = 3", "3"), ('wait="7"', "7"), ("Wait=1; x", "1"),
        ("wait=-1", None), ("wait=5s", None), ("await=5", None), ("wait", None), ("", None), ("wait=1.5", None),
    ],
)  # fmt: skip
def test_the_preferred_wait_is_read_and_nonsense_ignored(prefer: str, seconds: str | None) -> None:
    found = PREFER_WAIT.search(prefer)
    assert (found[1] if found else None) == seconds
