"""A relying party's own server: takes logout tokens."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    content_type: str
    form: dict[str, str]


class Receiver:
    """`url` is where it listens; every client has a path of its own below it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.patience = 10.0
        self._received: defaultdict[str, queue.Queue[Received]] = defaultdict(queue.Queue)

    def take(self, url: str) -> Received:
        """What came next to this URL. Raises AssertionError when nothing does within `patience` seconds."""
        try:
            return self._received[url.removeprefix(self.url)].get(timeout=self.patience)
        except queue.Empty:
            raise AssertionError(f"no logout token came within {self.patience} s") from None

    def add(self, received: Received) -> None:
        self._received[received.path].put(received)


@contextmanager
def listening() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            kind = self.headers.get("content-type", "").partition(";")[0]
            form = dict(parse_qsl(body.decode(), keep_blank_values=True))
            receiver.add(Received("POST", self.path, kind, form))
            self.send_response(200)
            self.send_header("cache-control", "no-store")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
