"""The image's health check: exit code 0 when the service in this container answers /readyz with 200.

Its port is where the service itself reads it: ORDERHUB_<SERVICE>_PORT of what has a public door, otherwise
ORDERHUB_<SERVICE>_HTTP_PORT or ORDERHUB_HTTP_PORT. Standard library only, and started with -I -S: it runs every few
seconds.
"""

from __future__ import annotations

import http.client
import os
import sys

SECONDS = 3.0
WITH_A_DOOR = ("gateway", "simulator")


def port(service: str) -> int:
    own = f"ORDERHUB_{service.upper()}_"
    names = (f"{own}PORT",) if service in WITH_A_DOOR else (f"{own}HTTP_PORT", "ORDERHUB_HTTP_PORT")
    for name in names:
        if value := os.environ.get(name):
            return int(value)
    raise LookupError(f"none of {', '.join(names)} is set")


def main() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port(os.environ["SERVICE"]), timeout=SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        print(answer.read(2000).decode("utf-8", "replace"))
    except OSError as error:
        print(f"no answer: {error}")
        return 1
    finally:
        connection.close()
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
