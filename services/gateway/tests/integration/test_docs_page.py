"""The page of documentation as a browser shows it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
    "--virtual-time-budget=5000",
)  # fmt: skip
ONLY_HERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
"""Whatever comes from elsewhere fails, and fails on the console."""


async def browsed(url: str, profile: Path) -> tuple[str, list[str]]:
    """(what the page is in the end, what the console says)."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "no Chromium here: tools/chromium.sh brings it, as `make test-full` does"
    browser = await asyncio.create_subprocess_exec(
        chromium, *QUIET, ONLY_HERE, f"--user-data-dir={profile}", "--dump-dom", url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            page, said = await browser.communicate()
    finally:
        if browser.returncode is None:
            browser.kill()
            await browser.wait()
    return page.decode(), [line for line in said.decode().splitlines() if "CONSOLE" in line]


@pytest.mark.full
async def test_a_browser_shows_every_operation_and_has_nothing_to_complain_of(
    api: Any, tmp_path: Path
) -> None:
    page, complaints = await browsed(f"{api.http.base_url}/docs#placeOrder", tmp_path)
    assert complaints == []
    operations = [
        operation["operationId"]
        for path in (await api("GET", "/openapi.json")).json()["paths"].values()
        for operation in path.values()
    ]
    assert len(operations) > 40
    assert [name for name in operations if f'<details id="{name}"' not in page] == []
    assert page.count("<details") == len(operations)
    assert '<details id="placeOrder" open' in page
    assert "curl -X POST" in page
    assert "Idempotency-Key: " in page
    assert "Loading…" not in page
