"""Loopback ports: finding free ones, and saying in one line that a wanted one is taken."""

from __future__ import annotations

import errno
import socket

LOOPBACK = "127.0.0.1"


class PortRefused(Exception):
    """A wanted port cannot be had; the message is one line for the user."""


def free_port(host: str = LOOPBACK) -> int:
    """A port that nobody has, and that the kernel gives to nobody else for about a minute.

    A server that binds with SO_REUSEADDR (PostgreSQL, uvicorn, gRPC and asyncio do) can have it at once. A bare
    bind-to-0-and-close would leave it open to every outgoing connection until our child gets there; one accepted
    connection leaves the port in TIME_WAIT instead, which keeps the kernel from handing it out again.
    """
    with socket.socket() as listener, socket.socket() as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, 0))
        listener.listen(1)
        port = int(listener.getsockname()[1])
        client.connect((host, port))
        accepted, _ = listener.accept()
        # The side that closes first gets the TIME_WAIT; it has to be the one with our port.
        accepted.close()
        client.recv(1)
    return port


def free_ports(count: int, host: str = LOOPBACK) -> list[int]:
    """`count` different free ports (see `free_port`)."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port(host))
    return sorted(ports)


def listening_socket(port: int = 0, host: str = LOOPBACK, backlog: int = 2048) -> socket.socket:
    """A socket that listens already: hand it over, or its descriptor to a child, and no race is left.

    Raises PortRefused. The caller closes it.
    """
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError as problem:
        listener.close()
        raise PortRefused(_refusal(port, host, problem)) from problem
    except OverflowError as problem:
        listener.close()
        raise PortRefused(f"{port} is no port number: it has to be between 1 and 65535") from problem
    return listener


def require_free(port: int, host: str = LOOPBACK) -> int:
    """`port` itself, when it can be bound now. Raises PortRefused with one line that says what to do."""
    if not 0 < port < 65536:
        raise PortRefused(f"{port} is no port number: it has to be between 1 and 65535")
    listening_socket(port, host).close()
    return port


def _refusal(port: int, host: str, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop the program that listens there or choose another with --port"
    if problem.errno == errno.EACCES:
        return f"port {port} on {host} needs more rights: choose one above 1023 with --port"
    return f"port {port} on {host} cannot be used: {problem.strerror}"
