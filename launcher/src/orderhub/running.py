"""`orderhub run SERVICE…`: the services of this process, until a signal."""

from __future__ import annotations

import functools
import importlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orderhub_chassis import runner, settings, telemetry
from orderhub_chassis.main import NO_START
from orderhub_chassis.service import Surroundings

from orderhub import topology
from orderhub.exits import Exit, Refused
from orderhub.settings import settings_of

WAIT_SECONDS = 0.01


def run(names: Sequence[str], *, after: Path | None = None) -> int:
    """Blocks. Raises Refused with one line when a service cannot start."""
    if list(names) == [topology.SIMULATOR]:
        return int(importlib.import_module("orderhub_simulator.__main__").main())
    if not names or set(names) - topology.BY_NAME.keys():
        raise Refused(
            f"name one or more of {', '.join(topology.NAMES)}, or {topology.SIMULATOR} alone", Exit.USAGE
        )
    loaded = {name: _loaded(name) for name in names}
    first = next(iter(loaded.values()))
    telemetry.configure_logs("+".join(names), first.log_level, first.log_format)
    builds = {
        name: functools.partial(_build_with, _build(name), loaded[name])
        for name in topology.NAMES
        if name in loaded
    }
    while after is not None and not after.exists():
        time.sleep(WAIT_SECONDS)
    try:
        return runner.run(builds, redis_url=first.redis_url.get_secret_value(), opened=_opened)
    except settings.SettingsError as error:
        raise Refused(str(error), Exit.USAGE) from error
    except NO_START as error:
        raise Refused(f"{'+'.join(names)} cannot start: {error or type(error).__name__}") from error


def _loaded(name: str) -> Any:
    try:
        return settings.load(settings_of(name))
    except settings.SettingsError as error:
        raise Refused(str(error), Exit.USAGE) from None


def _build(name: str) -> Any:
    return importlib.import_module(f"orderhub_{name}.app").build


def _build_with(build: Any, loaded: Any, around: Surroundings) -> Any:
    return build(loaded, around.of(loaded))


def _opened(name: str, service: Any) -> None:
    telemetry.log("run").info("service.open", opened=name, grpc_port=getattr(service, "grpc_port", None))
