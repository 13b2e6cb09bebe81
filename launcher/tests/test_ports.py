"""Loopback ports: free ones are free for a while, taken ones are named in one line."""

from __future__ import annotations

import socket

import pytest
from orderhub import ports


def test_a_free_port_can_be_bound_by_a_server() -> None:
    ports.listening_socket(ports.free_port()).close()


def test_a_free_port_is_given_to_nobody_else_meanwhile() -> None:
    reserved = set(ports.free_ports(20))
    assert len(reserved) == 20
    sockets = [socket.socket() for _ in range(200)]
    for one in sockets:
        one.bind((ports.LOOPBACK, 0))
    given = {one.getsockname()[1] for one in sockets}
    for one in sockets:
        one.close()
    assert not given & reserved


def test_a_taken_port_is_named_with_what_to_do() -> None:
    with ports.listening_socket() as taken:
        number = taken.getsockname()[1]
        with pytest.raises(ports.PortRefused, match=rf"port {number} .* is in use: .* --port"):
            ports.require_free(number)
    assert ports.require_free(number) == number


@pytest.mark.parametrize("number", [-1, 0, 65536, 10**9])
def test_what_is_no_port_is_refused(number: int) -> None:
    with pytest.raises(ports.PortRefused, match="no port number"):
        ports.require_free(number)


def test_a_listening_socket_takes_connections_before_anybody_accepts() -> None:
    with ports.listening_socket() as listener, socket.socket() as client:
        client.connect(listener.getsockname())
