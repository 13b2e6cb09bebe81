"""`python -m orderhub_gateway`: the gateway alone in this process."""

from orderhub_chassis import main

from orderhub_gateway.app import build
from orderhub_gateway.settings import Settings

if __name__ == "__main__":
    main.run_service(Settings, build)
