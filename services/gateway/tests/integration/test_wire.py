"""What is no HTTP that the parser takes: over raw sockets, since every client library refuses to send it."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from typing import Any

HEAD = b"GET /ping HTTP/1.1\r\nHost: x\r\n"
LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = LOGIN + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


async def sent(api: Any, *pieces: bytes) -> list[Answer]:
    """All answers to these bytes. The server has to end the connection: nothing more is sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.http.base_url.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    async with asyncio.timeout(20):
        received = await reader.read()
    writer.close()
    return list(answers(received))


def answers(received: bytes) -> Any:
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", "0"))
        yield Answer(int(status.split()[1]), headers, received[:length])
        received = received[length:]


def assert_refused(answer: Answer, status: int, code: str) -> None:
    problem = json.loads(answer.body)
    assert (answer.status, problem["status"], problem["code"]) == (status, status, code), answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert problem["type"] == f"urn:orderhub:problem:{code}"
    assert set(problem) == {"type", "title", "status", "detail", "code", "trace_id", "errors"}
    assert len(problem["trace_id"]) == 32
    assert problem["trace_id"] in answer.headers["traceparent"]
    assert len(answer.headers["x-request-id"]) > 8
    assert answer.headers["x-content-type-options"] == "nosniff"


MALFORMED = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    b"hello\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1 x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /\xd1\x84 HTTP/1.1\r\nHost: x" + END,
    b"GET /a\0b HTTP/1.1\r\nHost: x" + END,
    b"CONNECT example.org:443 HTTP/1.1\r\nHost: x" + END,
    HEAD + b"no colon" + END,
    HEAD + b"Space : x" + END,
    HEAD + b": x" + END,
    HEAD + b"X: a\0b" + END,
    HEAD + b"X: a\rb" + END,
    HEAD + b"\xff: b" + END,
    LOGIN + b"Content-Length: five" + END,
    LOGIN + b"Content-Length: -1" + END,
    LOGIN + b"Content-Length: " + END,
    LOGIN + b"Content-Length: " + b"9" * 40 + END,
    LOGIN + b"Content-Length: 2\r\nContent-Length: 3" + END,
    LOGIN + b"Content-Length: 2\r\nTransfer-Encoding: chunked" + END,
    LOGIN + b"Transfer-Encoding: chunked, gzip" + END,
    CHUNKED + b"xyz\r\n",
    CHUNKED + b"2\r\n{}xx\r\n0\r\n\r\n",
    CHUNKED + b"f" * 20 + b"\r\n",
]


async def test_what_is_no_http_is_a_problem_like_every_other(api: Any) -> None:
    for request in MALFORMED:
        (answer,) = await sent(api, request)
        assert_refused(answer, 400, "request.malformed")


async def test_a_request_to_two_hosts_is_refused(api: Any) -> None:
    (answer,) = await sent(api, HEAD + b"Host: y\r\nConnection: close" + END)
    assert_refused(answer, 400, "request.header_doubled")


async def test_an_unknown_method_is_told_the_known_ones(api: Any) -> None:
    for line in (b"FOO / HTTP/1.1", b"get /ping HTTP/1.1", b"X-Y!z /api/v1/orders?a=b HTTP/1.0"):
        (answer,) = await sent(api, line + b"\r\nHost: x" + END)
        assert_refused(answer, 405, "request.method_not_allowed")
        assert answer.headers["allow"] == "get, head, post, put, patch, delete, options"


async def test_methods_that_only_the_parser_knows_are_problems_too(api: Any) -> None:
    for method in (b"PROPFIND", b"LINK", b"PURGE", b"M-SEARCH", b"TRACE"):
        request = method + b" /api/v1/orders HTTP/1.1\r\nHost: x\r\nConnection: close" + END
        (answer,) = await sent(api, request)
        assert_refused(answer, 405, "request.method_not_allowed")


async def test_a_target_may_be_as_long_as_the_setting_says(open_gateway: Any) -> None:
    api = await open_gateway(target_limit=2000)
    for length, status in ((2000, 404), (2001, 414), (100_000, 414)):
        line = b"GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close" % (b"a" * (length - 1))
        (answer,) = await sent(api, line + END)
        code = "request.no_such_route" if status == 404 else "request.target_too_long"
        assert_refused(answer, status, code)


async def test_headers_may_be_as_large_as_the_setting_says(open_gateway: Any) -> None:
    api = await open_gateway(headers_limit=5000)
    name, more = b"X: ", b"\r\nConnection: close" + END
    around = len(b"Host: x\r\n" + name + more) - 2
    for length, status in ((5000, 200), (5001, 431), (100_000, 431)):
        (answer,) = await sent(api, HEAD + name + b"a" * (length - around) + more)
        assert answer.status == status
        if status == 431:
            assert_refused(answer, 431, "request.headers_too_large")
    (answer,) = await sent(api, HEAD + b"a:b\r\n" * 1200 + END)
    assert_refused(answer, 431, "request.headers_too_large")


async def test_what_never_ends_is_refused_before_it_fills_the_memory(api: Any) -> None:
    letters, lines = b"a" * 65536, b"a: b\r\n" * 10_000
    for begin, endless in (
        (HEAD, letters),
        (HEAD + b"X: ", letters),
        (HEAD, lines),
        (CHUNKED + b"0\r\nX: ", letters),
        (CHUNKED + b"0\r\n", lines),
        (CHUNKED + b"2;x=", letters),
        (b"", b"\r\n" * 32768),
    ):
        (answer,) = await sent(api, begin, *[endless] * 32)
        assert_refused(answer, 431, "request.headers_too_large")
    (answer,) = await sent(api, b"GET /", *[letters] * 32)
    assert_refused(answer, 414, "request.target_too_long")


async def test_a_long_body_after_a_head_in_pieces_is_no_large_head(api: Any) -> None:
    head = LOGIN + b"Content-Length: 600000\r\nConnection: close\r\n"
    (answer,) = await sent(api, head[:30], head[30:], b"\r\n" + b" " * 600_000)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "request.malformed_json")


async def test_the_request_id_that_was_read_is_kept(api: Any) -> None:
    (answer,) = await sent(api, HEAD + b"X-Request-Id: my-id-123\r\nAccept: */*\r\nno colon" + END)
    assert_refused(answer, 400, "request.malformed")
    assert answer.headers["x-request-id"] == "my-id-123"


async def test_a_refused_head_has_no_body(api: Any) -> None:
    (answer,) = await sent(api, b"HEAD /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: x" + END)
    assert (answer.status, answer.body) == (414, b"")


async def test_a_head_leaves_the_connection_to_the_next_request(api: Any) -> None:
    """A HEAD's answer names the length of a body that does not follow: nothing may miss it."""
    request = b"HEAD /ping HTTP/1.1\r\nHost: x" + END
    refused = b"HEAD /nowhere HTTP/1.1\r\nHost: x" + END
    reader, writer = await asyncio.open_connection("127.0.0.1", api.http.base_url.port)
    async with asyncio.timeout(20):
        for sending, status in ((request, 200), (refused, 404), (request, 200)):
            writer.write(sending)
            head = await reader.readuntil(END)
            assert int(head.split()[1]) == status
            assert b"content-length: 0" not in head
    writer.close()


async def test_a_head_is_counted(api: Any) -> None:
    await api("HEAD", "/ping")
    metrics = (await api("GET", "/metrics")).text
    assert 'method="HEAD",route="/ping",service="gateway",status="200"' in metrics


async def test_answers_keep_the_order_of_the_requests(api: Any) -> None:
    """A refusal that overtook would be taken for the answer to the request before."""
    first, second, refused = await sent(api, HEAD + b"\r\n" + HEAD + b"\r\n" + HEAD + b"no colon" + END)
    assert (first.status, second.status) == (200, 200)
    assert_refused(refused, 400, "request.malformed")
    first, refused = await sent(api, HEAD + b"\r\n" + CHUNKED + b"xyz\r\n")
    assert first.status == 200
    assert_refused(refused, 400, "request.malformed")


async def test_whatever_is_broken_the_answer_is_json(api: Any) -> None:
    chance = random.Random(7)
    good = HEAD + b"Accept: */*\r\nConnection: close\r\n\r\n"
    login = LOGIN + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"
    for number in range(300):
        request = bytearray(chance.choice((good, login)))
        for _ in range(chance.randint(1, 3)):
            request[chance.randrange(len(request))] = chance.randrange(256)
        # What was broken may ask for more than there is: an end of the input ends that.
        for answer in await sent_and_ended(api, bytes(request)):
            assert answer.headers["content-type"] in ("application/json", "application/problem+json"), (
                number, bytes(request), answer,
            )  # fmt: skip


async def sent_and_ended(api: Any, request: bytes) -> list[Answer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.http.base_url.port)
    writer.write(request)
    writer.write_eof()
    async with asyncio.timeout(20):
        received = await reader.read()
    writer.close()
    return list(answers(received))
