"""The service as a process, and what stops its start: one line that names the variable."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from orderhub_chassis.service import Surroundings
from orderhub_chassis.settings import SettingsError
from orderhub_delivery.app import build
from orderhub_delivery.settings import Settings


@asynccontextmanager
async def a_process(folder: Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ORDERHUB_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "orderhub_delivery", cwd=folder, env=inherited | environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def the_environment(settings: Settings, port: int) -> dict[str, str]:
    return {
        "ORDERHUB_DELIVERY_DATABASE_URL": settings.database_url.get_secret_value(),
        "ORDERHUB_REDIS_URL": settings.redis_url.get_secret_value(),
        "ORDERHUB_BUS": settings.bus.get_secret_value(),
        "ORDERHUB_INTERNAL_KEY": settings.internal_key.get_secret_value(),
        "ORDERHUB_CURSOR_KEY": settings.cursor_key.get_secret_value(),
        "ORDERHUB_DELIVERY_HTTP_PORT": str(port),
    }


async def ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return b" 200 " in answer.split(b"\r\n")[0]


async def test_it_starts_and_a_signal_ends_it_cleanly(
    settings: Settings, tmp_path: Path, unused_tcp_port: int, eventually: Any
) -> None:
    async with a_process(tmp_path, **the_environment(settings, unused_tcp_port)) as process:

        async def up() -> bool:
            assert process.returncode is None
            return await ready(unused_tcp_port)

        await eventually(up, within=30)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_a_missing_setting_is_one_line_that_names_it(tmp_path: Path) -> None:
    async with a_process(tmp_path, ORDERHUB_DELIVERY_RULES_FOLDER="/nowhere") as process:
        _, complaint = await process.communicate()
    (line,) = complaint.decode().splitlines()
    assert process.returncode == 2
    for variable in ("DATABASE_URL", "INTERNAL_KEY", "RULES_FOLDER"):
        assert f"ORDERHUB_DELIVERY_{variable}: " in line


async def test_a_rule_file_that_cannot_be_used_stops_the_start(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "more.toml").write_text('[[rules]]\nid = "X"\n')
    changed = settings.model_copy(update={"rules_folder": tmp_path})
    with pytest.raises(SettingsError, match=r"^ORDERHUB_DELIVERY_RULES_FOLDER: more\.toml"):
        async with build(changed, Surroundings()):
            pass
