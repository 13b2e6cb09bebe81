"""`python -m orderhub_auth`: auth alone in this process."""

from __future__ import annotations

import sys

from orderhub_chassis import runner, settings, telemetry

from orderhub_auth.app import build
from orderhub_auth.settings import Settings


def main() -> int:
    try:
        loaded = settings.load(Settings)
        telemetry.configure_logs("auth", loaded.log_level, loaded.log_format)
        redis_url = loaded.redis_url.get_secret_value()
        return runner.run({"auth": lambda around: build(loaded, around)}, redis_url=redis_url)
    except settings.SettingsError as error:
        print(f"auth cannot start: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
