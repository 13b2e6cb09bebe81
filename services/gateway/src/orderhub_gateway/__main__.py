"""`python -m orderhub_gateway`: the gateway alone in this process."""

from __future__ import annotations

import sys

from orderhub_chassis import http, runner, settings, telemetry

from orderhub_gateway.app import build
from orderhub_gateway.settings import Settings


def main() -> int:
    try:
        loaded = settings.load(Settings)
        telemetry.configure_logs("gateway", loaded.log_level, loaded.log_format)
        redis_url = loaded.redis_url.get_secret_value()
        return runner.run({"gateway": lambda around: build(loaded, around)}, redis_url=redis_url)
    except (settings.SettingsError, http.PortTaken) as error:
        print(f"gateway cannot start: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
