"""`python -m orderhub_auth`: auth alone in this process."""

from orderhub_chassis import main

from orderhub_auth.app import build
from orderhub_auth.settings import Settings

if __name__ == "__main__":
    main.run_service(Settings, build)
