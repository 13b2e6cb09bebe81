"""Ways through toxiproxy, which makes them slow, narrow or dead for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx


class Toxiproxy:
    """Its ways are known by names; those of one link are `link-1`, `link-2` …, or `link` alone."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)
        self._listening: dict[str, str] = {}

    def way(self, name: str, target: str, listen: str = "127.0.0.1:0") -> str:
        """Where to connect (`host:port`) to be passed on to `target`; the same for the same name."""
        if name not in self._listening:
            answer = self._http.post("/proxies", json={"name": name, "listen": listen, "upstream": target})
            self._listening[name] = answer.raise_for_status().json()["listen"]
        return self._listening[name]

    @contextlib.contextmanager
    def trouble(self, link: str, kind: str, attributes: dict[str, int]) -> Iterator[None]:
        """`kind` and `attributes` are toxiproxy's; both directions suffer."""
        names = [name for name in self._listening if name == link or name.rpartition("-")[0] == link]
        assert names, f"no way leads over {link}: {sorted(self._listening)}"
        toxics = [(name, stream) for name in names for stream in ("upstream", "downstream")]
        try:
            for name, stream in toxics:
                toxic = {"name": stream, "type": kind, "stream": stream, "attributes": attributes}
                self._http.post(f"/proxies/{name}/toxics", json=toxic).raise_for_status()
            yield
        finally:
            for name, stream in toxics:
                self._http.delete(f"/proxies/{name}/toxics/{stream}").raise_for_status()

    def close(self) -> None:
        for name in self._listening:
            self._http.delete(f"/proxies/{name}")
        self._http.close()
