"""`python -m orderhub_payments`: this service alone in a process."""

from __future__ import annotations

from orderhub_chassis.main import run_service

from orderhub_payments.app import build
from orderhub_payments.settings import Settings

if __name__ == "__main__":
    run_service(Settings, build)
