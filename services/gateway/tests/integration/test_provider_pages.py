"""The provider's pages in a real browser: a person who has never been here logs in, allows, and arrives at the client."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from aiohttp import web

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0",
)  # fmt: skip
ONLY_HERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
SECONDS = 60
UNLABELLED = """
[...document.querySelectorAll('input:not([type=hidden])')].filter(one => !one.labels.length).map(one => one.name)
"""
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
FACTS = f"""JSON.stringify({{
    title: document.title, heading: document.querySelector('h1')?.textContent, language: document.documentElement.lang,
    styled: document.querySelector('main') ? getComputedStyle(document.querySelector('main')).paddingTop : null,
    alert: document.querySelector('[role=alert]')?.textContent ?? '', focus: document.activeElement?.name ?? '',
    unlabelled: {UNLABELLED.strip()},
}})"""


class Tab:
    """One tab, driven by the DevTools protocol: what is typed and pressed are keys, as a person has them."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count(1)
        self.complaints: list[str] = []
        self.loads = 0

    async def call(self, method: str, **given: Any) -> dict[str, Any]:
        id = next(self._ids)
        await self._socket.send_json({"id": id, "method": method, "params": given})
        while (heard := await self._hear()).get("id") != id:
            pass
        assert "error" not in heard, heard
        result: dict[str, Any] = heard["result"]
        return result

    async def _hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = await self._socket.receive_json()
        if heard.get("method") == "Page.loadEventFired":
            self.loads += 1
        if heard.get("method") == "Log.entryAdded":
            entry = heard["params"]["entry"]
            # A page that says 401 is a page: the browser notes it as a failed load.
            if "401" not in entry["text"]:
                self.complaints.append(entry["text"])
        return heard

    async def loaded(self, before: int) -> None:
        while self.loads == before:
            await self._hear()

    async def go(self, url: str) -> None:
        before = self.loads
        await self.call("Page.navigate", url=url)
        await self.loaded(before)

    async def type(self, text: str) -> None:
        await self.call("Input.insertText", text=text)

    async def press(self, key: str) -> None:
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    async def enter(self) -> None:
        before = self.loads
        await self.press("Enter")
        await self.loaded(before)

    async def evaluate(self, script: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=script)
        return answer["result"]["value"]

    async def facts(self) -> dict[str, Any]:
        """When the page was drawn, for only then the browser moves the focus."""
        await self.call("Runtime.evaluate", expression=DRAWN, awaitPromise=True)
        found: dict[str, Any] = json.loads(await self.evaluate(FACTS))
        return found


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Tab]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "no Chromium here: tools/chromium.sh brings it, as `make test-full` does"
    process = await asyncio.create_subprocess_exec(
        chromium, *FLAGS, ONLY_HERE, f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        while b"DevTools listening on " not in (line := await process.stderr.readline()):
            assert line, "Chromium has ended"
        port = urlsplit(line.decode().split()[-1]).port
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                page = next(one for one in await answer.json() if one["type"] == "page")
            async with http.ws_connect(page["webSocketDebuggerUrl"]) as socket:
                tab = Tab(socket)
                for domain in ("Page", "Runtime", "Log"):
                    await tab.call(f"{domain}.enable")
                yield tab
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def client_at() -> AsyncIterator[tuple[str, asyncio.Future[dict[str, list[str]]]]]:
    """(a client's callback, what arrives at it)."""
    arrived: asyncio.Future[dict[str, list[str]]] = asyncio.get_running_loop().create_future()

    async def callback(request: web.Request) -> web.Response:
        given = await request.post() if request.method == "POST" else request.query
        arrived.set_result(parse_qs(urlencode([(name, str(value)) for name, value in given.items()])))
        return web.Response(text="<!doctype html><title>Arrived</title>", content_type="text/html")

    async def icon(request: web.Request) -> web.Response:
        return web.Response(status=204)

    app = web.Application()
    app.router.add_route("*", "/callback", callback)
    app.router.add_get("/favicon.ico", icon)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}/callback", arrived
    finally:
        await runner.cleanup()


async def registered(api: Any, callback: str) -> str:
    body = {"name": "Aquarist app", "redirect_uris": [callback], "scopes": ["openid", "email", "api"]}
    made = await api("POST", "/v1/admin/clients", json=body, headers=await api.as_("operator"))
    assert made.status_code == 201, made.text
    return str(made.json()["client_id"])


@pytest.mark.full
@pytest.mark.parametrize("mode", ["query", "form_post"])
async def test_a_person_logs_in_with_the_keyboard_alone(api: Any, tmp_path: Path, mode: str) -> None:
    await api.token("customer")
    email = api.users["customer"]["email"]
    async with asyncio.timeout(SECONDS), client_at() as (callback, arrived), browser(tmp_path) as tab:
        asked = {
            "client_id": await registered(api, callback), "redirect_uri": callback, "response_type": "code",
            "scope": "openid email api", "state": "s-1", "response_mode": mode,
        }  # fmt: skip
        await tab.go(f"{str(api.http.base_url).rstrip('/')}/oauth2/authorize?{urlencode(asked)}")
        facts = await tab.facts()
        assert (facts["heading"], facts["language"], facts["unlabelled"]) == ("Log in", "en", [])
        assert (facts["styled"], facts["focus"]) == ("24px", "email"), "the style sheet has come"

        await tab.type(email)
        await tab.press("Tab")
        await tab.type("a wrong password")
        await tab.enter()
        facts = await tab.facts()
        assert "is wrong" in facts["alert"]
        assert facts["focus"] == "password", "the address is still there"

        await tab.type("a password for tests")
        await tab.enter()
        facts = await tab.facts()
        assert facts["heading"] == "Allow access?"
        assert "see your e-mail address" in await tab.evaluate("document.body.innerText")
        await tab.press("Tab")
        await tab.press("Enter")
        given = await arrived
        assert given["state"] == ["s-1"]
        assert given["code"][0]
        assert tab.complaints == []
