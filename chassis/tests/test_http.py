"""The probes of every service, and the HTTP server around an app."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import AsyncExitStack

import pytest
from orderhub_chassis import http, metrics
from orderhub_chassis.health import Readiness
from orderhub_chassis.http import PortTaken


async def ask(port, path, method="GET"):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), head.decode().lower(), body


@pytest.fixture
def readiness():
    return Readiness()


@pytest.fixture
async def port(readiness):
    async with http.serve(http.health_app("shop", readiness), host="127.0.0.1", port=0) as port:
        yield port


async def test_livez_is_fine_while_the_process_answers(port):
    status, _, body = await ask(port, "/livez")
    assert (status, body) == (200, b'{"status":"alive"}')


async def test_readyz_says_who_is_not_ready_and_why(port, readiness):
    async def ready():
        status, _, body = await ask(port, "/readyz")
        return status, json.loads(body)

    assert await ready() == (
        503, {"service": "shop", "ready": False, "reasons": {"start": "not opened yet"}},
    )  # fmt: skip
    readiness.opened = True
    assert await ready() == (200, {"service": "shop", "ready": True, "reasons": {}})
    readiness.unready("relay", "the bus is away")
    readiness.unready("consumer", "orders's database is away")
    status, body = await ready()
    assert (status, body["reasons"]) == (
        503, {"relay": "the bus is away", "consumer": "orders's database is away"},
    )  # fmt: skip
    readiness.ready("relay")
    readiness.ready("consumer")
    readiness.ready("nobody")
    assert (await ready())[0] == 200
    readiness.opened = False
    assert (await ready())[0] == 503


async def test_metrics_are_prometheus_text_with_the_help_of_every_metric(port):
    metrics.DEAD_LETTERS.labels("shop-of-the-test", "t").inc()
    status, head, body = await ask(port, "/metrics")
    assert status == 200
    assert "content-type: text/plain" in head
    text = body.decode()
    assert 'orderhub_dead_letters_total{consumer="shop-of-the-test",topic="t"} 1.0' in text
    names = [value._name for value in vars(metrics).values() if hasattr(value, "_name")]
    assert len(names) > 15
    assert not [name for name in names if f"# HELP {name}" not in text]


async def test_a_head_has_no_body_and_another_path_is_not_found(port):
    status, _, body = await ask(port, "/livez", "HEAD")
    assert (status, body) == (200, b"")
    status, head, body = await ask(port, "/secrets")
    assert (status, json.loads(body)["status"]) == (404, 404)
    assert "application/problem+json" in head


async def raw(port, request):
    """What no client library sends; the server has to end the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(10):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), head.decode().lower(), body


def is_problem(answer, status, code):
    got, head, body = answer
    problem = json.loads(body)
    assert (got, problem["status"], problem["code"]) == (status, status, code)
    assert set(problem) == {"type", "title", "status", "detail", "code", "trace_id", "errors"}
    assert problem["type"] == f"urn:orderhub:problem:{code}"
    assert "content-type: application/problem+json" in head
    return head


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"hello\r\n\r\n", 400, "request.malformed"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "request.malformed"),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400, "request.malformed"),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, "request.malformed"),
        (b"FOO /livez HTTP/1.1\r\nHost: x\r\n\r\n", 405, "request.method_not_allowed"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "request.target_too_long"),
        (b"GET /livez HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431, "request.headers_too_large"),
    ],
    ids=["words", "tls", "no colon", "negative", "method", "target", "headers"],
)
async def test_what_is_no_http_is_a_problem_here_too(port, request_, status, code):
    head = is_problem(await raw(port, request_), status, code)
    assert "connection: close" in head
    assert ("allow: get, head" in head) == (status == 405)


async def test_another_path_and_another_method_are_problems(port):
    is_problem(await ask(port, "/secrets"), 404, "request.no_such_route")
    head = is_problem(await ask(port, "/livez", "POST"), 405, "request.method_not_allowed")
    assert "allow: get, head" in head
    assert (await ask(port, "/secrets", "HEAD"))[0] == 404


async def test_a_port_that_is_taken_is_told_in_one_line(port):
    with pytest.raises(PortTaken, match=rf"^port {port} on 127\.0\.0\.1 cannot be used: "):
        async with http.serve(None, host="127.0.0.1", port=port):
            pass


async def test_at_a_stop_a_request_that_is_under_way_is_answered_and_no_other_is_taken(eventually):
    under_way, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        under_way.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(http.serve(slow, host="127.0.0.1", port=0, grace=5))
        asking = asyncio.create_task(ask(port, "/"))
        await under_way.wait()
        closing = asyncio.create_task(stack.aclose())
        await eventually(lambda: _refuses(port))
        go_on.set()
        await closing
    assert (await asking)[0] == 204


async def _refuses(port):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return True
    writer.close()
    return False


@pytest.mark.parametrize(
    ("host", "family"),
    [
        ("127.0.0.1", socket.AF_INET),
        ("0.0.0.0", socket.AF_INET),
        ("localhost", socket.AF_INET),
        ("::1", socket.AF_INET6),
        ("::", socket.AF_INET6),
        ("fe80::1%eth0", socket.AF_INET6),
    ],
)
def test_the_address_decides_between_ipv4_and_ipv6(host, family):
    assert http.family_of(host) == family


async def test_a_family_that_the_machine_does_not_have_is_told_in_one_line(monkeypatch):
    nobody_has_this = 9999
    monkeypatch.setattr(http, "family_of", lambda host: nobody_has_this)
    with pytest.raises(PortTaken, match=r"^port 0 on ::1 cannot be used: Address family not supported"):
        async with http.serve(None, host="::1", port=0):
            pass


async def test_ipv6_is_served_or_refused_in_one_line():
    assert (await _served_on("::1")).startswith(("served", "port 0 on ::1 cannot be used: "))


async def _served_on(host):
    try:
        async with http.serve(http.health_app("shop", Readiness()), host=host, port=0) as port:
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            return "served"
    except PortTaken as refused:
        return str(refused)
