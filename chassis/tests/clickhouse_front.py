"""ClickHouse's HTTP interface over chdb, in a process of its own: `clickhouse_front.py FOLDER PORT USER PASSWORD`.

For tests where no server is to be had. All SQL, types, formats, errors and deduplication are the engine's; here are only
what HTTP adds: where query, parameters, settings and data stand, who may ask, and how an error comes back. On SIGUSR1 the
next two inserts are done and their answers lost, as when the network goes at the wrong moment; two, as the driver
repeats a request by itself whose connection was closed.
"""

from __future__ import annotations

import re
import signal
import sys
import tempfile
import threading
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import chdb
import zstandard

TRANSPORT = frozenset(
    {
        "database", "query", "client_protocol_version", "wait_end_of_query", "send_progress_in_http_headers",
        "http_headers_progress_interval_ms", "enable_http_compression", "session_id", "query_id", "compress",
        "default_format", "buffer_size", "cancel_http_readonly_queries_on_client_close", "role",
    }
)  # fmt: skip
"""What a server's HTTP handler reads itself; all else that is no parameter of the query is a setting."""
INSERT = re.compile(rb"\s*(insert\s+into\s.*?)\s+format\s+(\w+)\s*\Z", re.IGNORECASE | re.DOTALL)
CODE = re.compile(r"Code: (\d+)")


class Engine:
    """One connection to the folder; one statement at a time."""

    def __init__(self, folder: str) -> None:
        self._connection = chdb.connect(folder)
        self._turn = threading.Lock()
        self.answers_to_lose = 0

    def run(self, query: bytes, data: bytes, given: dict[str, str]) -> bytes:
        """Raises RuntimeError with the engine's own words."""
        parameters = {name[6:]: value for name, value in given.items() if name.startswith("param_")}
        settings = {
            name: value for name, value in given.items() if name not in TRANSPORT and name[:6] != "param_"
        }
        with self._turn:
            if database := given.get("database"):
                self._connection.query(f"use `{database}`")
            for name, value in settings.items():
                self._connection.query(f"set {name} = '{value}'")
            try:
                return self._insert(query, data) if data else self._query(query.decode(), parameters)
            finally:
                for name in settings:
                    self._connection.query(f"set {name} = default")

    def _insert(self, query: bytes, data: bytes) -> bytes:
        found = INSERT.match(query)
        if found is None:
            return self._query((query + b"\n" + data).decode(), {})
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            head, form = found[1].decode(), found[2].decode()
            return self._query(f"{head} from infile '{file.name}' format {form}", {})

    def _query(self, query: str, parameters: dict[str, str]) -> bytes:
        return bytes(self._connection.query(query, "TabSeparated", params=parameters).bytes())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: Engine
    users: dict[str, str]

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        try:
            body = self._body()
        except zstandard.ZstdError as error:
            self._fail(400, f"the body cannot be unpacked: {error}")
            return
        if not self._may_ask():
            self._fail(403, "Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)")
            return
        query, data = (given["query"].encode(), body) if "query" in given else _parted(body)
        try:
            found = self.engine.run(query, data, given)
        except RuntimeError as error:
            self._fail(500, str(error))
            return
        if self.engine.answers_to_lose and query.lstrip()[:6].lower() == b"insert":
            self.engine.answers_to_lose -= 1
            self.close_connection = True
            self.connection.close()
            return
        self._send(200, found, {})

    def _body(self) -> bytes:
        sent = self._sent()
        if self.headers.get("content-encoding") != "zstd":
            return sent
        # A frame per block.
        return zstandard.ZstdDecompressor().stream_reader(sent, read_across_frames=True).read()

    def _sent(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _may_ask(self) -> bool:
        user, password = self.headers.get("x-clickhouse-user"), self.headers.get("x-clickhouse-key", "")
        kind, _, basic = self.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            user, _, password = b64decode(basic).decode().partition(":")
        return user in self.users and self.users[user] == password

    def _fail(self, status: int, words: str) -> None:
        code = CODE.search(words)
        self._send(status, words.encode(), {"x-clickhouse-exception-code": code[1]} if code else {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {
            **headers,
            "content-length": str(len(body)),
            "x-clickhouse-timezone": "UTC",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test's output is the test's."""


def _parted(body: bytes) -> tuple[bytes, bytes]:
    """A body that holds the query: up to the end of the line that names an insert's format, and then the data."""
    head, end, data = body.partition(b"\n")
    return (head, data) if end and INSERT.match(head) else (body, b"")


def main() -> None:
    folder, port, user, password = sys.argv[1:]
    Handler.engine, Handler.users = Engine(folder), {user: password}
    signal.signal(signal.SIGUSR1, lambda *_: setattr(Handler.engine, "answers_to_lose", 2))
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
